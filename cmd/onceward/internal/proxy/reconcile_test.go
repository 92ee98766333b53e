package proxy_test

import (
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
)

// The backend acts, or not, and loses its answer; then it is asked.
func TestReconcileAsksTheBackend(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status http.HandlerFunc
		edit   func(*proxy.Config)
		left   onceward.Status // after one pass; "" is released
		retry  int
		body   string // or the problem's code
		runs   int64
	}{
		{"it happened", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(proxy.HeaderOriginalStatus, "201")
			w.Header().Set("Location", "/things/1")
			w.Header().Set("Set-Cookie", "secret=1")
			_, _ = io.WriteString(w, "original")
		}, nil, onceward.StatusCompleted, 201, "original", 1},
		{"it never happened", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNotFound)
		}, nil, "", 200, "run 2", 2},
		{"nobody knows yet", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusAccepted)
		}, nil, onceward.StatusStarted, 409, "in-progress", 1},
		{"nobody will ever know", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
		}, func(c *proxy.Config) { c.GiveUpAfter = time.Nanosecond }, onceward.StatusHeld, 409, "outcome-unknown", 1},
		{"a redirect decides nothing", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}, nil, onceward.StatusStarted, 409, "in-progress", 1},
		{"an impossible status", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(proxy.HeaderOriginalStatus, "99")
		}, nil, onceward.StatusStarted, 409, "in-progress", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var runs atomic.Int64
			asked := make(chan string, 8)
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				if id, ok := strings.CutPrefix(r.URL.Path, "/status/"); ok {
					if r.Header.Get(proxy.HeaderOperation) == id && r.Header.Get(proxy.HeaderToken) != "" {
						asked <- id
					}
					tc.status(w, r)
					return
				}
				if n := runs.Add(1); n > 1 {
					_, _ = io.WriteString(w, "run 2")
					return
				}
				panic(http.ErrAbortHandler)
			})
			edits := []func(*proxy.Config){policy(onceward.Reconcile), func(c *proxy.Config) { c.StatusURL = b.URL + "/status/{id}" }}
			if tc.edit != nil {
				edits = append(edits, tc.edit)
			}
			g := newGate(t, b.URL, edits...)
			g.post("k", "pay").is(t, 502, "backend-failed")
			if _, err := g.eng.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if id := <-asked; id != (onceward.Key{Value: "k"}).ID().String() {
				t.Errorf("asked about %s", id)
			}
			rec, _ := g.record("k")
			if rec.Status != tc.left {
				t.Errorf("left %q, want %q (%s)", rec.Status, tc.left, rec.Reason)
			}
			a := g.post("k", "pay")
			a.is(t, tc.retry, tc.body)
			if tc.left == onceward.StatusCompleted {
				if a.header.Get("Location") != "/things/1" || a.header.Get("Set-Cookie") != "" || a.header.Get("Idempotent-Replayed") != "true" {
					t.Errorf("headers %v", a.header)
				}
			}
			if n := runs.Load(); n != tc.runs {
				t.Errorf("%d runs, want %d", n, tc.runs)
			}
		})
	}
}
