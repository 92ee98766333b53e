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
	heldSince  time.Time
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
	// Ledger that the account was seen in when the envelope was built.
	Ledger uint32 `json:"ledger,omitempty"`
	// Quarantine keeps the account from being used for as long as what it
	// says is seen.
	Quarantine *mark `json:"quarantine,omitempty"`
	// Retired keeps it from being used for good.
	Retired *mark `json:"retired,omitempty"`
}

// mark is why a channel is not used, and since when.
type mark struct {
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
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
		record: channelKey(network, s.Address()),
	}, nil
}

// channelKey names the record of a channel.
func channelKey(network [32]byte, address string) onceward.Key {
	return onceward.Key{Scope: onceward.ReservedScope + "channel/" + hex.EncodeToString(network[:8]), Value: address}
}

// channelClaim asks for the record of a channel.
func channelClaim(key onceward.Key, now time.Time, lease time.Duration) onceward.ClaimRequest {
	return onceward.ClaimRequest{
		Key: key, Owner: onceward.NewOwner(), Token: now.UnixMicro(),
		Kind: channelKind, Policy: onceward.Rerun, Fingerprint: []byte(channelKind), Retention: 24 * time.Hour,
		Now: now, LeaseUntil: now.Add(lease), ExpiresAt: onceward.Never,
	}
}

// readLast reads what an earlier owner of a channel's record left.
func readLast(rec *onceward.Record) (last lastEnvelope, err error) {
	for _, cp := range rec.Checkpoints {
		if cp.Name != channelCheckpoint {
			continue
		}
		if err := json.Unmarshal(cp.Data, &last); err != nil {
			return last, fmt.Errorf("soroban: the record of channel %s is damaged: %w", rec.Key.Value, err)
		}
	}
	return last, nil
}

