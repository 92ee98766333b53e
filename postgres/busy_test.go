package postgres_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/postgres"
)

// TestAFullQueueIsAnswered503: the server is stuck and the queue full; a client
// is told to come again, and its handler does not run.
func TestAFullQueueIsAnswered503(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{Writers: 1, MaxPending: 1})
	win(t, s, claimOf("prepared"))
	eng, err := onceward.New(s, onceward.Config{StoreTimeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	guard, err := oncehttp.New(eng, oncehttp.Options{Scope: oncehttp.SingleTenant})
	if err != nil {
		t.Fatal(err)
	}
	var ran atomic.Int32
	h := guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { ran.Add(1) }))
	lift := blockade(t, pool)
	first := claimAll(t.Context(), s, 1) // fills the queue
	await(t, pool, waiting, "Lock", 1)
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "/orders", strings.NewReader("{}"))
	r.Header.Set("Idempotency-Key", "late")
	h.ServeHTTP(w, r)
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"store-unavailable"`) || ran.Load() != 0 {
		t.Errorf("%d %v %s; the handler ran %d times", w.Code, w.Header(), w.Body, ran.Load())
	}
	lift()
	if err := <-first; err != nil {
		t.Error(err)
	}
}
