package quota_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/quota"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

func newQuota(t testing.TB, cfg quota.Config) *quota.Quota {
	t.Helper()
	q, err := quota.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// byHeader takes the scope from a header.
func byHeader(r *http.Request) (string, error) {
	if s := r.Header.Get("Scope"); s != "" {
		return s, nil
	}
	return "", errors.New("no scope")
}

func request(ctx context.Context, scope, key string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/orders", strings.NewReader("{}"))
	if scope != "" {
		r.Header.Set("Scope", scope)
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	return r
}

func call(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

var ok = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusCreated) })

func TestRequestsPerSecond(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, quota.Config{
			Default: quota.Limits{RequestsPerSecond: 2, Burst: 4},
			Of: func(scope string) (quota.Limits, bool) {
				return quota.Limits{RequestsPerSecond: 100}, scope == "vip"
			},
		})
		h := q.Middleware(byHeader, quota.Keys{})(ok)
		served := func(scope string, n int) (count int, last *httptest.ResponseRecorder) {
			for range n {
				if last = call(h, request(t.Context(), scope, "")); last.Code == http.StatusCreated {
					count++
				}
			}
			return count, last
		}
		if n, w := served("a", 10); n != 4 || w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Fatalf("%d served, then %d %v", n, w.Code, w.Header())
		}
		if n, _ := served("b", 10); n != 4 {
			t.Fatalf("another scope got %d", n)
		}
		if n, _ := served("vip", 100); n != 100 {
			t.Fatalf("the scope with limits of its own got %d", n)
		}
		time.Sleep(time.Second)
		if n, _ := served("a", 10); n != 2 { // what was refused has cost nothing
			t.Fatalf("a second later %d were served", n)
		}
	})
}

func TestInFlight(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		q := newQuota(t, quota.Config{Default: quota.Limits{InFlight: 3}})
		finish := make(chan struct{})
		h := q.Middleware(byHeader, quota.Keys{})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Has("panic") {
				panic(http.ErrAbortHandler)
			}
			<-finish
			w.WriteHeader(http.StatusCreated)
		}))
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if w := call(h, request(t.Context(), "a", "")); w.Code != http.StatusCreated {
					t.Errorf("got %d", w.Code)
				}
			})
		}
		synctest.Wait()
		w := call(h, request(t.Context(), "a", ""))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "1" {
			t.Errorf("the fourth got %d %v", w.Code, w.Header())
		}
		other := make(chan int)
		go func() { other <- call(h, request(t.Context(), "b", "")).Code }()
		synctest.Wait()
		close(finish)
		if code := <-other; code != http.StatusCreated {
			t.Errorf("another scope got %d", code)
		}
		wg.Wait()
		for range 10 { // one that panics gives its place back
			func() {
				defer func() { _ = recover() }() // the handler's
				r := request(t.Context(), "a", "")
				r.URL.RawQuery = "panic"
				call(h, r)
			}()
		}
		if w := call(h, request(t.Context(), "a", "")); w.Code != http.StatusCreated {
			t.Errorf("after all have left: %d", w.Code)
		}
		if n := q.Scopes(); n != 0 {
			t.Errorf("%d scopes are remembered that have nothing under way", n)
		}
	})
}

// guarded is a quota in front of real keys.
type guarded struct {
	http.Handler
	store *flaky
	runs  int
}

// flaky counts listings, and fails them on request.
type flaky struct {
	*memstore.Store
	lists int
	err   error
}

func (f *flaky) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	f.lists++
	if f.err != nil {
		return onceward.ListResult{}, f.err
	}
	return f.Store.List(ctx, req)
}

func newGuarded(t *testing.T, limit int) *guarded {
	t.Helper()
	g := &guarded{store: &flaky{Store: memstore.New()}}
	eng, err := onceward.New(g.store, onceward.Config{Retention: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	once, err := oncehttp.New(eng, oncehttp.Options{Scope: byHeader, Optional: true})
	if err != nil {
		t.Fatal(err)
	}
	q := newQuota(t, quota.Config{Default: quota.Limits{Stored: limit}, Store: g.store})
	g.Handler = q.Middleware(byHeader, quota.Keys{})(once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.runs++
		w.WriteHeader(http.StatusCreated)
	})))
	return g
}

