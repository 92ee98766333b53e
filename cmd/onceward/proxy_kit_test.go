package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// patience bounds every wait for something that will happen.
const patience = time.Minute

// proxyFile writes a configuration of a gateway whose routes, and whatever
// else is to be said, are given as YAML.
func proxyFile(t *testing.T, rest string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "onceward.yaml")
	writeFile(t, path, fmt.Sprintf(`listen: 127.0.0.1:0
admin: {listen: 127.0.0.1:0}
store: sqlite:%s
auth: {single_tenant: true}
operations: {lease: 2s, recover_interval: 100ms}
`, filepath.Join(dir, "once.db"))+rest)
	return path
}

// localBackend serves h on a port of its own, by HTTP/1.1 and h2c.
func localBackend(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(h)
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// clientOf speaks HTTP/1.1, or h2c from the first byte.
func clientOf(t *testing.T, h2c bool) *http.Client {
	t.Helper()
	tr := &http.Transport{Protocols: new(http.Protocols), ExpectContinueTimeout: patience, DisableCompression: true}
	tr.Protocols.SetHTTP1(!h2c)
	tr.Protocols.SetUnencryptedHTTP2(h2c)
	t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

// codeOf is the code of a problem, or the body of any other answer.
func (a answer) codeOf(t *testing.T) string {
	t.Helper()
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		code, _ := a.field(t, "code").(string)
		return code
	}
	return a.body
}

// is compares status and body, or the code of a problem.
func (a answer) is(t *testing.T, what string, status int, want string) {
	t.Helper()
	if got := a.codeOf(t); a.status != status || got != want {
		t.Errorf("%s: got %d %q, want %d %q", what, a.status, a.body, status, want)
	}
}
