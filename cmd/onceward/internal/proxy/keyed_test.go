package proxy_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/oncehttp"
)

func TestAnswersAreKeptOrReleased(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		answer int
		edit   func(*proxy.Config)
		want   int
		body   string // or the problem's code
		left   onceward.Status
		again  int // what a retry gets
		runs   int64
	}{
		{"created", 201, nil, 201, "answer 1", onceward.StatusCompleted, 201, 1},
		{"redirect", 303, nil, 303, "answer 1", onceward.StatusCompleted, 303, 1},
		{"refused", 422, nil, 422, "answer 1", "", 422, 2},
		{"refused, all kept", 422, func(c *proxy.Config) { c.Keys.Replay = oncehttp.ReplayAll }, 422, "answer 1", onceward.StatusCompleted, 422, 1},
		{"error, hold", 500, nil, 502, "backend-error", onceward.StatusHeld, 409, 1},
		{"error, rerun", 503, policy(onceward.Rerun), 503, "answer 1", onceward.StatusStarted, 503, 2},
		{"error, all kept", 500, func(c *proxy.Config) { c.Keys.Replay = oncehttp.ReplayAll }, 500, "answer 1", onceward.StatusCompleted, 500, 1},
		{"error that promises", 500, func(c *proxy.Config) { c.ReleaseServerErrors = true }, 500, "answer 1", "", 500, 2},
		{"accepted is not final", 202, func(c *proxy.Config) {
			c.Keys.Replay = func(r *onceward.Response) bool { return r.Status == 200 }
		}, 202, "answer 1", "", 202, 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var runs atomic.Int64
			b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
				n := runs.Add(1)
				w.Header().Set("Content-Type", "text/x-answer")
				w.Header().Set("Idempotent-Replayed", "true") // not the backend's to say
				w.WriteHeader(tc.answer)
				fmt.Fprintf(w, "answer %d", n)
			})
			edits := []func(*proxy.Config){}
			if tc.edit != nil {
				edits = append(edits, tc.edit)
			}
			g := newGate(t, b.URL, edits...)
			g.srv.Client().CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			first := g.post("k", "pay")
			first.is(t, tc.want, tc.body)
			if first.header.Get("Idempotent-Replayed") != "" {
				t.Error("the first answer claims to be a replay")
			}
			rec, _ := g.record("k")
			if rec.Status != tc.left {
				t.Errorf("left %q, want %q", rec.Status, tc.left)
			}
			if tc.left == onceward.StatusHeld && !strings.Contains(rec.Reason, "answered 500") {
				t.Errorf("held because %q", rec.Reason)
			}
			second := g.post("k", "pay")
			if second.status != tc.again || runs.Load() != tc.runs {
				t.Errorf("a retry got %d after %d runs, want %d after %d", second.status, runs.Load(), tc.again, tc.runs)
			}
			if tc.left == onceward.StatusCompleted {
				if second.body != first.body || second.header.Get("Idempotent-Replayed") != "true" || second.header.Get("Content-Type") != "text/x-answer" {
					t.Errorf("replay %+v of %+v", second, first)
				}
			}
		})
	}
}

