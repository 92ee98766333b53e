package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
)

// backend counts what it does and streams what it is asked for.
func backend(t *testing.T) (url string, orders *atomic.Int64) {
	t.Helper()
	orders = new(atomic.Int64)
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Onceward-Operation-Id") == "" || r.Header.Get("Onceward-Token") == "" {
			http.Error(w, "the operation has no name", http.StatusInternalServerError)
			return
		}
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "order %d", orders.Add(1))
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, "data: first\n\n")
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done() // it would go on for ever
	})
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL, orders
}

// Any backend stands behind the same gateway: one route guards its writes,
// everything else passes.
func TestServeProxyRoutes(t *testing.T) {
	t.Parallel()
	url, orders := backend(t)
	s := startServe(t, proxyFile(t, fmt.Sprintf(`routes:
  - match: /api/
    name: backend
    proxy: %s
    strip_prefix: /api
    when: '!request.path.startsWith("/api/free")'
    natural_key: [body.customer, body.cart]
`, url)))
	const order = `{"customer":"c1","cart":17}`
	first := s.post("/api/orders", "k1", order)
	if first.status != http.StatusCreated || first.body != "order 1" {
		t.Fatalf("first: %d %s", first.status, first.body)
	}
	for _, key := range []string{"k1", "k2"} { // the same key, and the same order under another
		again := s.post("/api/orders", key, order)
		if again.status != http.StatusCreated || again.body != "order 1" || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s again: %d %v %s", key, again.status, again.header, again.body)
		}
	}
	if a := s.post("/api/orders", "", order); a.status != http.StatusBadRequest || a.field(t, "code") != "key-missing" {
		t.Errorf("without a key: %d %s", a.status, a.body)
	}
	if n := orders.Load(); n != 1 {
		t.Errorf("the backend took %d orders", n)
	}
	firstEvent(t, s.api+"/api/events")
	if doc := s.get("/openapi.json"); doc.field(t, "openapi") != "3.1.0" && doc.field(t, "openapi") != "3.1.1" {
		t.Errorf("description: %d %.300s", doc.status, doc.body)
	}
	if policy := s.get("/idempotency-policy", "Accept", "application/json"); !strings.Contains(policy.body, "backend-timeout") {
		t.Errorf("the policy does not say what proxies answer: %d %.2000s", policy.status, policy.body)
	}
	s.api = s.admin // ask the other listener
	metrics := s.get("/metrics")
	for _, series := range []string{`onceward_build_info{`, `route="/api/"`} {
		if !strings.Contains(metrics.body, series) {
			t.Errorf("no %s in the metrics:\n%s", series, metrics.body)
		}
	}
}

// firstEvent reads one event of a stream that does not end.
func firstEvent(t *testing.T, url string) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	line, err := bufio.NewReader(io.LimitReader(res.Body, 1<<10)).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "data: first" {
		t.Errorf("%q, %v", line, err)
	}
}
