package main_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority signs client certificates.
type authority struct {
	t    testing.TB
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, key: newECKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "clients"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, a.key.Public(), a.key)
	if err == nil {
		a.cert, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw}))
}

// client is an HTTP client with a certificate of name, valid until end. It
// resumes TLS sessions where the server lets it.
func (a *authority) client(name string, end time.Time) *http.Client {
	a.t.Helper()
	key := newECKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: end,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tlsClient(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
}

func tlsClient(certs ...tls.Certificate) *http.Client {
	return &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{
		InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(4), //nolint:gosec // the server's certificate is not what is tested
		// Whatever authorities the server names, this is shown.
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			if len(certs) == 0 {
				return &tls.Certificate{}, nil
			}
			return &certs[0], nil
		},
	}}}
}

// postBy is post by another client; err is that of the connection.
func (s *server) postBy(client *http.Client, path, key string) (answer, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.api+path, strings.NewReader("{}"))
	if err != nil {
		return answer{}, err
	}
	req.Header.Set("Idempotency-Key", key)
	req.Header.Set("Content-Type", "application/json")
	res, err := client.Do(req)
	if err != nil {
		return answer{}, err
	}
	data, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err == nil {
		s.saw(ctx, client, req, "{}", res, data)
	}
	return answer{res.StatusCode, res.Header, string(data)}, err
}

// TestServeClientCertificates: the name in a certificate of the configured
// authority is the scope, that of another is nobody's, and a change of the
// authority is in force for all connections from then on, resumed ones too.
func TestServeClientCertificates(t *testing.T) {
	t.Parallel()
	backend, dir := newShop(t), t.TempDir()
	certificate(t, dir, 1)
	ours, theirs := newAuthority(t), newAuthority(t)
	ca := filepath.Join(dir, "clients.pem")
	writeFile(t, ca, ours.pem())
	path := proxyConfig(t, backend.URL, `
tls: {cert_file: "`+dir+`/tls.crt", key_file: "`+dir+`/tls.key", client_auth: optional, client_ca_file: "`+ca+`"}
auth: {mtls: {subject: cn}}`)
	s := startServe(t, path)
	later := time.Now().Add(time.Hour)
	alice, bob, stranger := ours.client("alice", later), ours.client("bob", later), theirs.client("alice", later)
	order := func(client *http.Client) answer {
		t.Helper()
		a, err := s.postBy(client, "/orders", "k")
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := order(alice)
	if again := order(alice); first.status != http.StatusCreated || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("alice: %d %s, again %d %s", first.status, first.body, again.status, again.body)
	}
	if a := order(bob); a.status != http.StatusCreated || a.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("bob: %d %s", a.status, a.body)
	}
	order(tlsClient()).refused(t, "without a certificate", http.StatusUnauthorized, "unauthorized")
	order(ours.client("", later)).refused(t, "without a name", http.StatusUnauthorized, "unauthorized")
	for what, client := range map[string]*http.Client{
		"another authority": stranger, "expired": ours.client("alice", time.Now().Add(-time.Hour)),
	} {
		if a, err := s.postBy(client, "/orders", "k"); err == nil {
			t.Errorf("%s: %d %s", what, a.status, a.body)
		}
	}
	if out := done(t, nil, "keys", "list", "--store", storeOf(path), "-o", "json"); !strings.Contains(out, `"mtls:cn:alice"`) || !strings.Contains(out, `"mtls:cn:bob"`) {
		t.Errorf("scopes in %s", out)
	}

	writeFile(t, ca, theirs.pem())
	certificate(t, dir, 2)
	s.hangup("configuration reloaded", 1)
	if a := order(stranger); a.body != first.body {
		t.Errorf("the same name by the new authority: %d %s", a.status, a.body)
	}
	for what, client := range map[string]*http.Client{"resumed": alice, "fresh": ours.client("alice", later)} {
		client.CloseIdleConnections()
		if a, err := s.postBy(client, "/orders", "k"); err == nil {
			t.Errorf("the old authority, %s: %d %s", what, a.status, a.body)
		}
	}
	writeFile(t, ca, "broken")
	s.hangup("the old one stays in force", 1)
	if a := order(stranger); a.body != first.body || backend.taken() != 2 {
		t.Errorf("after a broken file: %d %s, %d orders", a.status, a.body, backend.taken())
	}
}
