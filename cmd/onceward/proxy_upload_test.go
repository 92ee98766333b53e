//go:build linux

package main_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

const (
	// hugeBody is uploaded without a key.
	hugeBody = 256 << 20
	// hugeMemory is what the gateway may use for it, in MiB.
	hugeMemory = 64
)

// A gateway that does not speak HTTP/2 in clear says so, and a huge upload
// passes through it within bounded memory.
func TestProxyHugeUploadWithoutH2C(t *testing.T) {
	t.Parallel()
	b := localBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprintf(w, "%d %v", n, err)
	}))
	s := startServe(t, proxyFile(t, fmt.Sprintf("h2c: false\nroutes: [{match: /, proxy: %q, key: optional}]\n", b.URL)))
	if res, err := get(t, clientOf(t, true), s.api+"/healthz"); err == nil {
		t.Errorf("HTTP/2 in clear is spoken: %s", res)
	}
	before := peak(t, s.cmd.Process.Pid)
	p := &passed{s: s, client: clientOf(t, false)}
	res := p.do(t, http.MethodPost, "/", io.LimitReader(zeros{}, hugeBody))
	if got, want := text(t, res), fmt.Sprintf("%d <nil>", hugeBody); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	after := peak(t, s.cmd.Process.Pid)
	t.Logf("%d MiB passed; resident MiB at most: %d before, %d after", hugeBody>>20, before, after)
	if after > before+hugeMemory {
		t.Errorf("resident at most: %d MiB before and %d MiB after", before, after)
	}
	// With a key it is refused.
	a := s.post("/", "huge", strings.Repeat("x", 2<<20))
	a.is(t, "keyed", 413, "payload-too-large")
}

// get returns the protocol of an answer.
func get(t *testing.T, client *http.Client, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.Proto + " " + string(body), err
}

// HTTP/2 over TLS in front, every protocol behind.
func TestProxyOverTLS(t *testing.T) {
	t.Parallel()
	said := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s", r.Proto, r.Header.Get("X-Forwarded-Proto"))
	})
	plain := localBackend(t, said)
	secure := httptest.NewUnstartedServer(said)
	dir := t.TempDir()
	certificate(t, dir, 1)
	cert, key := filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	secure.EnableHTTP2, secure.TLS = true, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	s := startServe(t, proxyFile(t, fmt.Sprintf(`tls: {cert_file: %q, key_file: %q}
routes:
  - {match: /http/, proxy: %q}
  - {match: /h2c/, proxy: %q}
  - {match: /https/, proxy: %q, proxy_ca_file: %[1]q}
`, cert, key, plain.URL, "h2c"+strings.TrimPrefix(plain.URL, "http"), secure.URL)))
	for _, front := range []string{"HTTP/1.1", "HTTP/2.0"} {
		conf := &tls.Config{InsecureSkipVerify: true} //nolint:gosec // its protocol is looked at
		tr := &http.Transport{TLSClientConfig: conf, ForceAttemptHTTP2: true}
		if front == "HTTP/1.1" {
			tr.Protocols = new(http.Protocols)
			tr.Protocols.SetHTTP1(true)
		}
		t.Cleanup(tr.CloseIdleConnections)
		for path, behind := range map[string]string{"/http/": "HTTP/1.1", "/h2c/": "HTTP/2.0", "/https/": "HTTP/2.0"} {
			if got, err := get(t, &http.Client{Transport: tr}, s.api+path); err != nil || got != front+" "+behind+" https" {
				t.Errorf("%s %s: %q, %v", front, path, got, err)
			}
		}
	}
}
