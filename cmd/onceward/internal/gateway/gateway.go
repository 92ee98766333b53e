// Package gateway serves contract functions as HTTP endpoints whose writes
// happen exactly once.
//
// A request is authenticated and checked against the contract's own
// description before its key is claimed; the answer of an operation is made
// of the chain's result alone, so that a retry, another instance, or the
// recovery loop gives the same bytes.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
)

// Config of a Gateway.
type Config struct {
	Engine    *onceward.Engine
	Contracts *Contracts
	Submitter *soroban.Submitter
	Routes    []Route
	// Scope names the principal of a request; its error is answered with 401.
	Scope func(*http.Request) (string, error)
	// Ready reports what the gateway depends on, by name; nil errors are well.
	Ready func(context.Context) map[string]error
	// Around wraps what runs inside an operation, and Reconciler what recovers
	// one, for instance to trace them. Default: nothing.
	Around     func(http.Handler) http.Handler
	Reconciler func(onceward.Reconciler) onceward.Reconciler
	// ReplayHeaders are kept and replayed beside those of oncehttp.
	ReplayHeaders []string
	Log           *slog.Logger
}

// Gateway is an http.Handler. Use New.
type Gateway struct {
	cfg Config
	mux *http.ServeMux
}

// New makes the endpoints of all routes and registers their recovery with the
// engine. It starts nothing.
func New(cfg Config) (*Gateway, error) {
	if cfg.Around == nil {
		cfg.Around = func(h http.Handler) http.Handler { return h }
	}
	if cfg.Reconciler == nil {
		cfg.Reconciler = func(r onceward.Reconciler) onceward.Reconciler { return r }
	}
	g := &Gateway{cfg: cfg, mux: http.NewServeMux()}
	var published []oncehttp.PolicyRoute
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		if err := cfg.Engine.Register(r.Kind, cfg.Reconciler(cfg.Submitter.Reconcile)); err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Pattern, err)
		}
		opts := g.options(r)
		published = append(published, oncehttp.PolicyRoute{Pattern: r.Pattern, Options: opts, Problems: Problems()})
		once, err := oncehttp.New(cfg.Engine, opts)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Pattern, err)
		}
		method, path, ok := strings.Cut(r.Pattern, " ")
		if !ok {
			return nil, fmt.Errorf("route %q needs the form METHOD /path", r.Pattern)
		}
		g.mux.Handle(r.Pattern, g.checked(r, once(cfg.Around(g.submit(r)))))
		g.mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Allow", method)
			problem{
				Code: codeMethodNotAllowed, Status: http.StatusMethodNotAllowed,
				Title: "This endpoint takes " + method + " only",
			}.write(w)
		})
	}
	g.mux.HandleFunc("GET /v1/operations", g.operationByKey)
	g.mux.HandleFunc("GET /v1/operations/{id}", g.operationByID)
	g.mux.HandleFunc("GET /healthz", g.health)
	g.mux.HandleFunc("GET /readyz", g.ready)
	g.mux.HandleFunc("/", notFound)
	policy, err := oncehttp.PolicyHandler(cfg.Engine, published...)
	if err != nil {
		return nil, err
	}
	g.mux.Handle("GET "+PolicyPath, policy)
	return g, nil
}

// Run blocks until ctx ends; then it parks the operations under way, for
// another instance or the next start to finish.
func (g *Gateway) Run(ctx context.Context) error {
	<-ctx.Done()
	g.cfg.Submitter.Stop()
	return nil
}

// ServeHTTP implements http.Handler.
func (g *Gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	g.mux.ServeHTTP(w, r)
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	problem{
		Code: codeNotFound, Status: http.StatusNotFound, Title: "There is nothing at this address",
		Detail: "The endpoints are listed in the documentation; the policy is at " + PolicyPath + ".",
	}.write(w)
}

func (g *Gateway) health(w http.ResponseWriter, _ *http.Request) {
	send(w, jsonResponse(http.StatusOK, "application/json", map[string]string{"status": "ok"}))
}

// ready says whether writes can be taken, and what is missing if not.
func (g *Gateway) ready(w http.ResponseWriter, r *http.Request) {
	status, parts := http.StatusOK, make(map[string]string)
	for name, err := range g.cfg.Ready(r.Context()) {
		parts[name] = "ok"
		if err != nil {
			status, parts[name] = http.StatusServiceUnavailable, "unavailable"
			g.cfg.Log.WarnContext(r.Context(), "not ready", "part", name, "err", err)
		}
	}
	send(w, jsonResponse(status, "application/json", parts))
}

// scoped returns the request's principal, or answers 401.
func (g *Gateway) scoped(w http.ResponseWriter, r *http.Request) (string, bool) {
	scope, err := g.cfg.Scope(r)
	if err != nil {
		w.Header().Set("WWW-Authenticate", "Bearer")
		problem{
			Code: codeUnauthorized, Status: http.StatusUnauthorized,
			Title: "The request is not authorized", Detail: err.Error(),
		}.write(w)
	}
	return scope, err == nil
}
