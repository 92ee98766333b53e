package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/onceward/onceward/bench/internal/servers"
)

// system is one server under test.
type system struct {
	Name    string `json:"name"`
	Durable bool   `json:"durable"` // an acknowledged record survives a crash of machine and server
	Bare    bool   `json:"bare"`    // it guards nothing
	cmd     func(b *backends) *exec.Cmd
	address string // host:port once it runs
	parts   []part // that work for it
}

// part of a system: its server, and what that keeps its records in.
type part interface {
	io.Closer
	CPU() (time.Duration, error)
}

// cpu is the processor time that the system has used so far.
func (s *system) cpu() (total time.Duration, err error) {
	for _, p := range s.parts {
		used, err := p.CPU()
		if err != nil {
			return 0, fmt.Errorf("processor time: %w", err)
		}
		total += used
	}
	return total, nil
}

// marks reports whether a replay of this system says that it is one.
func (s *system) marks() bool { return strings.HasPrefix(s.Name, "onceward") }

// backends are what the systems keep their records in.
type backends struct {
	self     string // this program
	peers    string // directory of the Express servers
	sqlite   string
	postgres string
	redis    string
}

func (b *backends) ours(args ...string) *exec.Cmd {
	return exec.Command(b.self, append([]string{"serve"}, args...)...) //nolint:gosec,noctx // this program, ended by Close
}

func (b *backends) express(args ...string) *exec.Cmd {
	cmd := exec.Command("node", append([]string{"server.mjs"}, args...)...) //nolint:gosec,noctx // our own file, ended by Close
	cmd.Dir = b.peers
	cmd.Env = append(os.Environ(), "NODE_ENV=production")
	return cmd
}

// systems lists all, bare ones first.
func systems(cfg config) []*system {
	all := []*system{
		{Name: "net/http, bare", Bare: true, cmd: func(b *backends) *exec.Cmd { return b.ours("net/http") }},
		{Name: "Fiber, bare", Bare: true, cmd: func(b *backends) *exec.Cmd { return b.ours("fiber") }},
		{Name: "Express, bare", Bare: true, cmd: func(b *backends) *exec.Cmd { return b.express("bare") }},
		{Name: "onceward, SQLite", Durable: true, cmd: func(b *backends) *exec.Cmd { return b.ours("onceward", b.sqlite) }},
		{Name: "onceward, PostgreSQL", Durable: true, cmd: func(b *backends) *exec.Cmd { return b.ours("onceward", b.postgres) }},
		{Name: "Fiber idempotency, memory", cmd: func(b *backends) *exec.Cmd { return b.ours("fiber-memory") }},
		{Name: "Fiber idempotency, Redis", cmd: func(b *backends) *exec.Cmd { return b.ours("fiber-redis", b.redis) }},
		{Name: "Express, node-idempotency, Redis", cmd: func(b *backends) *exec.Cmd { return b.express("node-idempotency", b.redis) }},
		{Name: "Express, hand-written, PostgreSQL", Durable: true, cmd: func(b *backends) *exec.Cmd { return b.express("lifecycle", b.postgres) }},
	}
	var chosen []*system
	for _, s := range all {
		switch {
		case !strings.Contains(s.Name, cfg.only):
		case strings.HasPrefix(s.Name, "Express") && cfg.peers == "":
		default:
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// field is a set of servers that run.
type field struct {
	systems []*system
	running []part
	dir     string
}

// start starts the backends that are needed and all systems.
func start(ctx context.Context, cfg config) (f *field, err error) {
	f = &field{systems: systems(cfg)}
	if len(f.systems) == 0 {
		return nil, fmt.Errorf("no server's name contains %q", cfg.only)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, f.stop())
		}
	}()
	if f.dir, err = os.MkdirTemp("", "onceward-bench-http-"); err != nil {
		return f, err
	}
	b := &backends{peers: cfg.peers, sqlite: "sqlite:" + filepath.Join(f.dir, "once.db")}
	if b.self, err = os.Executable(); err != nil {
		return f, err
	}
	if f.needs("Redis") {
		p, address, err := servers.Redis(ctx)
		if err != nil {
			return f, err
		}
		b.redis = address
		f.serves("Redis", p)
	}
	if f.needs("PostgreSQL") {
		p, err := servers.Postgres(ctx)
		if err != nil {
			return f, err
		}
		b.postgres = p.DSN("postgres")
		f.serves("PostgreSQL", p)
	}
	for _, s := range f.systems {
		p, address, err := servers.HTTP(ctx, s.cmd(b))
		if err != nil {
			return f, fmt.Errorf("%s: %w", s.Name, err)
		}
		f.running = append(f.running, p)
		s.address, s.parts = address, append(s.parts, p)
	}
	return f, nil
}

// needs reports whether a system keeps its records in a backend.
func (f *field) needs(backend string) bool {
	return slices.ContainsFunc(f.systems, func(s *system) bool { return strings.HasSuffix(s.Name, backend) })
}

// serves notes a backend that runs, as a part of the systems that need it.
func (f *field) serves(backend string, p part) {
	f.running = append(f.running, p)
	for _, s := range f.systems {
		if strings.HasSuffix(s.Name, backend) {
			s.parts = append(s.parts, p)
		}
	}
}

// stop ends the servers, the last one first.
func (f *field) stop() error {
	var errs []error
	for _, p := range slices.Backward(f.running) {
		errs = append(errs, p.Close())
	}
	f.running = nil
	if f.dir != "" {
		errs = append(errs, os.RemoveAll(f.dir))
	}
	return errors.Join(errs...)
}
