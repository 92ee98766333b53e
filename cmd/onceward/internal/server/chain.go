package server

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/crashpoint"
	"github.com/onceward/onceward/cmd/onceward/internal/friendbot"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/secret"
	"github.com/onceward/onceward/soroban"
)

// chain is the connection to a network, kept for as long as its part of the
// configuration and its secrets stay the same.
type chain struct {
	cfg       *config.Chain
	mark      [sha256.Size]byte // of the secrets: they themselves are not kept here
	rpc       *soroban.Client
	submitter *soroban.Submitter
	contracts atomic.Pointer[gateway.Contracts]
}

// chainSecrets are the secrets of a chain, read once.
type chainSecrets struct {
	nonce, seed []byte
	signers     map[string]string
	headers     http.Header
}

// Format implements fmt.Formatter: no verb shows them.
func (chainSecrets) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, secret.Redacted) }

// mark tells these secrets from others.
func (c chainSecrets) mark() [sha256.Size]byte {
	return sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", c.nonce, c.seed, c.signers, c.headers)) // maps print in order
}

// connect returns the chain of a configuration, with the contracts of its
// routes.
func (s *Server) connect(ctx context.Context, cfg *config.Config, routes []gateway.Route, before *generation) (*chain, error) {
	secrets, err := readChainSecrets(cfg.Chain, s.opts.Getenv)
	if err != nil {
		return nil, err
	}
	var known *gateway.Contracts
	if before != nil && before.chain != nil {
		known = before.chain.contracts.Load()
		if reflect.DeepEqual(before.chain.cfg, cfg.Chain) && before.chain.mark == secrets.mark() {
			return before.chain, before.chain.learn(ctx, routes)
		}
	}
	c := &chain{cfg: cfg.Chain, mark: secrets.mark()}
	if c.rpc, err = soroban.NewClient(soroban.ClientConfig{Passphrase: cfg.Chain.Passphrase, Timeout: cfg.Chain.CallTimeout.Std(), Header: secrets.headers}, cfg.Chain.RPC...); err != nil {
		return nil, err
	}
	c.contracts.Store(known)
	if err := c.learn(ctx, routes); err != nil {
		return nil, err
	}
	if err := c.open(ctx, s, secrets); err != nil {
		return nil, err
	}
	return c, nil
}

// learn reads the interfaces of the contracts that the routes call. What was
// known stays: an operation of a route that is gone may still be rendered.
func (c *chain) learn(ctx context.Context, routes []gateway.Route) error {
	contracts, err := gateway.LoadContracts(ctx, c.rpc, routes, c.contracts.Load())
	if err != nil {
		return err
	}
	c.contracts.Store(contracts)
	return nil
}

// open makes the submitter.
func (c *chain) open(ctx context.Context, s *Server, secrets chainSecrets) error {
	channels, err := soroban.DeriveChannels(secrets.seed, c.cfg.Channels.Count)
	if err != nil {
		return fmt.Errorf("chain.channels.seed: %w", err)
	}
	fund := func(_ context.Context, address string) error {
		return fmt.Errorf("the channel account %s does not exist on this network: create it with enough for its minimum balance and fees (or set chain.fund_by_friendbot on a development network)", address)
	}
	if c.cfg.FundByFaucet {
		fund = c.friendbot
	}
	if err := soroban.EnsureChannels(ctx, c.rpc, channels, fund); err != nil {
		return err
	}
	signers, err := c.signers(s, secrets)
	if err != nil {
		return err
	}
	var fees *soroban.Budget
	if b := c.cfg.FeeBudget; b != nil {
		if fees, err = s.budget("fees", b.Limit, b.Window.Std()); err != nil {
			return fmt.Errorf("chain.fee_budget: %w", err)
		}
	}
	c.submitter, err = soroban.New(soroban.Config{
		RPC: s.obs.RPC(crashpoint.RPC(c.rpc)), Observe: s.obs.Step, Passphrase: c.cfg.Passphrase, Store: s.engine.Store(), Channels: channels, Signers: signers,
		NonceSecret: secrets.nonce, LedgerWindow: uint32(c.cfg.LedgerWindow), GuardWindow: uint32(c.cfg.GuardWindow), //nolint:gosec // bounded by the file's rules
		PollInterval: c.cfg.PollInterval.Std(), CallTimeout: c.cfg.CallTimeout.Std(), ChannelLease: c.cfg.ChannelsLease.Std(),
		ChannelWait: c.cfg.ChannelWait.Std(), MaxQueue: c.cfg.MaxQueue, InclusionFee: int64(c.cfg.InclusionFee), MaxFee: int64(c.cfg.MaxFee),
		FeeBudget: fees, OnOutcome: s.announce, Logger: s.log, Now: crashpoint.Now,
		Render: func(res soroban.Result) onceward.Response { return c.contracts.Load().Render(res) },
	})
	return err
}

func readChainSecrets(cfg *config.Chain, getenv func(string) string) (chainSecrets, error) {
	out := chainSecrets{signers: make(map[string]string), headers: make(http.Header)}
	var errs []error
	note := func(field string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("chain.%s: %w", field, err))
		}
	}
	var err error
	out.nonce, err = cfg.NonceSecret.Bytes(getenv)
	note("nonce_secret", err)
	out.seed, err = cfg.Channels.Seed.Bytes(getenv)
	note("channels.seed", err)
	for name, signer := range cfg.Signers {
		if signer.Socket != "" {
			continue
		}
		out.signers[name], err = signer.Secret.Read(getenv)
		note("signers."+name, err)
	}
	for name, secret := range cfg.RPCHeaders {
		value, err := secret.Read(getenv)
		note("rpc_headers."+name, err)
		out.headers.Set(name, value)
	}
	return out, errors.Join(errs...)
}

// healthy asks the network who it is.
func (c *chain) healthy(ctx context.Context) error {
	res, err := c.rpc.GetNetwork(ctx)
	if err == nil && res.Passphrase != c.cfg.Passphrase {
		err = soroban.ErrWrongNetwork
	}
	return err
}

const friendbotTimeout = 10 * time.Second

// friendbot creates an account on a development network.
func (c *chain) friendbot(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, friendbotTimeout)
	defer cancel()
	target, err := url.JoinPath(c.cfg.RPC[0], "friendbot")
	if err != nil {
		return err
	}
	return friendbot.Fund(ctx, target, address)
}
