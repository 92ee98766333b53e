package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// certificate writes a self-signed certificate for 127.0.0.1 with a serial
// number.
func certificate(t *testing.T, dir string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "client"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "tls.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeFile(t, filepath.Join(dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}

// peer connects and returns what the server shows.
func peer(t *testing.T, addr string, conf *tls.Config) (serial int64, proto string, err error) {
	t.Helper()
	dialer := tls.Dialer{Config: conf}
	c, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	state := c.(*tls.Conn).ConnectionState()
	return state.PeerCertificates[0].SerialNumber.Int64(), state.NegotiatedProtocol, nil
}

func TestTLSReload(t *testing.T) {
	t.Parallel()
	path := configFile(t, startChain(t, 100*time.Millisecond))
	dir := t.TempDir()
	certificate(t, dir, 1)
	section := "\ntls: {cert_file: " + filepath.Join(dir, "tls.crt") + ", key_file: " + filepath.Join(dir, "tls.key") + "}\n"
	plain := read(t, path)
	writeFile(t, path, plain+section)
	s := startServe(t, path)
	addr, ok := strings.CutPrefix(s.api, "https://")
	if !ok {
		t.Fatalf("the API is at %s", s.api)
	}
	conf := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}} //nolint:gosec // what it shows is looked at
	open := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}}
	alive := func() {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.api+"/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := open.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close() // only its head is of interest
		if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 {
			t.Errorf("%s %s", res.Proto, res.Status)
		}
	}
	alive()
	if serial, proto, err := peer(t, addr, conf); err != nil || serial != 1 || proto != "h2" {
		t.Fatalf("%d %q %v", serial, proto, err)
	}
	certificate(t, dir, 2)
	s.hangup("configuration reloaded", 1)
	if serial, _, err := peer(t, addr, conf); err != nil || serial != 2 {
		t.Errorf("after the reload: %d %v", serial, err)
	}
	alive() // on the connection from before

	writeFile(t, filepath.Join(dir, "tls.crt"), "broken")
	s.hangup("the old one stays in force", 1)
	if serial, _, err := peer(t, addr, conf); err != nil || serial != 2 {
		t.Errorf("after a broken certificate: %d %v", serial, err)
	}

	// Nobody without a certificate of the authority gets in from now on.
	certificate(t, dir, 3)
	writeFile(t, path, plain+strings.TrimSuffix(section, "}\n")+", min_version: \"1.3\", client_auth: required, client_ca_file: "+filepath.Join(dir, "tls.crt")+"}\n")
	s.hangup("configuration reloaded", 2)
	pair, err := tls.LoadX509KeyPair(filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key"))
	if err != nil {
		t.Fatal(err)
	}
	old := conf.Clone()
	old.MaxVersion = tls.VersionTLS12
	if _, _, err := peer(t, addr, old); err == nil {
		t.Error("an old version of TLS is spoken")
	}
	for _, c := range []struct {
		certs []tls.Certificate
		ok    bool
	}{{nil, false}, {[]tls.Certificate{pair}, true}} {
		conf := conf.Clone()
		conf.Certificates = c.certs
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}}
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.api+"/healthz", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err == nil {
			_ = res.Body.Close() // only whether there is one is of interest
		}
		if (err == nil) != c.ok {
			t.Errorf("%d client certificates: %v", len(c.certs), err)
		}
		client.CloseIdleConnections()
	}
}
