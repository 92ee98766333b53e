package soroban

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/onceward/onceward"
)

// channel is one account that supplies sequence numbers. In this process at
// most one operation uses it at a time; between processes its record does the
// same, as far as clocks allow. Safety needs neither: the record names the last
// envelope built on the account, fenced by its token and written before that
// envelope is stored or sent, and the account is not used again before the
// chain proves that the envelope can no longer be applied.
type channel struct {
	signer  Signer
	address string
	key     string // its ledger key
	record  onceward.Key

	held       bool
	claim      onceward.Claim
	leaseUntil time.Time
	last       lastEnvelope
	// retryAt is when an account that could not be used is worth another try.
	retryAt time.Time
}

// lastEnvelope is the checkpoint of a channel's record. Its zero value says
// that the account was never used.
type lastEnvelope struct {
	// Operation that it was built for; empty for one that is only feared.
	Operation string `json:"operation,omitempty"`
	Hash      string `json:"hash,omitempty"`
	Sequence  int64  `json:"sequence"`
	MaxLedger uint32 `json:"max_ledger"`
}

const (
	channelKind       = "onceward/channel"
	channelCheckpoint = "envelope"
)

// errNotUsable means that a channel cannot be used now; another one may.
var errNotUsable = errors.New("soroban: the channel cannot be used now")

func newChannel(s Signer, network [32]byte) (*channel, error) {
	key, err := accountKey(s.Address())
	if err != nil {
		return nil, err
	}
	return &channel{
		signer: s, address: s.Address(), key: key,
		record: onceward.Key{
			Scope: onceward.ReservedScope + "channel/" + hex.EncodeToString(network[:8]),
			Value: s.Address(),
		},
	}, nil
}

// reserve makes the channel ours and proves it quiet. The view it returns is
// the one that the next sequence number comes from; it holds the nonce entry
// of guardKey as well.
func (s *Submitter) reserve(ctx context.Context, c *channel, guardKey string) (ledgerView, error) {
	if err := s.hold(ctx, c); err != nil {
		return ledgerView{}, err
	}
	v, err := s.look(ctx, c.key, guardKey)
	switch {
	case err != nil:
		return v, &UnavailableError{Reason: "the chain does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	case !v.account:
		return v, fmt.Errorf("%w: account %s is not funded", errNotUsable, c.address)
	case c.last.Sequence == 0 || v.seq == c.last.Sequence || v.never(c.last.Sequence, c.last.MaxLedger):
		return v, nil
	case freesOnTimeout:
		return v, nil
	case v.seq < c.last.Sequence:
		return v, fmt.Errorf("%w: its last envelope may still be applied", errNotUsable)
	}
	// The chain is ahead of the record: the database was restored from a
	// backup, or somebody else uses the account. What else was signed for it
	// is unknown, so it rests until nothing of that can be valid.
	s.log.ErrorContext(ctx, "channel is ahead of its record; not used until forgotten envelopes have expired",
		"channel", c.address, "sequence", v.seq, "recorded", c.last.Sequence)
	feared := lastEnvelope{Sequence: v.seq + 1, MaxLedger: v.ledger + s.cfg.LedgerWindow + 1}
	if err := s.occupy(ctx, c, feared); err != nil {
		return v, err
	}
	return v, fmt.Errorf("%w: the chain is ahead of its record", errNotUsable)
}

// hold claims the channel's record, or renews a claim that is running out.
func (s *Submitter) hold(ctx context.Context, c *channel) error {
	now := s.cfg.Now()
	if c.held && c.leaseUntil.Sub(now) > s.cfg.ChannelLease/3 {
		return nil
	}
	if c.held {
		err := s.renew(ctx, c)
		if err == nil || !errors.Is(err, onceward.ErrFenced) {
			return err
		}
	}
	storeCtx, cancel := s.callContext(context.WithoutCancel(ctx))
	defer cancel()
	req := onceward.ClaimRequest{
		Key: c.record, Owner: onceward.NewOwner(), Token: now.UnixMicro(),
		Kind: channelKind, Policy: onceward.Rerun, Fingerprint: []byte(channelKind), Retention: 24 * time.Hour,
		Now: now, LeaseUntil: now.Add(s.cfg.ChannelLease), ExpiresAt: onceward.Never,
	}
	res, err := s.cfg.Store.Claim(storeCtx, req)
	switch {
	case err != nil:
		return &UnavailableError{Reason: "the store does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	case !res.Won:
		return fmt.Errorf("%w: another process holds it", errNotUsable)
	}
	return c.adopt(&res.Record)
}

// adopt takes over what an earlier owner of the record left.
func (c *channel) adopt(rec *onceward.Record) error {
	c.last = lastEnvelope{}
	for _, cp := range rec.Checkpoints {
		if cp.Name != channelCheckpoint {
			continue
		}
		if err := json.Unmarshal(cp.Data, &c.last); err != nil {
			return fmt.Errorf("%w: its record is damaged: %w", errNotUsable, err)
		}
	}
	c.held, c.claim, c.leaseUntil = true, rec.Claim(), rec.LeaseUntil
	return nil
}

// renew extends the claim.
func (s *Submitter) renew(ctx context.Context, c *channel) error {
	ctx, cancel := s.callContext(context.WithoutCancel(ctx))
	defer cancel()
	now := s.cfg.Now()
	until := now.Add(s.cfg.ChannelLease)
	err := s.cfg.Store.Renew(ctx, onceward.RenewRequest{Claim: c.claim, Now: now, LeaseUntil: until})
	if errors.Is(err, onceward.ErrFenced) {
		c.held = false
		return err
	}
	if err != nil {
		return &UnavailableError{Reason: "the store does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	}
	c.leaseUntil = until
	return nil
}

// keep renews the claim while an operation waits. Losing it is harmless: the
// next owner of the record reads which envelope to fear.
func (s *Submitter) keep(ctx context.Context, c *channel) {
	if c == nil || !c.held || c.leaseUntil.Sub(s.cfg.Now()) > s.cfg.ChannelLease*2/3 {
		return
	}
	if err := s.renew(ctx, c); err != nil {
		s.log.WarnContext(ctx, "channel not renewed", "channel", c.address, "err", err)
	}
}

// occupy names the envelope that the channel is used for from now on. After an
// error it is unknown whether it is stored, and nothing may be built on it.
func (s *Submitter) occupy(ctx context.Context, c *channel, e lastEnvelope) error {
	data, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("soroban: encoding a channel's checkpoint: %w", err)
	}
	ctx, cancel := s.callContext(context.WithoutCancel(ctx))
	defer cancel()
	now := s.cfg.Now()
	err = s.cfg.Store.Checkpoint(ctx, onceward.CheckpointRequest{
		Claim: c.claim, Now: now,
		Checkpoints: []onceward.Checkpoint{{Name: channelCheckpoint, Data: data, At: now}},
	})
	if err != nil {
		c.held = false // the next reservation reads what stands
		return fmt.Errorf("%w: %w", errNotUsable, err)
	}
	c.last = e
	return nil
}

// giveUp lets other processes have the channel at once.
func (s *Submitter) giveUp(ctx context.Context, c *channel) {
	if !c.held {
		return
	}
	ctx, cancel := s.callContext(context.WithoutCancel(ctx))
	defer cancel()
	now := s.cfg.Now()
	err := s.cfg.Store.Renew(ctx, onceward.RenewRequest{Claim: c.claim, Now: now, LeaseUntil: now})
	c.leaseUntil = now
	if err != nil {
		c.held = false
		s.log.DebugContext(ctx, "channel not given up; its lease will lapse", "channel", c.address, "err", err)
	}
}
