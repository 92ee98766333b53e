package oncehttp_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Every row of the table, over HTTP. provoke returns the answer that is the
// problem.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	type row struct {
		code      onceward.Code
		status    int
		retryable bool
		key       string // that the problem repeats
		provoke   func(t *testing.T) reply
	}
	rows := []row{
		{onceward.CodeKeyMissing, 400, false, "", func(t *testing.T) reply {
			return newSite(t, onceward.Config{}, oncehttp.Options{}, unreachable(t)).call("POST", "/", "{}")
		}},
		{onceward.CodeKeyInvalid, 400, false, "", func(t *testing.T) reply {
			return newSite(t, onceward.Config{}, oncehttp.Options{}, unreachable(t)).post("a b", "{}")
		}},
		{onceward.CodeInProgress, 409, true, "k", inProgress},
		{onceward.CodeKeyReused, 422, false, "k", func(t *testing.T) reply {
			s := newSite(t, onceward.Config{}, oncehttp.Options{}, saying(200, "ok"))
			s.post("k", `{"a":1}`).want(t, 200, "ok")
			return s.post("k", `{"a":2}`)
		}},
		{onceward.CodeOutcomeUnknown, 409, false, "k", func(t *testing.T) reply {
			s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
				if err := onceward.FromContext(r.Context()).Checkpoint(r.Context(), "paid", nil); err != nil {
					t.Error(err)
				}
				w.Header().Set("Set-Cookie", "a=b")
				http.Error(w, "backend lost", http.StatusBadGateway)
			})
			s.post("k", "{}").problem(t, 409, onceward.CodeOutcomeUnknown)
			return s.post("k", "{}")
		}},
		{onceward.CodeResponseUnavailable, 409, false, "k", func(t *testing.T) reply {
			s := newSite(t, onceward.Config{MaxResponseBytes: 4}, oncehttp.Options{}, saying(201, "too long"))
			s.post("k", "{}").want(t, 201, "too long")
			r := s.post("k", "{}")
			if p := r.problem(t, 409, onceward.CodeResponseUnavailable); p["original_status"] != 201.0 {
				t.Error(p)
			}
			return r
		}},
		{onceward.CodeKeyExpired, 410, false, "018bcfe5-6800-7000-8000-000000000000", func(t *testing.T) reply {
			s := newSite(t, onceward.Config{}, oncehttp.Options{}, unreachable(t))
			return s.post("018bcfe5-6800-7000-8000-000000000000", "{}")
		}},
		{onceward.CodePayloadTooLarge, 413, false, "k", func(t *testing.T) reply {
			s := newSite(t, onceward.Config{}, oncehttp.Options{MaxBodyBytes: 8}, unreachable(t))
			return s.post("k", "123456789")
		}},
		{onceward.CodeRateLimited, 429, true, "k2", rateLimited},
		{onceward.CodeStoreUnavailable, 503, true, "k", func(t *testing.T) reply {
			s, store := newSpied(t, onceward.Config{}, oncehttp.Options{}, unreachable(t))
			store.set(failing("claim"))
			return s.post("k", "{}")
		}},
		{onceward.CodeOutcomeUnrecorded, 503, true, "k", func(t *testing.T) reply {
			s, store := newSpied(t, onceward.Config{CompleteTimeout: time.Millisecond}, oncehttp.Options{},
				func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Set-Cookie", "session=1")
					w.Header().Set("Content-Encoding", "br")
					fmt.Fprint(w, "done")
				})
			store.set(failing("complete"))
			r := s.post("k", "{}")
			if r.Header.Get("Set-Cookie") != "" || r.Header.Get("Content-Encoding") != "" {
				t.Errorf("the handler's header is on the problem: %v", r.Header)
			}
			return r
		}},
		{oncehttp.CodePayloadInvalid, 400, false, "k", func(t *testing.T) reply {
			s := newSite(t, onceward.Config{}, oncehttp.Options{CanonicalJSON: true}, unreachable(t))
			return s.post("k", `{"a":1,"a":2}`)
		}},
		{oncehttp.CodeRequestTimeout, 408, true, "k", stalled},
		{oncehttp.CodeUnauthorized, 401, false, "", func(t *testing.T) reply {
			scope := func(*http.Request) (string, error) { return "", errors.New("secret reason") }
			r := newSite(t, onceward.Config{}, oncehttp.Options{Scope: scope}, unreachable(t)).post("k", "{}")
			if strings.Contains(r.body, "secret") {
				t.Error(r.body)
			}
			return r
		}},
		{oncehttp.CodeInternal, 500, false, "k", func(t *testing.T) reply {
			opts := oncehttp.Options{Policy: onceward.Reconcile, Kind: "unregistered"}
			return newSite(t, onceward.Config{}, opts, unreachable(t)).post("k", "{}")
		}},
	}
	table := oncehttp.Problems()
	if len(rows) != len(table) {
		t.Fatalf("%d rows for %d problems", len(rows), len(table))
	}
	for i, row := range rows {
		t.Run(string(row.code), func(t *testing.T) {
			t.Parallel()
			if got := table[i]; got.Code != row.code || got.Status != row.status || got.Retryable != row.retryable {
				t.Fatalf("the table says %+v", got)
			}
			r := row.provoke(t)
			p := r.problem(t, row.status, row.code)
			if p["retryable"] != row.retryable || p["type"] != "/idempotency-policy#"+string(row.code) {
				t.Error(p)
			}
			if key, _ := p["idempotency_key"].(string); key != row.key {
				t.Errorf("idempotency_key %q, want %q", key, row.key)
			}
			for _, name := range []string{"title", "detail", "instance"} {
				if s, _ := p[name].(string); s == "" {
					t.Errorf("no %s: %v", name, p)
				}
			}
			if !strings.HasPrefix(p["instance"].(string), "urn:uuid:") {
				t.Error(p["instance"])
			}
			after, err := strconv.Atoi(r.Header.Get("Retry-After"))
			if row.retryable != (err == nil && after >= 1) {
				t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
			}
			expires, err := http.ParseTime(r.Header.Get(oncehttp.HeaderExpires))
			switch in := time.Until(expires); {
			case row.code == onceward.CodeKeyMissing || row.code == onceward.CodeKeyInvalid || row.code == oncehttp.CodeUnauthorized:
				if err == nil {
					t.Errorf("a key that there is not expires at %v", expires)
				}
			case err != nil || row.code == onceward.CodeKeyExpired != (in < 0) || in > 24*time.Hour || in > 0 && in < 23*time.Hour:
				t.Errorf("expires at %v, %v", expires, err)
			}
			if !slices.Contains(r.Header["Link"], `</idempotency-policy>; rel="describedby"`) {
				t.Errorf("Link %q", r.Header["Link"])
			}
		})
	}
}

