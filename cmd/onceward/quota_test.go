package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// TestServeQuotas: each quota refuses a tenant as documented, costs nothing,
// and leaves another tenant alone. Routes with a key header of their own count,
// too.
func TestServeQuotas(t *testing.T) {
	t.Parallel()
	backend := newShop(t)
	open := backend.hold()
	defer open()
	path := proxyConfig(t, backend.URL, "auth: {development_bearer: true}\nquotas: {keys_in_flight: 2}")
	text := read(t, path) + "  - match: POST /custom\n    proxy: " + backend.URL + "\n    key_header: X-Request-Id\n"
	writeFile(t, path, text)
	s := startServe(t, path)
	order := func(tenant, key string, header ...string) answer {
		t.Helper()
		return s.post("/orders", key, "{}", append(header, "Authorization", "Bearer "+tenant)...)
	}
	calm := func(key string) {
		t.Helper()
		if a := order("calm", key); a.status != http.StatusCreated {
			t.Errorf("another tenant: %d %s", a.status, a.body)
		}
	}
	var waiting sync.WaitGroup
	for i := range 2 {
		waiting.Go(func() {
			a, err := s.call(t.Context(), http.MethodPost, "/orders", "{}", "Authorization", "Bearer busy",
				"Idempotency-Key", fmt.Sprint("slow-", i), "X-Wait", "1")
			if err != nil || a.status != http.StatusCreated {
				t.Errorf("a request under way: %v %d %s", err, a.status, a.body)
			}
		})
	}
	eventually(t, "two are under way", func() bool { return backend.taken() == 2 })
	order("busy", "third").refused(t, "a third key in flight", http.StatusTooManyRequests, "rate-limited")
	calm("c1")
	open()
	waiting.Wait()
	if a := order("busy", "third"); a.status != http.StatusCreated || backend.taken() != 4 {
		t.Errorf("when there is room again: %d %s, %d orders", a.status, a.body, backend.taken())
	}

	quotas := func(count int, limits string) {
		t.Helper()
		writeFile(t, path, strings.Replace(text, "{keys_in_flight: 2}", "{keys_in_flight: 2, "+limits+"}", 1))
		s.hangup("configuration reloaded", count)
	}
	quotas(1, "keys_stored: 3") // busy has three
	over := order("busy", "fourth")
	over.refused(t, "a fourth key", http.StatusTooManyRequests, "rate-limited")
	custom := s.post("/custom", "", "{}", "Authorization", "Bearer busy", "X-Request-Id", "fifth")
	custom.refused(t, "a key in a header of the route's own", http.StatusTooManyRequests, "rate-limited")
	if over.field(t, "limit") != "stored" || custom.field(t, "limit") != "stored" {
		t.Errorf("%s %s", over.body, custom.body)
	}
	if a := order("busy", "third"); a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a retry of a stored key: %d %s", a.status, a.body)
	}
	calm("c2")

	quotas(2, "requests_per_second: 1")
	const flood = 64
	answers := make([]answer, flood)
	var group sync.WaitGroup
	for i := range flood {
		group.Go(func() {
			var err error
			if answers[i], err = s.call(t.Context(), http.MethodGet, fmt.Sprintf("/v1/operations?key=none-%d", i), "", "Authorization", "Bearer fast"); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	calm("c3")
	refused := 0
	for _, a := range answers {
		if a.status == http.StatusTooManyRequests {
			a.refused(t, "too fast", http.StatusTooManyRequests, "rate-limited")
			refused++
		}
	}
	if refused == 0 || refused == flood { // in the minute that 64 would take, if they could
		t.Errorf("%d of %d were refused", refused, flood)
	}
}

// TestServeMetrics: problems are counted by the codes that onceward answers
// with, and nothing that a client or a backend makes up becomes a label.
func TestServeMetrics(t *testing.T) {
	t.Parallel()
	backend := newShop(t)
	path := proxyConfig(t, backend.URL, "auth: {development_bearer: true}")
	writeFile(t, path, read(t, path)+"  - match: POST /gone\n    proxy: http://127.0.0.1:1\n")
	s := startServe(t, path)
	s.post("/gone", "k", "{}").refused(t, "a backend that is gone", http.StatusBadGateway, "backend-unreachable")
	s.post("/orders", "", "{}").refused(t, "no key", http.StatusBadRequest, "key-missing")
	s.post("/orders", "k", "{}", "Authorization", "nonsense").refused(t, "no principal", http.StatusUnauthorized, "unauthorized")
	for i := range 20 {
		made := fmt.Sprintf("made-up-%d", i)
		s.post("/orders", made, "{}", "X-Problem", made, "Authorization", "Bearer "+made)
		s.post("/"+made, made, "{}")
		if _, err := s.call(t.Context(), "MADE-UP-"+fmt.Sprint(i), "/orders", ""); err != nil {
			t.Error(err)
		}
	}
	text := s.scrape()
	for line, want := range map[string]string{
		`onceward_problems_total{code="backend-unreachable",route="POST /gone"}`: "1",
		`onceward_problems_total{code="key-missing",route="POST /orders"}`:       "1",
		`onceward_problems_total{code="unauthorized",route="POST /orders"}`:      "1",
		`onceward_problems_total{code="other",route="POST /orders"}`:             "20",
	} {
		if !strings.Contains(text, line+" "+want+"\n") {
			t.Errorf("no line %s %s", line, want)
		}
	}
	series := strings.Count(text, "\nonceward_problems_total{")
	if series != 4 || strings.Contains(strings.ToLower(text), "made-up") {
		t.Errorf("%d series of problems; a label was made up: %v", series, strings.Contains(text, "made-up"))
	}
}
