// Package server makes a running gateway of a configuration.
//
// It opens the store, connects to the chain and serves the routes; a new
// configuration replaces the routes while requests go on, each to its end
// under the configuration it came in with. What was accepted is finished
// here, or parked durably for another instance.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/admin"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/crashpoint"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/webhook"
)

// Options of a Server.
type Options struct {
	// Load reads the configuration: at the start, and at every Reload.
	Load func() (*config.Config, error)
	// Getenv finds secrets. Default os.Getenv.
	Getenv func(string) string
	// Migrate brings the store's schema up to date first, for development.
	Migrate bool
	Log     *slog.Logger
}

// Server serves one configuration after the other.
type Server struct {
	opts   Options
	log    *slog.Logger
	cfg    *config.Config // the first one: what it says of listeners and store stays
	store  *storage.Handle
	sealed onceward.Store // what the engine sees of the store
	vault  *seal.Store    // the same where it is encrypted, else nil
	engine *onceward.Engine
	outbox *webhook.Outbox // nil without a receiver
	obs    *observe.Observer
	// fingerprint keys the hashes of requests; empty for plain hashes.
	fingerprint []byte
	prior       [][]byte // keys of hashes that may be stored yet

	api, admin net.Listener
	metrics    net.Listener          // nil without one of its own
	certs      *serving.Certificates // nil without TLS
	closers    []func() error

	reloading sync.Mutex
	kinds     map[string]bool // registered with the engine
	budgets   map[string]*soroban.Budget
	current   atomic.Pointer[generation]
	stopping  atomic.Bool
}

