package soroban

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/stellar/go-stellar-sdk/network"

	"github.com/onceward/onceward"
)

// ChannelAdmin looks after channels from outside: it needs no secret, and runs
// beside any number of Submitters that use them.
type ChannelAdmin struct {
	// RPC, Passphrase and Store are those of the Submitters.
	RPC        Ledgers
	Passphrase string
	Store      onceward.Store
	// LedgerWindow is the longest of theirs. Default 16.
	LedgerWindow uint32
	// CallTimeout bounds one call of the RPC or the store. Default 10 s.
	CallTimeout time.Duration
	// Now is the clock; it decides about leases only. Default time.Now.
	Now func() time.Time
}

// ChannelState is what a channel can be used for.
type ChannelState string

const (
	// ChannelFree is ready for an operation.
	ChannelFree ChannelState = "free"
	// ChannelBusy is used by an operation, or held by a process, or its last
	// envelope may still be applied.
	ChannelBusy ChannelState = "busy"
	// ChannelMissing was never used, and its account does not exist.
	ChannelMissing ChannelState = "missing"
	// ChannelQuarantined is not used, because chain and record contradict each
	// other.
	ChannelQuarantined ChannelState = "quarantined"
	// ChannelRetired is not used any more, by decision.
	ChannelRetired ChannelState = "retired"
)

// Channel is what is known of one channel.
type Channel struct {
	Address string       `json:"address"`
	State   ChannelState `json:"state"`
	// Reason is why it is in quarantine or retired, and Since when.
	Reason string    `json:"reason,omitempty"`
	Since  time.Time `json:"since,omitzero"`
	// Operation that the channel was last used for, as its public name, and
	// the hash, sequence number and end of its envelope; empty if never used.
	Operation string `json:"operation,omitempty"`
	TxHash    string `json:"tx_hash,omitempty"`
	Used      int64  `json:"used_sequence,omitempty"`
	MaxLedger uint32 `json:"max_ledger,omitempty"`
	// Sequence of the account and its balance in stroops, as of Ledger.
	Sequence int64  `json:"sequence"`
	Balance  int64  `json:"balance"`
	Ledger   uint32 `json:"ledger"`
	// LeaseUntil is how long a process holds the channel; zero when none does.
	LeaseUntil time.Time `json:"lease_until,omitzero"`
}

// ErrChannelInUse means that a process held the channel all the time. It gives
// it up between two operations, at the latest after a lease.
var ErrChannelInUse = errors.New("soroban: the channel is in use")

func (a *ChannelAdmin) normal() (ChannelAdmin, error) {
	out := *a
	if out.RPC == nil || out.Passphrase == "" || out.Store == nil {
		return out, errors.New("soroban: ChannelAdmin needs RPC, Passphrase and Store")
	}
	out.LedgerWindow = cmp.Or(out.LedgerWindow, 16)
	out.CallTimeout = cmp.Or(out.CallTimeout, 10*time.Second)
	if out.Now == nil {
		out.Now = time.Now
	}
	return out, nil
}

// List reports on channels, asking the chain once for each 200.
func (a *ChannelAdmin) List(ctx context.Context, addresses ...string) ([]Channel, error) {
	cfg, err := a.normal()
	if err != nil {
		return nil, err
	}
	views, err := cfg.views(ctx, addresses)
	if err != nil {
		return nil, err
	}
	out := make([]Channel, len(addresses))
	for i, address := range addresses {
		rec, last, err := cfg.record(ctx, address)
		if err != nil {
			return nil, err
		}
		out[i] = cfg.describe(address, rec, &last, views[i])
	}
	return out, nil
}

// Channels reports on the channels of the Submitter.
func (s *Submitter) Channels(ctx context.Context) ([]Channel, error) {
	admin := ChannelAdmin{
		RPC: s.cfg.RPC, Passphrase: s.cfg.Passphrase, Store: s.cfg.Store,
		LedgerWindow: s.cfg.LedgerWindow, CallTimeout: s.cfg.CallTimeout, Now: s.cfg.Now,
	}
	addresses := make([]string, len(s.cfg.Channels))
	for i, ch := range s.cfg.Channels {
		addresses[i] = ch.Address()
	}
	return admin.List(ctx, addresses...)
}

func (a *ChannelAdmin) describe(address string, rec *onceward.Record, last *lastEnvelope, v ledgerView) Channel {
	out := Channel{
		Address: address, Sequence: v.seq, Balance: v.balance, Ledger: v.ledger,
		Operation: last.Operation, TxHash: last.Hash, MaxLedger: last.MaxLedger,
	}
	if last.Hash != "" {
		out.Used = last.Sequence
	}
	leased := rec != nil && rec.Status == onceward.StatusStarted && rec.LeaseUntil.After(a.Now())
	if leased {
		out.LeaseUntil = rec.LeaseUntil
	}
	state := last.against(v)
	switch {
	case last.Retired != nil:
		out.State, out.Reason, out.Since = ChannelRetired, last.Retired.Reason, last.Retired.At
	case state == channelMissing:
		out.State = ChannelMissing
	case last.Quarantine != nil && state != channelQuiet:
		out.State, out.Reason, out.Since = ChannelQuarantined, last.Quarantine.Reason, last.Quarantine.At
	case state == channelAhead, state == channelBehind, state == channelGone:
		mark, _ := last.contradicted(v, state, v.fear(v.ledger, a.LedgerWindow))
		out.State, out.Reason = ChannelQuarantined, mark
	case state == channelLive, leased:
		out.State = ChannelBusy
	default:
		out.State = ChannelFree
	}
	return out
}

