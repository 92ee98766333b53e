package main_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/quota"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/oncetest"
)

// provoked is a problem, and whose it is.
type provoked struct {
	answer
	server *server
	key    string // that it must repeat
}

// TestEveryProblem provokes each problem that the gateway describes, and finds
// in it whatever a problem has. Beside that, the harness holds every answer
// against openapi.json.
func TestEveryProblem(t *testing.T) {
	t.Parallel()
	missing := listed()
	for code := range missing {
		if provokers[code] == nil && onChain[code] == nil {
			t.Errorf("nothing here provokes %s", code)
		}
	}
	for code, provoke := range provokers {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			whole(t, code, provoke(t))
		})
	}
	t.Run("chain", func(t *testing.T) {
		t.Parallel()
		c := newChained(t)
		for code, provoke := range onChain {
			t.Run(string(code), func(t *testing.T) { whole(t, code, provoke(t, c)) }) //nolint:paralleltest // they make one chain fail
		}
		whole(t, "invalid-request", provoked{c.post("/v1/rewards", "", `{"to":1,"amount":"1","key":"in-the-body"}`), c.server, "in-the-body"})
	})
}

// whole finds everything that a problem has.
func whole(t *testing.T, code onceward.Code, p provoked) {
	t.Helper()
	kind, known := listed()[code]
	if !known {
		t.Fatalf("%s is not described", code)
	}
	got := p.problem(t)
	for name, want := range map[string]any{
		"code": string(code), "status": float64(kind.Status), "title": kind.Title, "type": gatewayPolicy + "#" + string(code),
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	for _, name := range []string{"detail", "instance"} {
		if s, _ := got[name].(string); s == "" {
			t.Errorf("there is no %s", name)
		}
	}
	if key, _ := got["idempotency_key"].(string); key != p.key {
		t.Errorf("the key is %q, want %q", key, p.key)
	}
	retryable, ok := got["retryable"].(bool)
	if !ok || kind.Retryable && !retryable || retryable != (p.header.Get("Retry-After") != "") {
		t.Errorf("retryable is %v, the catalogue has %v; Retry-After %q", got["retryable"], kind.Retryable, p.header.Get("Retry-After"))
	}
	if links := p.header.Values("Link"); p.status != kind.Status || len(links) != 1 || links[0] != "<"+gatewayPolicy+`>; rel="describedby"` {
		t.Errorf("status %d, links %q", p.status, links)
	}
	if p.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a cache may keep it: %v", p.header)
	}
	if p.server == nil {
		return // in front of every route
	}
	if page := p.server.get(gatewayPolicy); !strings.Contains(page.body, `id="`+string(code)+`"`) {
		t.Errorf("the policy page does not explain %s", code)
	}
}

// The page for users names every problem, with its status and whether to ask
// again.
func TestEveryProblemIsOnThePage(t *testing.T) {
	t.Parallel()
	page := readFile(t, "../../docs/http-api.md")
	for code, kind := range listed() {
		row := fmt.Sprintf("| `%s` | %d |", code, kind.Status)
		_, rest, found := strings.Cut(page, "\n"+row)
		rest, _, _ = strings.Cut(rest, "\n")
		if !found || kind.Retryable != strings.HasSuffix(rest, "| yes |") {
			t.Errorf("docs/http-api.md has no row %s that says whether it is retryable (%v)", row, kind.Retryable)
		}
	}
}

const gatewayPolicy = "/idempotency-policy"

// order sends an order with the key k to a gateway, and returns a further
// answer to the same order after the first n.
func order(t *testing.T, f fronted, n int, header ...string) provoked {
	t.Helper()
	s := f.serve(t)
	for range n {
		s.post("/orders", "k", "{}", header...)
	}
	return provoked{s.post("/orders", "k", "{}", header...), s, "k"}
}

func created(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.WriteHeader(http.StatusCreated)
}

