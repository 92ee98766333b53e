package server

import (
	"fmt"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/oncehttp"
)

// routes turns what the file says into what the gateway serves.
func (s *Server) routes(cfg *config.Config, asked backends) ([]gateway.Route, error) {
	out := make([]gateway.Route, len(cfg.Routes))
	for i := range cfg.Routes {
		r := &cfg.Routes[i]
		route := gateway.Route{Pattern: r.Match, Kind: r.Kind(), Options: keyRules(r)}
		if r.Allow != nil {
			route.Allow = r.Allow.Program
		}
		route.Options.Secret, route.Options.PriorSecrets = s.fingerprint, s.prior
		if r.IsContract() {
			if err := s.contractRoute(&route, r); err != nil {
				return nil, fmt.Errorf("route %q: %w", r.Match, err)
			}
		} else if err := s.proxyRoute(&route, r, asked); err != nil {
			return nil, fmt.Errorf("route %q: %w", r.Match, err)
		}
		out[i] = route
	}
	return out, nil
}

// keyRules are the rules of keys that both kinds of routes have.
func keyRules(r *config.Route) oncehttp.Options {
	opts := oncehttp.Options{
		Header: r.KeyHeader, BodyKey: r.KeyMember, StrictKeys: r.StrictKeys, Optional: r.Key == "optional",
		Retention: r.TTL.Std(), Wait: r.Wait.Std(), MaxBodyBytes: int64(r.MaxRequestBody),
	}
	if c := r.Compare; c != nil {
		opts.CanonicalJSON, opts.Fields = c.CanonicalJSON, c.Fields
	}
	return opts
}

func (s *Server) contractRoute(out *gateway.Route, r *config.Route) error {
	out.Contract, out.Function, out.Signer, out.SyncTimeout = r.Contract, r.Function, r.Signer, r.SyncTimeout.Std()
	out.Args = make(map[string]*expr.Program, len(r.Args))
	for param, e := range r.Args {
		out.Args[param] = e.Program
	}
	out.Ignore = make(map[string]int, len(r.Ignore))
	for member, size := range r.Ignore {
		out.Ignore[member] = int(size)
	}
	for _, e := range r.NaturalKey {
		out.NaturalKey = append(out.NaturalKey, e.Program)
	}
	if id := r.RequestID; id != nil {
		out.RequestID = &gateway.RequestID{Param: id.Param, Executed: id.Executed}
	}
	for i, b := range r.Budgets {
		budget, err := s.budget(fmt.Sprintf("route %s %d", budgetOwner(r.Kind()), i), b.Limit, b.Window.Std())
		if err != nil {
			return fmt.Errorf("budgets[%d]: %w", i, err)
		}
		out.Limits = append(out.Limits, gateway.Limit{Param: b.Param, Budget: budget})
	}
	method, _, _ := splitMethod(r.Match)
	out.Options.Methods = []string{method}
	return nil
}

func splitMethod(pattern string) (method, rest string, ok bool) {
	for i := range len(pattern) {
		if pattern[i] == ' ' {
			return pattern[:i], pattern[i+1:], true
		}
	}
	return "", pattern, false
}
