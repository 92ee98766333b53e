// Package dev wires everything into one process: SQLite, a development
// chain, the sample contract endpoints and the operator's page.
//
// It keeps the promises of production over SIGKILL and restarts, since it is
// made of the same parts. It authenticates nobody: every bearer token is a
// principal of its own. Serve it to nobody but yourself.
package dev

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"time"

	_ "modernc.org/sqlite" // the pure-Go driver

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/admin"
	"github.com/onceward/onceward/cmd/onceward/internal/crashpoint"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/sqlitestore"
	"github.com/onceward/onceward/webhook"
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

	api, admin net.Listener
	chain      *network
	store      *sqlitestore.Store
	engine     *onceward.Engine
	gateway    *gateway.Gateway
	outbox     *webhook.Outbox // nil without a receiver
}

// Run serves until ctx ends, then drains.
func Run(ctx context.Context, cfg Config) (err error) {
	p := &process{cfg: cfg, group: serving.NewGroup(cfg.Log)}
	defer func() {
		for _, closer := range slices.Backward(p.closers) {
			err = errors.Join(err, closer())
		}
	}()
	for _, step := range []func(context.Context) error{
		p.openData, p.listen, p.openStore, p.openChain, p.openGateway,
	} {
		if err := step(ctx); err != nil {
			p.group.Stop()
			return err
		}
	}
	p.serve()
	p.print()
	return p.group.Wait(ctx)
}

func (p *process) openData(context.Context) error {
	if err := os.MkdirAll(p.cfg.Data, 0o700); err != nil {
		return fmt.Errorf("cannot create the data folder: %w (choose another with --data)", err)
	}
	return nil
}

func (p *process) listen(ctx context.Context) (err error) {
	if p.api, err = p.open(ctx, p.cfg.Listen, "--listen"); err != nil {
		return err
	}
	p.admin, err = p.open(ctx, p.cfg.AdminListen, "--admin-listen")
	return err
}

// open listens on addr until the process ends.
func (p *process) open(ctx context.Context, addr, flag string) (net.Listener, error) {
	l, err := serving.Listen(ctx, addr, flag)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	return l, nil
}

func (p *process) openStore(ctx context.Context) error {
	path := filepath.Join(p.cfg.Data, "onceward.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", path, err)
	}
	p.closers = append(p.closers, db.Close)
	p.store, err = sqlitestore.Open(ctx, db, sqlitestore.Config{})
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", path, err)
	}
	p.closers = append(p.closers, func() error {
		return p.store.Close(context.WithoutCancel(ctx))
	})
	p.engine, err = onceward.New(crashpoint.Store(p.store), onceward.Config{
		Lease: p.cfg.Lease, RecoverInterval: p.cfg.Lease / 2, Logger: p.cfg.Log, Now: crashpoint.Now,
	})
	return err
}

func (p *process) openGateway(ctx context.Context) error {
	secrets, err := loadSecrets(p.cfg.Data)
	if err != nil {
		return err
	}
	routes := Routes(p.chain.passphrase, p.cfg.Wait)
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, p.chain.url)
	if err != nil {
		return err
	}
	contracts, err := gateway.LoadContracts(ctx, rpc, routes)
	if err != nil {
		return err
	}
	channels, err := soroban.DeriveChannels(secrets.Channels, p.cfg.Channels)
	if err != nil {
		return err
	}
	if err := soroban.EnsureChannels(ctx, rpc, channels, p.chain.fund); err != nil {
		return err
	}
	minter, err := soroban.NewSigner(devchain.DevAdminSeed)
	if err != nil {
		return err
	}
	announce, err := p.openOutbox()
	if err != nil {
		return err
	}
	submitter, err := soroban.New(soroban.Config{
		RPC: crashpoint.RPC(rpc), Passphrase: p.chain.passphrase, Store: p.engine.Store(), Channels: channels,
		Signers: map[string]soroban.Signer{signerName: minter}, NonceSecret: secrets.Nonce,
		Render: contracts.Render, PollInterval: max(p.cfg.LedgerInterval/4, 20*time.Millisecond),
		ChannelLease: p.cfg.Lease, OnOutcome: announce, Logger: p.cfg.Log, Now: crashpoint.Now,
	})
	if err != nil {
		return err
	}
	relay, err := submitter.NewRelay(RelayPolicy(p.chain.passphrase))
	if err != nil {
		return err
	}
	p.gateway, err = gateway.New(gateway.Config{
		Engine: p.engine, Contracts: contracts, Submitter: submitter, Routes: routes,
		Relay: &gateway.RelayRoute{Pattern: "POST /v1/transactions", Kind: "relay", Relay: relay, Wait: p.cfg.Wait},
		Scope: gateway.BearerScope, Log: p.cfg.Log,
		Ready: p.ready,
	})
	return err
}

// ready reports whether the process can take writes.
func (p *process) ready(ctx context.Context) map[string]error {
	_, err := p.engine.Get(ctx, onceward.Key{Scope: onceward.ReservedScope + "ready", Value: "ready"})
	if errors.Is(err, onceward.ErrNotFound) {
		err = nil
	}
	return map[string]error{"store": err, "chain": p.chain.healthy(ctx)}
}

func (p *process) serve() {
	if p.chain.embedded != nil {
		p.group.Go("chain", p.chain.embedded.Run)
	}
	p.group.Go("engine", p.engine.Run)
	p.group.Go("gateway", p.gateway.Run)
	if p.outbox != nil {
		p.group.Go("webhooks", p.outbox.Run)
	}
	p.group.Serve("admin", p.admin, admin.Handler(p.store, p.cfg.Log))
	p.group.Serve("api", p.api, http.Handler(p.gateway))
}
