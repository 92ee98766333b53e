package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// shop is a backend that numbers the orders it takes, and remembers them by
// the operation that the gateway names.
type shop struct {
	*httptest.Server

	mu     sync.Mutex
	orders []string // operation ids
	gate   chan struct{}
}

// newShop starts a backend. It answers 201 with the order's number; what the
// header X-Problem names it answers with a problem of that code.
func newShop(t testing.TB) *shop {
	t.Helper()
	b := &shop{}
	b.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if code := r.Header.Get("X-Problem"); code != "" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusUnprocessableEntity)
			fmt.Fprintf(w, `{"code":%q}`, code)
			return
		}
		b.mu.Lock()
		b.orders = append(b.orders, r.Header.Get("Onceward-Operation-Id"))
		n, gate := len(b.orders), b.gate
		b.mu.Unlock()
		if gate != nil && r.Header.Get("X-Wait") != "" {
			<-gate
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "order %d", n)
	}))
	t.Cleanup(b.Close)
	return b
}

// hold makes requests with the header X-Wait wait until open is called.
func (b *shop) hold() (open func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	gate := make(chan struct{})
	b.gate = gate
	return sync.OnceFunc(func() { close(gate) })
}

// taken is how many orders there are.
func (b *shop) taken() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.orders)
}

// proxyConfig writes a configuration with one route to the backend, POST
// /orders; more is appended to it.
func proxyConfig(t testing.TB, backend, more string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "onceward.yaml")
	writeFile(t, path, fmt.Sprintf(`listen: 127.0.0.1:0
admin: {listen: "127.0.0.1:0"}
store: "sqlite:%s"
%s
routes:
  - match: POST /orders
    proxy: %s
`, filepath.Join(dir, "onceward.db"), strings.TrimSpace(more), backend))
	return path
}

// storeOf is the DSN of the store of a configuration from proxyConfig or
// configFile.
func storeOf(path string) string { return "sqlite:" + filepath.Join(filepath.Dir(path), "onceward.db") }

// createKey makes an API key.
func createKey(t testing.TB, store, principal string, args ...string) (token, id string) {
	t.Helper()
	out := done(t, nil, append([]string{"apikeys", "create", principal, "--store", store, "--reason", "test"}, args...)...)
	for word := range strings.FieldsSeq(out) {
		if strings.HasPrefix(word, "owk_") {
			return word, strings.Split(word, "_")[1]
		}
	}
	t.Fatalf("no key in %s", out)
	return "", ""
}

// refused says whether an answer is a problem of that code, and no replay.
func (a answer) refused(t testing.TB, what string, status int, code string) {
	t.Helper()
	if a.status != status || a.header.Get("Content-Type") != "application/problem+json" || a.field(t, "code") != code || a.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("%s: %d %v %s; want %d %s", what, a.status, a.header, a.body, status, code)
	}
	later := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable || a.field(t, "retryable") == true
	if (a.header.Get("Retry-After") != "") != later {
		t.Errorf("%s: %d with Retry-After %q", what, status, a.header.Get("Retry-After"))
	}
	if status == http.StatusUnauthorized && a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("%s: 401 without WWW-Authenticate", what)
	}
}

// scrape returns what the admin listener tells Prometheus.
func (s *server) scrape() string {
	s.t.Helper()
	admin := &server{t: s.t, api: s.admin, log: s.log}
	a := admin.get("/metrics")
	if a.status != http.StatusOK {
		s.t.Fatalf("/metrics: %d %s", a.status, a.body)
	}
	return a.body
}
