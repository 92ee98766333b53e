package oncehttp_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// TestReplaysAreEqual: an answer from memory is that from the store.
func TestReplaysAreEqual(t *testing.T) {
	t.Parallel()
	h := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x-thing")
		w.Header()["Vary"] = []string{"Accept", "Origin"}
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("made"))
	}
	memory := newSite(t, onceward.Config{}, oncehttp.Options{CanonicalJSON: true}, h)
	stored, spy := newSpied(t, onceward.Config{}, oncehttp.Options{CanonicalJSON: true}, h)
	if _, ok := spy.Store.(onceward.Recaller); !ok {
		t.Fatal("the memory store is no Recaller")
	}
	for _, s := range []*site{memory, stored} {
		s.post("k", `{"a":1}`).want(t, 201, "made")
	}
	a, b := memory.post("k", `{"a":1.0}`), stored.post("k", ` {"a":1}`)
	a.want(t, 201, "made")
	b.want(t, 201, "made")
	for _, r := range []reply{a, b} {
		if !r.replayed() {
			t.Errorf("not a replay: %v", r.Header)
		}
		r.Header.Del("Date")
		r.Header.Del(oncehttp.HeaderExpires) // may differ by a second
	}
	if fmt.Sprint(a.Header) != fmt.Sprint(b.Header) {
		t.Errorf("from memory\n%v\nfrom the store\n%v", a.Header, b.Header)
	}
}

// TestReplaysShareNothing: whoever changes the header of one answer in place, or
// keeps it, does not see another one's.
func TestReplaysShareNothing(t *testing.T) {
	t.Parallel()
	eng := newEngine(t)
	inner := guard(t, eng, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "/of/"+r.Header.Get("Idempotency-Key"))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write([]byte("body of " + r.Header.Get("Idempotency-Key")))
	})
	ask := func(key string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(`{"key":"`+key+`"}`))
		r.Header.Set("Idempotency-Key", key)
		r.Header.Set("Content-Type", "application/json")
		w := httptest.NewRecorder()
		inner.ServeHTTP(w, r)
		return w
	}
	const keys = 16
	for i := range keys {
		ask(fmt.Sprint("key-", i))
	}
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key := fmt.Sprint("key-", i)
			for range 200 {
				w := ask(key)
				h := w.Header() // what an outer layer sees afterwards
				if w.Code != 201 || h.Get("Location") != "/of/"+key || w.Body.String() != "body of "+key || h.Get(oncehttp.HeaderReplayed) != "true" {
					t.Errorf("%s: %d %v %s", key, w.Code, h, w.Body)
					return
				}
				for _, values := range h {
					values[0] = "changed by an outer layer"
				}
			}
		})
	}
	all.Wait()
}