// hangUp takes a request and closes the connection.
func hangUp(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

func failsAt(op oncetest.Op) func(oncetest.Op, int) oncetest.Fault {
	return func(asked oncetest.Op, _ int) oncetest.Fault {
		if asked == op {
			return oncetest.FailBefore
		}
		return oncetest.Pass
	}
}

// provokers bring about what needs no chain.
var provokers = map[onceward.Code]func(*testing.T) provoked{
	onceward.CodeKeyMissing: func(t *testing.T) provoked {
		s := fronted{}.serve(t)
		return provoked{s.post("/orders", "", "{}"), s, ""}
	},
	onceward.CodeKeyInvalid: func(t *testing.T) provoked {
		s := fronted{}.serve(t)
		return provoked{s.post("/orders", "", "{}", "Idempotency-Key", "a b"), s, ""}
	},
	onceward.CodeInProgress: inProgress,
	onceward.CodeKeyReused: func(t *testing.T) provoked {
		s := fronted{backend: created}.serve(t)
		s.post("/orders", "k", "{}")
		return provoked{s.post("/orders", "k", "[]"), s, "k"}
	},
	onceward.CodeOutcomeUnknown: func(t *testing.T) provoked { return order(t, fronted{backend: hangUp}, 1) },
	onceward.CodeResponseUnavailable: func(t *testing.T) provoked {
		return order(t, fronted{engine: onceward.Config{MaxResponseBytes: 16}, backend: func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", 64))
		}}, 1)
	},
	onceward.CodeKeyExpired: func(t *testing.T) provoked {
		s, old := fronted{}.serve(t), "018bcfe5-6800-7000-8000-000000000000"
		return provoked{s.post("/orders", old, "{}"), s, old}
	},
	onceward.CodePayloadTooLarge: func(t *testing.T) provoked {
		return order(t, fronted{keys: oncehttp.Options{MaxBodyBytes: 1}}, 0)
	},
	onceward.CodeRateLimited: func(t *testing.T) provoked {
		return order(t, fronted{backend: created, limits: quota.Limits{RequestsPerSecond: 1e-6, Burst: 1}}, 1)
	},
	onceward.CodeStoreUnavailable: func(t *testing.T) provoked { return order(t, fronted{plan: failsAt(oncetest.OpClaim)}, 0) },
	onceward.CodeOutcomeUnrecorded: func(t *testing.T) provoked {
		return order(t, fronted{engine: onceward.Config{CompleteTimeout: time.Millisecond}, backend: created, plan: failsAt(oncetest.OpComplete)}, 0)
	},
	oncehttp.CodePayloadInvalid: func(t *testing.T) provoked {
		s := fronted{keys: oncehttp.Options{CanonicalJSON: true}}.serve(t)
		return provoked{s.post("/orders", "k", `{"a":1,"a":2}`), s, "k"}
	},
	oncehttp.CodeInternal: func(t *testing.T) provoked { // nobody has registered with the engine
		return order(t, fronted{keys: oncehttp.Options{Policy: onceward.Reconcile}, status: "http://127.0.0.1:1/{id}"}, 0)
	},
	oncehttp.CodeUnauthorized: func(t *testing.T) provoked { return order(t, fronted{}, 0, "Authorization", "Bearer nobody") },
	"auth-unavailable":        func(t *testing.T) provoked { return order(t, fronted{}, 0, "Authorization", "Bearer untold") },
	"forbidden":               func(t *testing.T) provoked { return order(t, fronted{allow: `request.method != "POST"`}, 0) },
	"not-found": func(t *testing.T) provoked {
		s := fronted{}.serve(t)
		s.get("/v1/operations?key=k").is(t, "a key that nobody has used", http.StatusNotFound, "not-found")
		return provoked{s.post("/nowhere", "k", "{}"), s, "k"}
	},
	"method-not-allowed": func(t *testing.T) provoked {
		s := fronted{}.serve(t)
		a := s.get("/orders", "Idempotency-Key", "k")
		if a.header.Get("Allow") != "POST" {
			t.Errorf("%v", a.header)
		}
		return provoked{a, s, "k"}
	},
	"backend-unreachable": func(t *testing.T) provoked { return order(t, fronted{}, 0) },
	"backend-failed":      func(t *testing.T) provoked { return order(t, fronted{backend: hangUp}, 0) },
	"backend-timeout": func(t *testing.T) provoked {
		return order(t, fronted{timeout: 50 * time.Millisecond, backend: func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		}}, 0)
	},
	"backend-error": func(t *testing.T) provoked {
		return order(t, fronted{backend: func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }}, 0)
	},
	oncehttp.CodeRequestTimeout: stalled,
	serving.CodeBusy:            busy,
}

func inProgress(t *testing.T) provoked {
	taken, finish := make(chan struct{}, 1), make(chan struct{})
	s := fronted{backend: func(w http.ResponseWriter, r *http.Request) {
		taken <- struct{}{}
		<-finish
		created(w, r)
	}}.serve(t)
	var first sync.WaitGroup
	first.Go(func() {
		if a, err := s.call(t.Context(), http.MethodPost, "/orders", "{}", "Idempotency-Key", "k"); err != nil || a.status != http.StatusCreated {
			t.Errorf("the first: %v %d %s", err, a.status, a.body)
		}
	})
	<-taken
	out := provoked{s.post("/orders", "k", "{}"), s, "k"}
	close(finish)
	first.Wait()
	return out
}

// behind serves h behind the limits that every listener has.
func behind(t *testing.T, limits serving.Limits, h http.HandlerFunc) *server {
	t.Helper()
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(t, err)
	group := serving.NewGroup(slog.New(slog.DiscardHandler))
	group.Serve(serving.Server{Name: "api", Listener: l, Limits: limits, Handler: h})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- group.Wait(ctx) }()
	t.Cleanup(func() {
		stop()
		must(t, <-ended)
	})
	return &server{t: t, api: "http://" + l.Addr().String(), log: &lockedBuffer{}}
}

// busy fills a server that has one place.
func busy(t *testing.T) provoked {
	taken, finish := make(chan struct{}, 1), make(chan struct{})
	s := behind(t, serving.Limits{MaxRequests: 1}, func(w http.ResponseWriter, r *http.Request) {
		taken <- struct{}{}
		<-finish
		created(w, r)
	})
	var first sync.WaitGroup
	first.Go(func() {
		if a, err := s.call(t.Context(), http.MethodPost, "/", "{}"); err != nil || a.status != http.StatusCreated {
			t.Errorf("the first: %v %d %s", err, a.status, a.body)
		}
	})
	<-taken
	out := provoked{s.post("/", "k", "{}"), nil, "k"}
	close(finish)
	first.Wait()
	return out
}

// stalled announces a body that never comes.
func stalled(t *testing.T) provoked {
	s := behind(t, serving.Limits{BodyTimeout: 50 * time.Millisecond}, created)
	rest, body := io.Pipe()
	defer body.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.api+"/", rest)
	must(t, err)
	req.ContentLength = 10
	req.Header.Set("Idempotency-Key", "k")
	res, err := http.DefaultClient.Do(req)
	must(t, err)
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	must(t, err)
	return provoked{answer{res.StatusCode, res.Header, string(data)}, nil, "k"}
}