func TestStoredKeys(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, 5)
		for i := range 5 {
			if w := call(g, request(t.Context(), "a", fmt.Sprint("k", i))); w.Code != http.StatusCreated {
				t.Fatalf("key %d: %d %s", i, w.Code, w.Body)
			}
		}
		w := call(g, request(t.Context(), "a", "k5"))
		if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") != "60" || g.runs != 5 {
			t.Fatalf("key 5: %d %v, %d runs", w.Code, w.Header(), g.runs)
		}
		for i := range 5 { // the answers to those there are
			w := call(g, request(t.Context(), "a", fmt.Sprint("k", i)))
			if w.Code != http.StatusCreated || w.Header().Get("Idempotent-Replayed") != "true" {
				t.Fatalf("retry of key %d: %d %s", i, w.Code, w.Body)
			}
		}
		if w := call(g, request(t.Context(), "a", "")); w.Code != http.StatusCreated {
			t.Fatalf("without a key: %d", w.Code)
		}
		if w := call(g, request(t.Context(), "b", "k5")); w.Code != http.StatusCreated {
			t.Fatalf("another scope: %d", w.Code)
		}
		time.Sleep(time.Hour) // they expire
		if w := call(g, request(t.Context(), "a", "k5")); w.Code != http.StatusCreated {
			t.Fatalf("when there is room again: %d %s", w.Code, w.Body)
		}
	})
}

// TestRetriesDoNotFillTheQuota: an estimate that counts them as keys is put
// right before anybody is refused.
func TestRetriesDoNotFillTheQuota(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, 3)
		for range 50 {
			if w := call(g, request(t.Context(), "a", "k1")); w.Code != http.StatusCreated {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		}
		time.Sleep(time.Second)
		for _, key := range []string{"k2", "k3"} {
			if w := call(g, request(t.Context(), "a", key)); w.Code != http.StatusCreated {
				t.Fatalf("%s: got %d %s", key, w.Code, w.Body)
			}
		}
		if g.store.lists > 5 {
			t.Errorf("%d counts", g.store.lists)
		}
	})
}

// TestAStoreThatCannotCount: the quota does not add an outage of its own.
func TestAStoreThatCannotCount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, 3)
		g.store.err = errors.New("disk I/O error")
		for i := range 10 {
			if w := call(g, request(t.Context(), "a", fmt.Sprint("k", i))); w.Code != http.StatusCreated {
				t.Fatalf("got %d %s", w.Code, w.Body)
			}
		}
		g.store.err = nil
		if w := call(g, request(t.Context(), "a", "more")); w.Code != http.StatusTooManyRequests {
			t.Fatalf("when it can count again: %d", w.Code)
		}
	})
}

// TestAFloodOfScopesIsForgotten: memory is bounded whoever comes, and the
// scopes that are at work keep what they have used.
func TestAFloodOfScopesIsForgotten(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	q := newQuota(t, quota.Config{
		Default: quota.Limits{RequestsPerSecond: 0.001, InFlight: 2, Stored: 10}, Store: store, MaxScopes: 100,
	})
	var h http.Handler
	inner := 0
	h = q.Middleware(byHeader, quota.Keys{})(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if inner++; inner == 1 { // a flood while the first request is under way
			for i := range 20_000 {
				if w := call(h, request(r.Context(), fmt.Sprint("scope ", i), "k")); w.Code != http.StatusCreated {
					t.Fatalf("scope %d: %d", i, w.Code)
				}
				if n := q.Scopes(); n > 100 {
					t.Fatalf("%d scopes are remembered", n)
				}
			}
		}
		w.WriteHeader(http.StatusCreated)
	}))
	call(h, request(t.Context(), "first", "k"))
	if w := call(h, request(t.Context(), "scope 19999", "k")); w.Code != http.StatusTooManyRequests {
		t.Errorf("the last scope got a second request through: %d", w.Code)
	}
}

func TestRefusalIsAProblem(t *testing.T) {
	t.Parallel()
	h := newQuota(t, quota.Config{Default: quota.Limits{RequestsPerSecond: 0.1}}).Middleware(byHeader, quota.Keys{})(ok)
	call(h, request(t.Context(), "a", "k"))
	w := call(h, request(t.Context(), "a", "k"))
	var p map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusTooManyRequests || p["code"] != "rate-limited" || p["limit"] != "requests" || p["retryable"] != true ||
		w.Header().Get("Retry-After") != "10" || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	if w := call(h, request(t.Context(), "", "k")); w.Code != http.StatusCreated {
		t.Errorf("a request without a scope is the guard's to refuse, got %d", w.Code)
	}
}

func TestConfigIsChecked(t *testing.T) {
	t.Parallel()
	for _, cfg := range []quota.Config{
		{Default: quota.Limits{RequestsPerSecond: -1}},
		{Default: quota.Limits{Burst: 5}},
		{Default: quota.Limits{InFlight: -1}},
		{Default: quota.Limits{Stored: 5}},
		{MaxScopes: -1},
	} {
		if _, err := quota.New(cfg); err == nil {
			t.Errorf("%+v was accepted", cfg)
		}
	}
}