// New opens everything that a configuration names. Close it if it is not run.
func New(ctx context.Context, opts Options) (*Server, error) {
	cfg, err := opts.Load()
	if err != nil {
		return nil, err
	}
	s := &Server{opts: opts, log: opts.Log, cfg: cfg, kinds: make(map[string]bool), budgets: make(map[string]*soroban.Budget)}
	for _, step := range []func(context.Context) error{s.listen, s.openObserver, s.openStore, s.openOutbox, s.first} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Close gives up what New has opened, the last first.
func (s *Server) Close() error {
	var errs []error
	for _, closer := range slices.Backward(s.closers) {
		errs = append(errs, closer())
	}
	s.closers = nil
	return errors.Join(errs...)
}

func (s *Server) listen(ctx context.Context) (err error) {
	if s.cfg.TLS != nil {
		if s.certs, err = serving.LoadCertificates(tlsFiles(s.cfg.TLS)); err != nil {
			return err
		}
	}
	if s.api, err = s.open(ctx, s.cfg.Listen, "--listen"); err != nil {
		return err
	}
	s.admin, err = s.open(ctx, s.cfg.Admin.Listen, "--admin-listen")
	return err
}

func tlsFiles(cfg *config.TLS) serving.TLSFiles {
	files := serving.TLSFiles{
		CertFile: cfg.CertFile, KeyFile: cfg.KeyFile, ClientCAFile: cfg.ClientCAFile,
		ClientRequired: cfg.ClientAuth == "required", MinVersion: tls.VersionTLS12,
	}
	if cfg.MinVersion == "1.3" {
		files.MinVersion = tls.VersionTLS13
	}
	return files
}

// open listens on addr until the server is closed.
func (s *Server) open(ctx context.Context, addr, flag string) (net.Listener, error) {
	l, err := serving.Listen(ctx, addr, flag)
	if err != nil {
		return nil, err
	}
	s.closers = append(s.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

func (s *Server) openStore(ctx context.Context) error {
	dsn, err := s.dsn(s.cfg)
	if err != nil {
		return err
	}
	if s.opts.Migrate {
		if err := migrate(ctx, dsn); err != nil {
			return err
		}
	}
	if s.store, err = storage.Open(ctx, dsn); err != nil {
		return err
	}
	s.closers = append(s.closers, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
		defer cancel()
		return s.store.Close(ctx)
	})
	for _, warning := range s.store.Warnings {
		s.log.WarnContext(ctx, "acknowledged writes could be lost", "why", warning)
	}
	if err := s.seal(ctx); err != nil {
		return err
	}
	o := s.cfg.Operations
	s.engine, err = onceward.New(s.obs.Store(crashpoint.Store(s.sealed)), onceward.Config{
		Retention: o.Retention.Std(), Lease: o.Lease.Std(), OperationTimeout: o.Timeout.Std(),
		StoreTimeout: o.StoreTimeout.Std(), MaxResponseBytes: int(o.MaxResponse), MaxWaiters: o.MaxWaiters,
		MaxInFlightPerScope: s.cfg.Quotas.KeysInFlight, AcceptLateKeys: o.AcceptLateKeys,
		RecoverInterval: o.RecoverInterval.Std(), RecoverLimit: o.ConcurrentRepair,
		SweepInterval: o.SweepInterval.Std(), Logger: s.log, Now: crashpoint.Now,
	})
	return err
}

const closeTimeout = 10 * time.Second

func migrate(ctx context.Context, dsn string) error {
	d, err := storage.Lookup(dsn)
	if err != nil {
		return err
	}
	_, err = d.Migrate(ctx, dsn, storage.MigrateOptions{})
	return err
}

// dsn names the store of a configuration.
func (s *Server) dsn(cfg *config.Config) (string, error) { return DSN(cfg, s.opts.Getenv) }

// DSN returns the DSN of a configuration's store; of several databases those of
// all, with what each keeps.
func DSN(cfg *config.Config, getenv func(string) string) (string, error) {
	var groups []string
	for i, g := range cfg.Store.Groups {
		dsn, err := g.DSN.Read(getenv)
		if err != nil {
			return "", fmt.Errorf("store.groups[%d]: %w", i, err)
		}
		if len(strings.Fields(dsn)) != 1 || !strings.HasPrefix(dsn, "postgres") {
			return "", fmt.Errorf("store.groups[%d]: its DSN is not postgres://… of one database", i) // it may hold a password
		}
		groups = append(groups, storage.WithSlots(dsn, g.Slots))
	}
	if groups != nil {
		return strings.Join(groups, " "), nil
	}
	if cfg.Store.DSN != "" {
		return cfg.Store.DSN, nil
	}
	dsn, err := cfg.Store.Secret.Read(getenv)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	return dsn, nil
}

// URL returns where the API is.
func (s *Server) URL() string {
	if s.cfg.TLS != nil {
		return "https://" + s.api.Addr().String()
	}
	return "http://" + s.api.Addr().String()
}

// AdminURL returns where the operator's page is.
func (s *Server) AdminURL() string { return "http://" + s.admin.Addr().String() }

// Start adds everything that runs to the group.
func (s *Server) Start(group *serving.Group) error {
	lister, ok := s.sealed.(onceward.Lister)
	if !ok {
		return errors.New("the store cannot list its records")
	}
	page, err := s.guardAdmin(s.withMetrics(admin.Handler(s.adminPage(lister))))
	if err != nil {
		return err
	}
	group.Go("engine", s.engine.Run)
	s.startObserver(group)
	group.Go("gateway", s.run)
	if s.outbox != nil {
		group.Go("webhooks", s.outbox.Run)
	}
	l := s.cfg.Limits
	group.Drain(func() { s.stopping.Store(true) }, l.DrainDelay.Std(), l.DrainTimeout.Std())
	group.Serve(serving.Server{Name: "admin", Listener: s.admin, Handler: page})
	var tlsConfig *tls.Config
	if s.certs != nil {
		tlsConfig = s.certs.Config()
		group.Go("certificates", func(ctx context.Context) error { return s.certs.Watch(ctx, s.log) })
	}
	group.Serve(serving.Server{
		Name: "api", Listener: s.api, Handler: http.HandlerFunc(s.serve), TLS: tlsConfig, H2C: s.cfg.H2C,
		Limits: serving.Limits{
			MaxConnections: l.MaxConnections, MaxRequests: l.MaxRequests, HeaderTimeout: l.HeaderTimeout.Std(),
			HeaderBytes: int(l.HeaderBytes), BodyTimeout: l.BodyTimeout.Std(), WriteTimeout: l.WriteTimeout.Std(),
			IdleTimeout: l.IdleTimeout.Std(),
		},
	})
	return nil
}

// serve hands a request to the configuration that is in force.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	g := s.enter()
	defer g.leave()
	g.gateway.ServeHTTP(w, r)
}

// run blocks until ctx ends, then parks what is under way.
func (s *Server) run(ctx context.Context) error {
	<-ctx.Done()
	s.current.Load().stop()
	return nil
}

// ready reports what writes depend on.
func (s *Server) ready(ctx context.Context) map[string]error {
	parts := map[string]error{"store": s.store.Ready(ctx)}
	if errors.Is(parts["store"], storage.ErrSchema) || errors.Is(parts["store"], storage.ErrNewSchema) {
		parts["schema"], parts["store"] = parts["store"], nil
	} else if parts["store"] == nil {
		parts["schema"] = nil
	}
	if errors.Is(parts["store"], storage.ErrWritesLost) {
		parts["store"] = gateway.Explained{Err: parts["store"]} // whoever looks must know, and it names no client
	}
	if c := s.current.Load().chain; c != nil {
		parts["chain"] = c.healthy(ctx)
	}
	if s.stopping.Load() {
		parts["process"] = errors.New("the process is about to stop")
	}
	return parts
}
