// Package dev runs the gateway with everything it needs in one process: a
// development chain, a SQLite file, generated secrets, and a configuration
// file that is embedded.
//
// It keeps the promises of production over SIGKILL and restarts, since it is
// made of the same parts. It authenticates nobody: every bearer token is a
// principal of its own. Serve it to nobody but yourself.
package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/server"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
)

// Config of the development process.
type Config struct {
	Listen         string
	AdminListen    string
	RPCListen      string
	RPCURL         string // a chain that runs elsewhere, instead of the embedded one
	Data           string
	LedgerInterval time.Duration
	Lease          time.Duration
	Wait           time.Duration
	WebhookURL     string
	WebhookSecret  string
	Channels       int
	Out            io.Writer
	Log            *slog.Logger
}

// process is what Run has opened, in the order in which it was opened.
type process struct {
	cfg     Config
	group   *serving.Group
	closers []func() error
	chain   *network
	server  *server.Server
}

// Run serves until ctx ends, then drains.
func Run(ctx context.Context, cfg Config) (err error) {
	p := &process{cfg: cfg, group: serving.NewGroup(cfg.Log)}
	defer func() {
		for _, closer := range slices.Backward(p.closers) {
			err = errors.Join(err, closer())
		}
	}()
	for _, step := range []func(context.Context) error{p.openData, p.openChain, p.openServer} {
		if err := step(ctx); err != nil {
			p.group.Stop()
			return err
		}
	}
	p.print()
	return p.group.Wait(ctx)
}

func (p *process) openData(context.Context) error {
	if err := os.MkdirAll(p.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("cannot create the data folder: %w (choose another with --data)", err)
	}
	return nil
}

func (p *process) openServer(ctx context.Context) error {
	secrets, err := loadSecrets(p.cfg.Data)
	if err != nil {
		return err
	}
	getenv := func(name string) string { return secrets.getenv(p.cfg.WebhookSecret, name) }
	p.server, err = server.New(ctx, server.Options{
		Load: p.load, Getenv: getenv, Migrate: true, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, p.server.Close)
	return p.server.Start(p.group)
}

// load reads the embedded file.
func (p *process) load() (*config.Config, error) {
	file, err := p.cfg.File(p.chain.url, p.chain.passphrase)
	if err != nil {
		return nil, err
	}
	return config.Parse("the development configuration", file)
}
