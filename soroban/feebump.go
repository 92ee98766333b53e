package soroban

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Bump is a fee bump of an attempt's transaction: another envelope around the
// same transaction, with the same hash and sequence number inside, that offers
// more for a place in a ledger. At most one of them all is ever applied, and
// what proves something of the transaction proves it of each.
type Bump struct {
	// Envelope is the signed xdr.TransactionEnvelope.
	Envelope []byte `json:"envelope"`
	// Hash of the fee bump, hexadecimal; the transaction's is Attempt.Hash.
	Hash string `json:"hash"`
	// Fee is the most that it may cost, in stroops.
	Fee int64 `json:"fee"`
}

// bid is what an envelope offers.
type bid struct {
	fee      int64 // the whole, in stroops
	resource int64 // of that, for resources; the rest bids for a place
	ops      int64 // what the rest is spread over: a fee bump counts one more
}

const (
	// bumpFactor is how much more for each operation a fee bump must offer
	// than an envelope of its account that waits already.
	bumpFactor = 10
	bumpOps    = 2 // one operation, and one for the bump
	// maxBid keeps the arithmetic of fees within an int64: 100 million XLM.
	maxBid = int64(1) << 50
)

// raised is the fee of the next fee bump: ten times the bid for an operation,
// or what a node asked for this envelope if that is more. The last one may
// offer less than ten times, up to the limit: it does if nothing waits in the
// node's queue. It is 0 when the limit leaves no room.
func (b bid) raised(needed, limit int64) int64 {
	place := b.fee - b.resource
	if place <= 0 || b.ops <= 0 || b.fee > maxBid {
		return 0
	}
	limit, needed = min(limit, maxBid)-b.resource, min(needed, maxBid)-b.resource
	scale := func(n int64) int64 { return (n*bumpOps + b.ops - 1) / b.ops }
	least := scale(max(place, needed))
	want := min(max(scale(bumpFactor*place), least), limit)
	if want < least || want <= scale(place) {
		return 0
	}
	return want + b.resource
}

// bid is what the latest stored envelope of the attempt offers.
func (a *Attempt) bid() bid {
	b := bid{fee: a.Fee, resource: a.ResourceFee, ops: 1}
	if n := len(a.Bumps); n > 0 {
		b.fee, b.ops = a.Bumps[n-1].Fee, bumpOps
	}
	return b
}

// current is the envelope that is sent.
func (a *Attempt) current() []byte {
	if n := len(a.Bumps); n > 0 {
		return a.Bumps[n-1].Envelope
	}
	return a.Envelope
}

// bump signs a fee bump and stores it with its attempt; only then may it be
// sent. nil without an error means that there is none: the signer failed, or
// the record has no room.
func (s *Submitter) bump(ctx context.Context, op *onceward.Operation, a *Attempt, fee int64) (*bid, error) {
	b, err := s.signBump(ctx, a, fee)
	if err != nil {
		s.log.WarnContext(ctx, "no fee bump", "operation", op.ID(), "tx", a.Hash, "err", err)
		return nil, nil //nolint:nilerr // the envelope stands as it is
	}
	next := *a
	next.Bumps = append(slices.Clone(a.Bumps), *b)
	name := attemptPrefix + strconv.Itoa(a.Number)
	if err := s.checkpoint(ctx, op, name, &next); err != nil {
		want, _ := json.Marshal(&next)
		if have, _ := op.Recall(name); !bytes.Equal(have, want) && s.halted(ctx) == nil {
			s.log.WarnContext(ctx, "no fee bump", "operation", op.ID(), "tx", a.Hash, "err", err)
			return nil, nil // it was not even tried to store it
		}
		return nil, err
	}
	*a = next
	s.log.InfoContext(ctx, "fee bump signed and stored", "operation", op.ID(), "attempt", a.Number, "tx", a.Hash,
		"fee_bump", b.Hash, "fee", fee)
	offer := a.bid()
	return &offer, nil
}

// signBump makes a fee bump that the channel itself pays for.
func (s *Submitter) signBump(ctx context.Context, a *Attempt, fee int64) (*Bump, error) {
	signer := s.channelSigner(a.Channel)
	if signer == nil {
		return nil, fmt.Errorf("soroban: %s is no channel of this process", a.Channel)
	}
	if _, err := a.transaction(s.cfg.Passphrase); err != nil {
		return nil, err
	}
	var inner xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshal(a.Envelope, &inner); err != nil {
		return nil, fmt.Errorf("soroban: attempt %d: decoding its envelope: %w", a.Number, err)
	}
	id, err := xdr.AddressToAccountId(a.Channel)
	if err != nil {
		return nil, fmt.Errorf("soroban: channel %q: %w", a.Channel, err)
	}
	env := xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTxFeeBump, FeeBump: &xdr.FeeBumpTransactionEnvelope{
		Tx: xdr.FeeBumpTransaction{
			FeeSource: id.ToMuxedAccount(), Fee: xdr.Int64(fee),
			InnerTx: xdr.FeeBumpTransactionInnerTx{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: inner.V1},
		},
	}}
	hash, err := network.HashTransactionInEnvelope(env, s.cfg.Passphrase)
	if err != nil {
		return nil, fmt.Errorf("soroban: hashing a fee bump: %w", err)
	}
	if err := s.spend(ctx, fee-a.bid().fee); err != nil {
		return nil, err
	}
	sig, err := signed(ctx, signer, hash)
	if err != nil {
		return nil, err
	}
	env.FeeBump.Signatures = []xdr.DecoratedSignature{{Hint: hintOf(id), Signature: sig}}
	raw, err := env.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("soroban: encoding a fee bump: %w", err)
	}
	return &Bump{Envelope: raw, Hash: hex.EncodeToString(hash[:]), Fee: fee}, nil
}

// channelSigner finds a channel's signer; nil when this process has none.
func (s *Submitter) channelSigner(address string) Signer {
	for _, ch := range s.cfg.Channels {
		if ch.Address() == address {
			return ch
		}
	}
	return nil
}
