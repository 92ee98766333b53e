package auth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
)

// authority signs client certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := authority{key: key}
	a.cert = a.sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "test CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, key)
	return a
}

func (a authority) sign(t *testing.T, template *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	parent := a.cert
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// client makes the TLS certificate of a client.
func (a authority) client(t *testing.T, template *x509.Certificate) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	return tls.Certificate{Certificate: [][]byte{a.sign(t, template, key).Raw}, PrivateKey: key}
}

func mustURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// whoami serves the scope that a certificate has, over real TLS.
func whoami(t *testing.T, source auth.CertSource, ca authority) *httptest.Server {
	t.Helper()
	c, err := auth.NewCert(auth.CertConfig{Source: source})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(auth.Middleware(c, auth.Options{Logger: quiet()})(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			scope, err := auth.Scope(r)
			if err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(w, scope)
		})))
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	srv.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: pool}
	srv.StartTLS()
	t.Cleanup(srv.Close)
	return srv
}

func TestClientCertificates(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	full := &x509.Certificate{
		Subject: pkix.Name{CommonName: "till-7"}, DNSNames: []string{"till-7.example"},
		EmailAddresses: []string{"till@example.org"}, URIs: []*url.URL{mustURL(t, "spiffe://example.org/till/7")},
	}
	many := &x509.Certificate{DNSNames: []string{"a.example", "b.example"}}
	for _, c := range []struct {
		name   string
		source auth.CertSource
		cert   *x509.Certificate
		status int
		scope  string
	}{
		{"URI", auth.CertURI, full, 200, "mtls:uri:spiffe://example.org/till/7"},
		{"default", "", full, 200, "mtls:uri:spiffe://example.org/till/7"},
		{"DNS", auth.CertDNS, full, 200, "mtls:dns:till-7.example"},
		{"email", auth.CertEmail, full, 200, "mtls:email:till@example.org"},
		{"common name", auth.CertCN, full, 200, "mtls:cn:till-7"},
		{"no such name", auth.CertURI, many, 401, ""},
		{"two names", auth.CertDNS, many, 401, ""},
		{"no common name", auth.CertCN, many, 401, ""},
		{"no certificate", auth.CertURI, nil, 401, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			srv := whoami(t, c.source, ca)
			client := srv.Client()
			if c.cert != nil {
				template := *c.cert
				// the client of httptest has a transport of its own
				client.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{ca.client(t, &template)}
			}
			req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			res, err := client.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil || res.StatusCode != c.status || c.status == 200 && string(body) != c.scope {
				t.Errorf("got %d %s, %v", res.StatusCode, body, err)
			}
		})
	}
}

// TestUnverifiedCertificatesAreNone: a server that asks for certificates
// without checking them gives nobody a name.
func TestUnverifiedCertificatesAreNone(t *testing.T) {
	t.Parallel()
	c, err := auth.NewCert(auth.CertConfig{Source: auth.CertCN})
	if err != nil {
		t.Fatal(err)
	}
	ca := newAuthority(t)
	r := request(t.Context(), "")
	r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{ca.cert}}
	if _, err := c.Authenticate(r); err == nil {
		t.Error("accepted")
	}
	if _, err := auth.NewCert(auth.CertConfig{Source: "serial"}); err == nil {
		t.Error("an unknown source was accepted")
	}
}
