package server

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"strings"
	"sync"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
)

// generation is what one configuration serves.
type generation struct {
	cfg     *config.Config
	gateway *gateway.Gateway
	quota   func(oncehttp.Options) func(http.Handler) http.Handler
	chain   *chain    // shared with the generation before, when it did not change
	tokens  *auth.JWT // likewise; nil when none are accepted

	relay    *soroban.Relay // nil for none
	backends backends

	mu       sync.Mutex
	requests int
	retired  chan struct{} // closed when no request is left
	old      bool
}

// first puts the first configuration in force.
func (s *Server) first(ctx context.Context) error {
	g, err := s.build(ctx, s.cfg, nil)
	if err != nil {
		return err
	}
	s.current.Store(g)
	return nil
}

// build makes a generation of a configuration; before is the one in force.
func (s *Server) build(ctx context.Context, cfg *config.Config, before *generation) (*generation, error) {
	g := &generation{cfg: cfg, retired: make(chan struct{}), backends: make(backends)}
	routes, err := s.routes(cfg, g.backends)
	if err != nil {
		return nil, err
	}
	authenticate, err := s.authenticator(ctx, cfg, g, before)
	if err != nil {
		return nil, err
	}
	conf := gateway.Config{
		Engine: s.engine, Routes: routes, Authenticate: authenticate, Ready: s.ready, Log: s.log,
		Around: s.obs.Operation, Watched: s.obs.Route, ReplayHeaders: []string{observe.HeaderTrace},
		Problems: serving.Problems(),
	}
	if conf.Quota, err = s.quotas(cfg, before); err != nil {
		return nil, err
	}
	g.quota = conf.Quota
	if cfg.Auth.Scope != nil {
		conf.Scope = cfg.Auth.Scope.Program
	}
	if cfg.Chain != nil {
		if g.chain, err = s.connect(ctx, cfg, routes, before); err != nil {
			return nil, err
		}
		conf.Contracts, conf.Submitter = g.chain.contracts.Load(), g.chain.submitter
		if g.relay, err = g.chain.relay(cfg.Relay); err != nil {
			return nil, err
		}
		if g.relay != nil {
			conf.Relay = &gateway.RelayRoute{Pattern: relayPattern, Kind: relayKind, Relay: g.relay, Wait: cfg.Relay.Wait.Std(), Secret: s.fingerprint, PriorSecrets: s.prior}
		}
	}
	if conf.Description, err = s.describe(cfg, routes, conf.Contracts); err != nil {
		return nil, err
	}
	if g.gateway, err = gateway.New(conf); err != nil {
		return nil, err
	}
	return g, s.register(routes, g.relay != nil)
}

// register makes the recovery of routes known to the engine. It is
// never undone: operations of a route that is gone are finished, too.
func (s *Server) register(routes []gateway.Route, relay bool) error {
	if relay && !s.kinds[relayKind] {
		if err := s.engine.Register(relayKind, s.obs.Reconciler(s.reconcileRelayed)); err != nil {
			return err
		}
		s.kinds[relayKind] = true
	}
	for i := range routes {
		r := &routes[i]
		reconcile := s.reconcile
		if r.Contract == "" {
			reconcile = s.reconcileProxied
		}
		if s.kinds[r.Kind] || r.Contract == "" && r.Options.Policy != onceward.Reconcile {
			continue
		}
		if err := s.engine.Register(r.Kind, s.obs.Reconciler(reconcile)); err != nil {
			return err
		}
		s.kinds[r.Kind] = true
	}
	return nil
}

// reconcile finishes an operation of a dead process by the configuration that
// is in force.
func (s *Server) reconcile(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
	g := s.current.Load()
	if g == nil || g.chain == nil {
		return onceward.Verdict{}, fmt.Errorf("%w: no chain is configured", onceward.ErrPark)
	}
	return g.chain.submitter.Reconcile(ctx, op)
}

// Reload puts the configuration as it is now in force. On an error the one in
// force stays. Requests under way end under the configuration they began with.
func (s *Server) Reload(ctx context.Context) error {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	cfg, err := s.opts.Load()
	if err != nil {
		return err
	}
	if err := s.mayBecome(cfg); err != nil {
		return err
	}
	before := s.current.Load()
	next, err := s.build(ctx, cfg, before)
	if err != nil {
		return err
	}
	if err := s.rekey(ctx); err != nil {
		return err
	}
	if s.certs != nil {
		if err := s.certs.Use(tlsFiles(cfg.TLS)); err != nil {
			return err
		}
	}
	s.current.Store(next)
	before.retire()
	if before.chain != nil && before.chain != next.chain {
		go func() {
			<-before.retired
			before.gateway.Wait() // what was accepted with 202 goes on, too
			before.chain.submitter.Stop()
		}()
	}
	return nil
}

// mayBecome refuses what cannot change while the process runs.
func (s *Server) mayBecome(cfg *config.Config) error {
	was := s.cfg
	var fixed []string
	for name, same := range map[string]bool{
		"listen":                was.Listen == cfg.Listen,
		"h2c":                   was.H2C == cfg.H2C,
		"admin":                 was.Admin == cfg.Admin,
		"store":                 reflect.DeepEqual(was.Store, cfg.Store),
		"operations":            was.Operations == cfg.Operations,
		"limits":                was.Limits == cfg.Limits,
		"tls":                   (was.TLS == nil) == (cfg.TLS == nil),
		"observability":         reflect.DeepEqual(was.Observability, cfg.Observability),
		"encryption":            reflect.DeepEqual(was.Encryption, cfg.Encryption),
		"quotas.keys_in_flight": was.Quotas.KeysInFlight == cfg.Quotas.KeysInFlight,
	} {
		if !same {
			fixed = append(fixed, name)
		}
	}
	if len(fixed) > 0 {
		return fmt.Errorf("%s cannot change while the process runs; restart it for that", strings.Join(fixed, ", "))
	}
	return nil
}

// enter takes part in the generation that is in force.
func (s *Server) enter() *generation {
	for {
		g := s.current.Load()
		g.mu.Lock()
		if !g.old {
			g.requests++
			g.mu.Unlock()
			return g
		}
		g.mu.Unlock() // it was replaced between the two lines above
	}
}

func (g *generation) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.requests--
	if g.old && g.requests == 0 {
		close(g.retired)
	}
}

// retire lets nobody enter any more.
func (g *generation) retire() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.old = true
	if g.requests == 0 {
		close(g.retired)
	}
}

// stop parks what is under way and waits for that.
func (g *generation) stop() {
	if g.chain != nil {
		g.chain.submitter.Stop()
	}
	g.gateway.Wait()
}