// Retire keeps a channel from being used by any process. What was built on it
// runs to its end. While a process holds it, Retire waits until ctx ends, and
// then returns ErrChannelInUse.
func (a *ChannelAdmin) Retire(ctx context.Context, address, reason string) error {
	cfg, err := a.normal()
	if err != nil {
		return err
	}
	return cfg.amend(ctx, address, func(last *lastEnvelope) error {
		last.Retired = &mark{Reason: clip(reason), At: cfg.Now()}
		return nil
	})
}

// Release ends a retirement, or a quarantine that somebody has looked into.
// Where chain and record contradict each other the record gives way, and the
// channel rests until nothing that was forgotten can be applied. It waits like
// Retire.
func (a *ChannelAdmin) Release(ctx context.Context, address string) error {
	cfg, err := a.normal()
	if err != nil {
		return err
	}
	views, err := cfg.views(ctx, []string{address})
	if err != nil {
		return err
	}
	v := views[0]
	return cfg.amend(ctx, address, func(last *lastEnvelope) error {
		state := last.against(v)
		if !v.account && state != channelMissing {
			return fmt.Errorf("soroban: account %s does not exist; create it first", address)
		}
		last.Retired, last.Quarantine = nil, nil
		if state == channelAhead || state == channelBehind {
			*last = v.fear(v.ledger, cfg.LedgerWindow)
		}
		return nil
	})
}

// views asks for all accounts at once; the channels' records come later, so
// that a record is never older than the view it is held against.
func (a *ChannelAdmin) views(ctx context.Context, addresses []string) ([]ledgerView, error) {
	keys := make([]string, len(addresses))
	for i, address := range addresses {
		var err error
		if keys[i], err = accountKey(address); err != nil {
			return nil, err
		}
	}
	r := &reader{rpc: a.RPC, timeout: a.CallTimeout}
	out := make([]ledgerView, 0, len(addresses))
	for len(keys) > 0 {
		page := keys[:min(maxKeys, len(keys))]
		keys = keys[len(page):]
		found, ledger, err := r.read(ctx, page...)
		if err != nil {
			return nil, fmt.Errorf("soroban: looking for the channels: %w", err)
		}
		for _, key := range page {
			v := ledgerView{ledger: ledger}
			if e := found[key]; e != nil {
				if err := v.readAccount(e); err != nil {
					return nil, err
				}
			}
			out = append(out, v)
		}
	}
	return out, nil
}

// record reads a channel's record; nil when it was never used.
func (a *ChannelAdmin) record(ctx context.Context, address string) (*onceward.Record, lastEnvelope, error) {
	ctx, cancel := context.WithTimeout(ctx, a.CallTimeout)
	defer cancel()
	var last lastEnvelope
	rec, err := a.Store.Get(ctx, onceward.GetRequest{Key: channelKey(network.ID(a.Passphrase), address), Now: a.Now()})
	if errors.Is(err, onceward.ErrNotFound) {
		return nil, last, nil
	}
	if err != nil {
		return nil, last, fmt.Errorf("soroban: the record of channel %s: %w", address, err)
	}
	last, err = readLast(&rec)
	return &rec, last, err
}

// claim takes a channel's record as soon as its holder gives it up.
func (a *ChannelAdmin) claim(ctx context.Context, address string) (onceward.ClaimResult, error) {
	for {
		callCtx, cancel := context.WithTimeout(ctx, a.CallTimeout)
		res, err := a.Store.Claim(callCtx, channelClaim(channelKey(network.ID(a.Passphrase), address), a.Now(), adminLease))
		cancel()
		if err != nil {
			return res, fmt.Errorf("soroban: claiming channel %s: %w", address, err)
		}
		if res.Won {
			return res, nil
		}
		t := time.NewTimer(adminRetry)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			return res, fmt.Errorf("%w: %s, by a process, until %s", ErrChannelInUse, address, res.Record.LeaseUntil.Format(time.RFC3339))
		}
	}
}

const adminRetry = 100 * time.Millisecond

// adminLease is long enough for two writes.
const adminLease = 30 * time.Second

// amend changes a channel's record under a claim of its own, which fences
// whoever held it before.
func (a *ChannelAdmin) amend(ctx context.Context, address string, change func(*lastEnvelope) error) error {
	if !isAccount(address) {
		return fmt.Errorf("soroban: %q is not an account address (G…)", address)
	}
	res, err := a.claim(ctx, address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*a.CallTimeout)
	defer cancel()
	defer func() { // nobody waits for the lease
		now := a.Now()
		_ = a.Store.Renew(ctx, onceward.RenewRequest{Claim: res.Record.Claim(), Now: now, LeaseUntil: now})
	}()
	last, err := readLast(&res.Record)
	if err != nil {
		return err
	}
	if err := change(&last); err != nil {
		return err
	}
	data, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("soroban: encoding a channel's checkpoint: %w", err)
	}
	now := a.Now()
	err = a.Store.Checkpoint(ctx, onceward.CheckpointRequest{
		Claim: res.Record.Claim(), Now: now,
		Checkpoints: []onceward.Checkpoint{{Name: channelCheckpoint, Data: data, At: now}},
	})
	if err != nil {
		return fmt.Errorf("soroban: the record of channel %s: %w", address, err)
	}
	return nil
}