// reserve makes the channel ours and proves it quiet. The view it returns is
// the one that the next sequence number comes from; it holds the nonce entry
// of guardKey as well.
func (s *Submitter) reserve(ctx context.Context, c *channel, guardKey string) (ledgerView, error) {
	if err := s.hold(ctx, c); err != nil {
		return ledgerView{}, err
	}
	if c.last.Retired != nil {
		return ledgerView{}, fmt.Errorf("%w: account %s is retired: %s", errNotUsable, c.address, c.last.Retired.Reason)
	}
	v, err := s.look(ctx, c.key, guardKey)
	if err != nil {
		return v, &UnavailableError{Reason: "the chain does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	}
	switch state := c.last.against(v); {
	case state.usable():
		return v, nil
	case state == channelLive && c.last.Quarantine != nil:
		return v, fmt.Errorf("%w: it is in quarantine: %s", errNotUsable, c.last.Quarantine.Reason)
	case state == channelLive:
		return v, fmt.Errorf("%w: its last envelope may still be applied", errNotUsable)
	case state == channelMissing:
		return v, fmt.Errorf("%w: account %s is not funded", errNotUsable, c.address)
	default:
		return v, s.quarantine(ctx, c, v, state)
	}
}

// channelState is what one answer says of a channel, against its record.
type channelState uint8

const (
	// channelQuiet: nothing that was signed for it can be applied any more.
	channelQuiet channelState = iota
	// channelLive: its last envelope may still be applied.
	channelLive
	// channelMissing: never used, and there is no such account.
	channelMissing
	// channelGone: used, and there is no such account any more.
	channelGone
	// channelAhead: the chain knows a sequence number that the record does not,
	// or that it could only fear.
	channelAhead
	// channelBehind: the chain is far behind the ledger it was used in.
	channelBehind
)

// fear is what the record says of an account that something unknown has used:
// there may be an envelope with the next sequence number. fresh is the latest
// ledger that is known of.
func (v ledgerView) fear(fresh, window uint32) lastEnvelope {
	return lastEnvelope{Sequence: v.seq + 1, MaxLedger: fresh + window + 1, Ledger: v.ledger}
}

// feared reports whether the envelope was never seen. That its number is used
// does not end the fear: the answer that raised it may have been an old one,
// and others have followed.
func (e *lastEnvelope) feared() bool { return e.Operation == "" }

// against decides; it rests on one answer and on the record alone.
func (e *lastEnvelope) against(v ledgerView) channelState {
	switch {
	case e.Sequence == 0 && !v.account:
		return channelMissing
	case e.Sequence == 0:
		return channelQuiet
	case v.ledger+resetLedgers < e.Ledger:
		return channelBehind
	case !v.account:
		return channelGone
	case v.seq == e.Sequence && !e.feared() || v.never(e.Sequence, e.MaxLedger):
		return channelQuiet
	case v.seq < e.Sequence:
		return channelLive
	}
	return channelAhead
}

// quarantine puts on record why the channel is not used. One whose account is
// ahead rests until nothing that was forgotten can be valid; then, and when
// the chain does not show any more what the record says, it is used again.
func (s *Submitter) quarantine(ctx context.Context, c *channel, v ledgerView, state channelState) error {
	if state != channelAhead && c.last.Quarantine != nil {
		return fmt.Errorf("%w: it is in quarantine: %s", errNotUsable, c.last.Quarantine.Reason)
	}
	reason, next := c.last.contradicted(v, state, v.fear(s.orSeen(v.ledger), s.cfg.LedgerWindow))
	next.Quarantine = &mark{Reason: reason, At: s.cfg.Now()}
	s.log.ErrorContext(ctx, "channel in quarantine", "channel", c.address, "reason", reason)
	if err := s.occupy(ctx, c, next); err != nil {
		return err
	}
	return fmt.Errorf("%w: it is in quarantine: %s", errNotUsable, reason)
}

// contested lets a channel rest whose record names the envelope, when its
// sequence number has gone to another: who used the account may use it again.
// A channel that is not ours to write to is left to its owner.
func (s *Submitter) contested(ctx context.Context, c *channel, a *Attempt, v ledgerView) {
	if c != nil && c.held && c.last.Hash == a.Hash {
		_ = s.quarantine(ctx, c, v, channelAhead) // whoever wants the channel is told
	}
}

// contradicted tells a person what is wrong, and what the record says from
// then on; fear is that if what was signed for the account is unknown.
func (e *lastEnvelope) contradicted(v ledgerView, state channelState, fear lastEnvelope) (string, lastEnvelope) {
	switch state {
	case channelAhead:
		return fmt.Sprintf("its sequence number is %d as of ledger %d, and the record does not know by what: the database was restored "+
			"from a backup, or somebody else uses the account; it rests until ledger %d", v.seq, v.ledger, fear.MaxLedger-1), fear
	case channelBehind:
		return fmt.Sprintf("the chain is at ledger %d, and the account was used in ledger %d: the network was reset, or the server "+
			"is far behind", v.ledger, e.Ledger), *e
	default:
		return fmt.Sprintf("the account does not exist any more, as of ledger %d: it was merged, or the network was reset", v.ledger), *e
	}
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
	res, err := s.cfg.Store.Claim(storeCtx, channelClaim(c.record, now, s.cfg.ChannelLease))
	switch {
	case err != nil:
		return &UnavailableError{Reason: "the store does not answer", RetryAfter: s.cfg.PollInterval, Err: err}
	case !res.Won:
		return fmt.Errorf("%w: another process holds it", errNotUsable)
	}
	return c.adopt(&res.Record, now)
}

// adopt takes over what an earlier owner of the record left.
func (c *channel) adopt(rec *onceward.Record, now time.Time) error {
	last, err := readLast(rec)
	if err != nil {
		return fmt.Errorf("%w: %w", errNotUsable, err)
	}
	c.last = last
	c.held, c.claim, c.leaseUntil, c.heldSince = true, rec.Claim(), rec.LeaseUntil, now
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
