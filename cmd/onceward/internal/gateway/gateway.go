// Package gateway serves contract functions, and handlers that it is given,
// as HTTP endpoints whose writes happen exactly once.
//
// A request is authenticated and checked against the contract's own
// description before its key is claimed; the answer of an operation is made
// of the chain's result alone, so that a retry, another instance, or the
// recovery loop gives the same bytes.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
)

// Config of a Gateway.
type Config struct {
	Engine *onceward.Engine
	Routes []Route
	// Contracts and Submitter serve the contract routes; nil without any.
	Contracts *Contracts
	Submitter *soroban.Submitter
	// Relay is the endpoint that takes what users have signed; nil for none.
	Relay *RelayRoute
	// Authenticate names the principal of a request; its error is answered
	// with 401 and its text.
	Authenticate func(*http.Request) (*expr.Principal, error)
	// Scope names the scope of a principal's keys. Nil: the principal's id.
	Scope *expr.Program
	// Quota bounds what a scope may use, by ScopeOf, on a route with these
	// rules. Nil for no bound.
	Quota func(oncehttp.Options) func(http.Handler) http.Handler
	// Ready reports what the gateway depends on, by name; nil errors are well.
	Ready func(context.Context) map[string]error
	// Around wraps what runs inside an operation, for instance to trace it.
	// Default: nothing.
	Around func(http.Handler) http.Handler
	// Watched wraps the handler of a route, for instance to count its requests.
	// Default: nothing.
	Watched func(route string, h http.Handler) http.Handler
	// ReplayHeaders are kept and replayed beside those of oncehttp.
	ReplayHeaders []string
	// Problems are those that whatever is around the gateway answers.
	Problems []oncehttp.ProblemType
	// Description serves /openapi.json and /docs; nil for neither.
	Description http.Handler
	Log         *slog.Logger
}

// Gateway is an http.Handler. Use New.
type Gateway struct {
	cfg  Config
	mux  *http.ServeMux
	runs sync.WaitGroup // operations that may outlive their requests
	// accepted are the operations of this process that were answered with 202.
	accepted sync.Map // onceward.ID → struct{}
}

// New makes the endpoints of all routes. It starts nothing, and registers
// nothing with the engine: do that for every Kind of a contract route.
func New(cfg Config) (*Gateway, error) {
	if cfg.Around == nil {
		cfg.Around = func(h http.Handler) http.Handler { return h }
	}
	if cfg.Watched == nil {
		cfg.Watched = func(_ string, h http.Handler) http.Handler { return h }
	}
	g := &Gateway{cfg: cfg, mux: http.NewServeMux()}
	var published []oncehttp.PolicyRoute
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		r.params = expr.Params(r.Pattern)
		if err := g.add(r); err != nil {
			return nil, fmt.Errorf("route %q: %w", r.Pattern, err)
		}
		if r.Published {
			published = append(published, oncehttp.PolicyRoute{Pattern: r.Pattern, Options: r.Options, Problems: g.problemsOf(r)})
		}
	}
	if cfg.Relay != nil {
		route, err := g.relay(cfg.Relay)
		if err != nil {
			return nil, err
		}
		published = append(published, route)
	}
	for pattern, ask := range map[string]http.HandlerFunc{
		"GET /v1/operations": g.operationByKey, "GET /v1/operations/{id}": g.operationByID,
	} {
		g.mux.Handle(pattern, g.admit(&Route{Pattern: pattern}, ask))
	}
	g.mux.HandleFunc("GET /healthz", g.health)
	g.mux.HandleFunc("GET /readyz", g.ready)
	policy, err := oncehttp.PolicyHandler(cfg.Engine, published...)
	if err != nil {
		return nil, err
	}
	g.mux.Handle("GET "+PolicyPath, policy)
	if cfg.Description != nil {
		g.mux.Handle("GET /openapi.json", cfg.Description)
		g.mux.Handle("GET /docs", cfg.Description)
	}
	return g, nil
}

func (g *Gateway) add(r *Route) error {
	if r.Handler != nil {
		g.mux.Handle(r.Pattern, g.cfg.Watched(r.Pattern, keyed(r.Options, g.admit(r, r.Handler))))
		return nil
	}
	r.Options = g.options(r)
	r.Published = true
	var err error
	if r.requestID, err = g.cfg.Contracts.requestID(r); err != nil {
		return err
	}
	once, err := oncehttp.New(g.cfg.Engine, r.Options)
	if err != nil {
		return err
	}
	g.mux.Handle(r.Pattern, g.cfg.Watched(r.Pattern,
		own(keyed(r.Options, g.admit(r, g.checked(r, g.answered(r, once(g.cfg.Around(g.submit(r))))))))))
	return nil
}

// Wait blocks until the operations under way that outlive their requests have
// ended. Stop the Submitter first, which parks them.
func (g *Gateway) Wait() { g.runs.Wait() }

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h, pattern := g.mux.Handler(r); pattern == "" {
		own(unmatched(h)).ServeHTTP(w, r)
		return
	}
	g.mux.ServeHTTP(w, r)
}

// own marks answers that the gateway makes itself.
func own(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// unmatched turns the mux's own answer to a request without a route, 404 or
// 405, into a problem.
func unmatched(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r = oncehttp.WithKey(r, oncehttp.Options{Methods: []string{r.Method}}) // whatever it was meant for
		seen := &buffered{header: make(http.Header)}
		h.ServeHTTP(seen, r)
		if allow := seen.header.Get("Allow"); allow != "" {
			w.Header().Set("Allow", allow)
			about(codeMethodNotAllowed, "This endpoint takes "+allow+" only.").Write(w, r)
			return
		}
		about(codeNotFound, "There is no endpoint at this address. The documentation lists them; the policy is at "+PolicyPath+".").Write(w, r)
	})
}

func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	send(w, jsonResponse(http.StatusOK, "application/json", map[string]string{"status": "ok"}))
}

// Explained is an error of Config.Ready whose text anybody may read.
type Explained struct{ Err error }

func (e Explained) Error() string { return e.Err.Error() }

// Unwrap returns the error itself.
func (e Explained) Unwrap() error { return e.Err }

// ready says whether writes can be taken, and what is missing if not.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	status, parts := http.StatusOK, make(map[string]string)
	for name, err := range g.cfg.Ready(r.Context()) {
		parts[name] = "ok"
		if err != nil {
			status, parts[name] = http.StatusServiceUnavailable, "unavailable"
			if public, ok := errors.AsType[Explained](err); ok {
				parts[name] = public.Error()
			}
			g.cfg.Log.WarnContext(r.Context(), "not ready", "part", name, "err", err)
		}
	}
	w.Header().Set("Cache-Control", "no-store")
	send(w, jsonResponse(status, "application/json", parts))
}