// stalled sends a body that stops coming, to a server that has no patience.
func stalled(t *testing.T) reply {
	h := guard(t, newEngine(t), oncehttp.Options{}, unreachable(t))
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)); err != nil {
			t.Error(err)
		}
		h.ServeHTTP(w, r)
	}))
	defer srv.Close()
	rest, body := io.Pipe()
	defer body.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, rest)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", "k")
	return do(t, req)
}

// unreachable is a handler that may not run.
func unreachable(t testing.TB) http.HandlerFunc {
	return func(http.ResponseWriter, *http.Request) { t.Error("the handler was run") }
}

// busy is a site whose handler says that it runs, and waits.
func busy(t *testing.T, cfg onceward.Config) (s *site, running, finish chan struct{}) {
	running, finish = make(chan struct{}), make(chan struct{})
	s = newSite(t, cfg, oncehttp.Options{}, func(http.ResponseWriter, *http.Request) {
		close(running)
		<-finish
	})
	return s, running, finish
}

func inProgress(t *testing.T) reply {
	s, running, finish := busy(t, onceward.Config{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.post("k", "{}")
	}()
	<-running
	defer func() { close(finish); <-done }()
	s.post("k", `{"other":1}`).problem(t, 422, onceward.CodeKeyReused)
	return s.post("k", "{}")
}

func rateLimited(t *testing.T) reply {
	s, running, finish := busy(t, onceward.Config{MaxInFlightPerScope: 1})
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.post("k1", "{}")
	}()
	<-running
	defer func() { close(finish); <-done }()
	return s.post("k2", "{}")
}

func TestWriteProblemInsideAHandlerKnowsItsRoute(t *testing.T) {
	t.Parallel()
	opts := oncehttp.Options{PolicyURL: "https://api.example/policy"}
	s := newSite(t, onceward.Config{}, opts, func(w http.ResponseWriter, r *http.Request) {
		oncehttp.WriteProblem(w, r, fmt.Errorf("wrapped: %w", &oncehttp.Problem{
			Code: "contract-rejected", Status: 422, Title: "Contract rejected", Detail: "It said no.",
			Extensions: map[string]any{"contract_error": 7, "status": "forged"},
		}))
	})
	p := s.post("k", "{}").problem(t, 422, "contract-rejected")
	if p["type"] != "https://api.example/policy#contract-rejected" || p["idempotency_key"] != "k" || p["contract_error"] != 7.0 {
		t.Fatal(p)
	}
}

func TestProblemOutsideTheMiddleware(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
		oncehttp.WriteProblem(w, r, errors.New("password in here"))
	})
	r := s.call("GET", "/", "")
	p := r.problem(t, 500, oncehttp.CodeInternal)
	if strings.Contains(r.body, "password") || p["type"] != "/idempotency-policy#internal" {
		t.Fatal(r.body)
	}
	p2 := &oncehttp.Problem{Extensions: map[string]any{"bad": func() {}}}
	s = newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) { p2.Write(w, r) })
	s.call("GET", "/", "").problem(t, 500, "")
}

func TestFail(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "dropped")
		guarded := oncehttp.Fail(r, &oncehttp.Problem{Code: "teapot", Status: 418})
		if guarded != (r.Method == "POST") {
			t.Errorf("%s: guarded %v", r.Method, guarded)
		}
	})
	s.post("k", "{}").problem(t, 418, "teapot")
	if _, err := s.eng.Get(t.Context(), onceward.Key{Value: "k"}); !errors.Is(err, onceward.ErrNotFound) {
		t.Fatal("the key was not released:", err)
	}
	s.call("GET", "/", "").want(t, 200, "dropped")
}
