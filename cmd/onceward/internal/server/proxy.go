package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"slices"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/oncehttp"
)

// backends are the proxies of a generation that can be asked what became of an
// operation, by kind.
type backends map[string]*proxy.Proxy

// proxyRoute makes the handler of a proxy route.
func (s *Server) proxyRoute(out *gateway.Route, r *config.Route, asked backends) error {
	opts := &out.Options
	opts.Scope, opts.Kind, opts.Methods, opts.Logger = gateway.ScopeOf, r.Kind(), r.Methods, s.log
	opts.Policy, opts.FailOpen = onceward.CrashPolicy(r.CrashPolicy), r.FailOpen
	opts.ReplayHeaders = append(slices.Clone(r.ReplayHeaders), observe.HeaderTrace)
	if r.Replay == "all" {
		opts.Replay = oncehttp.ReplayAll
	}
	if len(r.NaturalKey) > 0 {
		opts.NaturalKey = naturalKey(r.NaturalKey)
	}
	cfg := proxy.Config{
		Engine: s.engine, Around: s.obs.Operation, Keys: *opts, Backend: r.Proxy, StripPrefix: r.StripPrefix, Host: r.ProxyHost,
		Timeout: r.ProxyTimeout.Std(), MaxConns: r.MaxConns, StatusURL: r.StatusURL, Log: s.log,
	}
	for _, network := range r.Trusted {
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return fmt.Errorf("trusted_proxies: %w", err)
		}
		cfg.TrustedProxies = append(cfg.TrustedProxies, prefix)
	}
	var err error
	if cfg.TLS, err = backendTLS(r.ProxyCAFile); err != nil {
		return fmt.Errorf("proxy_ca_file: %w", err)
	}
	p, err := proxy.New(cfg)
	if err != nil {
		return err
	}
	if opts.Policy == onceward.Reconcile {
		asked[r.Kind()] = p
	}
	out.Handler, out.Options, out.Published, out.Problems = p, p.Options(), true, proxy.Problems()
	if r.When != nil {
		out.Handler = guardedWhen(r.When.Program, p)
	}
	return nil
}

// guardedWhen guards only the requests for which the expression is true. One
// that cannot be evaluated is guarded.
func guardedWhen(when *expr.Program, p *proxy.Proxy) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if guard, err := when.EvalBool(r.Context(), gateway.InputOf(r.Context())); err == nil && !guard {
			p.Pass(w, r)
			return
		}
		p.ServeHTTP(w, r)
	})
}

// naturalKey names the operation of a request by the values of expressions.
func naturalKey(parts []config.Expr) func(*http.Request, []byte) ([]string, error) {
	return func(r *http.Request, body []byte) ([]string, error) {
		in := gateway.InputOf(r.Context())
		var err error
		if in.Body, err = expr.ParseBody(body); err != nil {
			return nil, fmt.Errorf("the body is not JSON that a natural key can be read from: %w", err)
		}
		out := make([]string, len(parts))
		for i, e := range parts {
			v, err := e.Eval(r.Context(), in)
			if err != nil {
				return nil, err
			}
			if out[i], err = expr.Part(v); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
}

// backendTLS trusts the authorities in a PEM file, or the system's.
func backendTLS(caFile string) (*tls.Config, error) {
	if caFile == "" {
		return nil, nil //nolint:nilnil // the defaults
	}
	pem, err := os.ReadFile(caFile) //nolint:gosec // the operator's file
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", caFile)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}, nil
}

// reconcileProxied asks the backend of the configuration in force.
func (s *Server) reconcileProxied(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
	if g := s.current.Load(); g != nil {
		if p := g.backends[op.Kind()]; p != nil {
			return p.Reconcile(ctx, op)
		}
	}
	return onceward.Verdict{}, fmt.Errorf("%w: no backend is configured for %q any more", onceward.ErrPark, op.Kind())
}