// Under rerun an attempt that failed half-way may have acted. A later attempt
// that reaches nobody, or is refused, proves nothing about it: the key must
// not become free for another request.
func TestALaterAttemptDoesNotReleaseWhatAnEarlierOneDid(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		if runs.Add(1) == 1 {
			panic(http.ErrAbortHandler) // it acted, and its answer is lost
		}
		w.WriteHeader(http.StatusConflict)
	})
	g := newGate(t, b.URL, policy(onceward.Rerun))
	g.post("k", "pay").is(t, 502, "backend-failed")
	if a := g.post("k", "pay"); a.status != http.StatusConflict {
		t.Errorf("second attempt: %d", a.status)
	}
	g.post("k", "another").is(t, 422, "key-reused")
	b.Close()
	if a := g.post("k", "pay"); a.status != http.StatusBadGateway { // refused, or broken if the hang-up is met half-way
		t.Errorf("third attempt: %d", a.status)
	}
	rec, ok := g.record("k")
	if !ok || rec.Attempt != 3 {
		t.Errorf("record %v, attempt %d", ok, rec.Attempt)
	}
	g.post("k", "another").is(t, 422, "key-reused")
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	for name, pol := range map[string]onceward.CrashPolicy{"hold": onceward.Hold, "rerun": onceward.Rerun} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			release := make(chan struct{})
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				if r.URL.Path == "/api/half" {
					w.WriteHeader(http.StatusOK)
					_, _ = io.WriteString(w, "half")
					_ = http.NewResponseController(w).Flush()
				}
				<-release
			})
			t.Cleanup(func() { close(release) })
			g := newGate(t, b.URL, policy(pol), func(c *proxy.Config) { c.Timeout = 200 * time.Millisecond })
			g.send(http.MethodGet, "/api", "").is(t, 504, "backend-timeout")
			for _, path := range []string{"/api/none", "/api/half"} {
				a := g.send(http.MethodPost, path, "pay", "Idempotency-Key", path)
				a.is(t, 504, "backend-timeout")
				rec, _ := g.record(path)
				want := map[onceward.CrashPolicy]onceward.Status{onceward.Hold: onceward.StatusHeld, onceward.Rerun: onceward.StatusStarted}[pol]
				if rec.Status != want {
					t.Errorf("left %q, want %q", rec.Status, want)
				}
			}
		})
	}
}

func TestAnAnswerThatBreaksOffIsUnknown(t *testing.T) {
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	g := newGate(t, b.URL)
	g.post("k", "pay").is(t, 502, "backend-failed")
	g.post("k", "pay").is(t, 409, "outcome-unknown")
}

// Answers of unknown length are kept; those that are too large, and event
// streams, go to the first client alone.
func TestWhatCanBeKeptIsKept(t *testing.T) {
	t.Parallel()
	first := make(chan struct{})
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/chunked":
			for range 3 {
				_, _ = io.WriteString(w, "part.")
				_ = http.NewResponseController(w).Flush()
			}
		case "/large":
			_, _ = io.WriteString(w, strings.Repeat("x", 100<<10))
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			_, _ = io.WriteString(w, "data: 1\n\n")
			_ = http.NewResponseController(w).Flush()
			<-first // the client has the first event before there is a second
			_, _ = io.WriteString(w, "data: 2\n\n")
		}
	})
	g := newGate(t, b.URL)
	g.send("POST", "/chunked", "x", "Idempotency-Key", "c").is(t, 200, "part.part.part.")
	g.send("POST", "/chunked", "x", "Idempotency-Key", "c").is(t, 200, "part.part.part.")
	g.send("POST", "/large", "x", "Idempotency-Key", "l").is(t, 200, strings.Repeat("x", 100<<10))
	g.send("POST", "/large", "x", "Idempotency-Key", "l").is(t, 409, "response-unavailable")

	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/events", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "e")
	res, err := g.srv.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	head := make([]byte, len("data: 1\n\n"))
	if _, err := io.ReadFull(res.Body, head); err != nil {
		t.Fatal(err)
	}
	close(first)
	rest, err := io.ReadAll(res.Body)
	if err != nil || string(head)+string(rest) != "data: 1\n\ndata: 2\n\n" {
		t.Errorf("events %q%q, %v", head, rest, err)
	}
	g.send("POST", "/events", "x", "Idempotency-Key", "e").is(t, 409, "response-unavailable")
}

func TestConcurrentRequestsReachTheBackendOnce(t *testing.T) {
	t.Parallel()
	var runs atomic.Int64
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %d", body, runs.Add(1))
	})
	g := newGate(t, b.URL, func(c *proxy.Config) { c.Keys.Wait = patience })
	var clients sync.WaitGroup
	for range 30 {
		clients.Go(func() { g.post("k", "pay").is(t, 200, "pay 1") })
	}
	clients.Wait()
}

// A client that hangs up changes nothing for the backend or for the record.
func TestAClientThatHangsUpLosesNothing(t *testing.T) {
	t.Parallel()
	arrived, goOn := make(chan struct{}), make(chan struct{})
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-goOn
		if r.Context().Err() != nil {
			t.Error("the backend's request was cancelled")
		}
		_, _ = io.WriteString(w, "paid")
	})
	g := newGate(t, b.URL, func(c *proxy.Config) { c.Keys.Wait = patience })
	g.impatient("k", "pay", arrived)
	close(goOn)
	g.post("k", "pay").is(t, 200, "paid")
}
