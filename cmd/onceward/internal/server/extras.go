package server

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/crashpoint"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/remotesigner"
	"github.com/onceward/onceward/webhook"
)

// The endpoint that relays what users have signed.
const (
	relayPattern = "POST /v1/transactions"
	relayKind    = "relay"
)

// relay makes the relay of a configuration, nil for none.
func (c *chain) relay(cfg *config.Relay) (*soroban.Relay, error) {
	if cfg == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	relay, err := c.submitter.NewRelay(soroban.RelayPolicy{
		Allow: allowed(cfg.Allow), AllowNested: allowed(cfg.Nested), FeeSigner: cfg.FeeSigner, MaxFee: int64(cfg.MaxFee),
	})
	if err != nil {
		return nil, fmt.Errorf("relay: %w", err)
	}
	return relay, nil
}

func allowed(list []config.Allowed) []soroban.Allowed {
	var out []soroban.Allowed
	for _, a := range list {
		out = append(out, soroban.Allowed{Contract: a.Contract, Function: a.Function})
	}
	return out
}

// reconcileRelayed finishes what was relayed, by the configuration that is in
// force.
func (s *Server) reconcileRelayed(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
	g := s.current.Load()
	if g == nil || g.relay == nil {
		return onceward.Verdict{}, fmt.Errorf("%w: no relay is configured", onceward.ErrPark)
	}
	return g.relay.Reconcile(ctx, op)
}

// signers are the accounts that authorize calls.
func (c *chain) signers(s *Server, secrets chainSecrets) (map[string]soroban.Signer, error) {
	out := make(map[string]soroban.Signer, len(c.cfg.Signers))
	for name, cfg := range c.cfg.Signers {
		var err error
		if cfg.Socket != "" {
			out[name], err = remotesigner.New(remotesigner.Config{Socket: cfg.Socket, Address: cfg.Address})
		} else if out[name], err = soroban.NewSigner(secrets.signers[name]); err != nil {
			err = errors.New("the secret is not a secret key (S…)") // without the cause, which could quote it
		}
		if err != nil {
			return nil, fmt.Errorf("chain.signers.%s: %w", name, err)
		}
		var budgets []*soroban.Budget
		for window, most := range map[time.Duration]int{time.Minute: cfg.PerMinute, 24 * time.Hour: cfg.PerDay} {
			if most == 0 {
				continue
			}
			b, err := s.budget(fmt.Sprintf("signer %s %v", budgetOwner(name), window), fmt.Sprint(most), window)
			if err != nil {
				return nil, fmt.Errorf("chain.signers.%s: %w", name, err)
			}
			budgets = append(budgets, b)
		}
		if budgets != nil {
			out[name] = soroban.LimitedSigner(out[name], budgets...)
		}
	}
	return out, nil
}

// budget is common to all instances on the store. It outlives reloads of the
// configuration, or each would lose the share that is held.
func (s *Server) budget(name, limit string, window time.Duration) (*soroban.Budget, error) {
	n, ok := new(big.Int).SetString(limit, 10)
	if !ok {
		return nil, fmt.Errorf("%q is no number", limit)
	}
	id := fmt.Sprint(name, " ", n, " ", window)
	if known := s.budgets[id]; known != nil {
		return known, nil
	}
	b, err := soroban.NewBudget(soroban.BudgetConfig{
		Name: name, Limit: n, Window: window, Store: s.engine.Store(), Now: crashpoint.Now,
	})
	if err == nil {
		s.budgets[id] = b
	}
	return b, err
}

const maxBudgetOwner = 64

// budgetOwner names a signer or a route in a budget's name: by a hash when it
// is too long, so that two never share one.
func budgetOwner(name string) string {
	if len(name) <= maxBudgetOwner {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	return hex.EncodeToString(sum[:])
}

// openOutbox makes the outbox of the webhook, if there is one.
func (s *Server) openOutbox(context.Context) error {
	cfg := s.cfg.Webhook
	if cfg == nil {
		return nil
	}
	secret, err := cfg.Secret.Read(s.opts.Getenv)
	if err != nil {
		return fmt.Errorf("webhook.secret: %w", err)
	}
	store, ok := s.sealed.(webhook.Store)
	if !ok {
		return errors.New("webhook: the store cannot find messages that are due")
	}
	s.outbox, err = webhook.New(store, webhook.Config{
		Name: cfg.Name, URL: cfg.URL, Secrets: strings.Fields(secret), AllowInsecure: cfg.AllowInsecure, Logger: s.log,
	})
	if err != nil {
		return fmt.Errorf("webhook: %w", err)
	}
	return nil
}

// announce puts an outcome into the outbox, before its key is completed.
func (s *Server) announce(ctx context.Context, op *onceward.Operation, res soroban.Result, resp onceward.Response) error {
	if s.outbox == nil {
		return nil
	}
	// The transaction tells this outcome from any other under the key.
	e, err := webhook.Outcome(op, fmt.Sprintf("%s %s %d", res.Status, res.TxHash, res.Ledger), resp, time.Now())
	if err != nil {
		return err
	}
	return s.outbox.Enqueue(ctx, e)
}
