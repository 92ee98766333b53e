package seal_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

// gateway is a guarded handler on a sealed store, with keyed fingerprints.
func gateway(t *testing.T, s *seal.Store, runs *int) http.Handler {
	t.Helper()
	eng, err := onceward.New(s, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	secret, err := s.FingerprintSecret()
	if err != nil {
		t.Fatal(err)
	}
	once, err := oncehttp.New(eng, oncehttp.Options{
		Scope: func(*http.Request) (string, error) { return "alice", nil }, Secret: secret.Reveal(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return once(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		*runs++
		w.WriteHeader(http.StatusCreated)
	}))
}

func order(ctx context.Context, h http.Handler, body string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/orders", strings.NewReader(body))
	r.Header.Set("Idempotency-Key", "k1")
	r.Header.Set("Content-Type", "application/json")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// TestFingerprintsAreKeyed: nobody who reads the store can try out what was
// asked for, another store gives another fingerprint, and a retry is known on
// another gateway and after the keyring has rotated.
func TestFingerprintsAreKeyed(t *testing.T) {
	t.Parallel()
	const body = `{"amount":"100"}`
	fingerprint := func(inner onceward.Store) []byte {
		t.Helper()
		rec, err := get(t, inner, onceward.Key{Scope: "alice", Value: "k1"})
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(body))
		if bytes.Contains(rec.Detail, sum[:8]) {
			t.Error("the stored detail has the plain hash of the body")
		}
		return rec.Fingerprint
	}
	runs := 0
	first, second := memstore.New(), memstore.New()
	ring := newKeyring(t)
	if w := order(t.Context(), gateway(t, open(t, first, ring, seal.Config{}), &runs), body); w.Code != http.StatusCreated {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	order(t.Context(), gateway(t, open(t, second, ring, seal.Config{}), &runs), body)
	if bytes.Equal(fingerprint(first), fingerprint(second)) {
		t.Error("two stores have one fingerprint for a request: it is not keyed by the store")
	}
	next, id, err := ring.Add()
	if err != nil {
		t.Fatal(err)
	}
	if next, err = next.Promote(id); err != nil {
		t.Fatal(err)
	}
	rotated := open(t, first, next, seal.Config{})
	if _, err := rotated.Rewrap(t.Context()); err != nil {
		t.Fatal(err)
	}
	h := gateway(t, rotated, &runs)
	if w := order(t.Context(), h, body); w.Header().Get("Idempotent-Replayed") != "true" {
		t.Errorf("the retry got %d %s", w.Code, w.Body)
	}
	if w := order(t.Context(), h, `{"amount":"999"}`); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), "/amount") {
		t.Errorf("another payload got %d %s", w.Code, w.Body)
	}
	if runs != 2 {
		t.Errorf("%d runs", runs)
	}
}
