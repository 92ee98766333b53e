package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	gateways "github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// sends is every envelope that left a process, held against the database at
// the moment it left.
type sends struct {
	c     *campaign
	chain *devchain.Chain

	store        sync.RWMutex // held while the database is exchanged
	records      records
	closeRecords func() error

	mu       sync.Mutex
	bytes    map[string]bool  // every envelope, fee bumps by themselves
	first    map[string]*sent // by hash of the inner transaction
	order    []*sent
	count    int
	bumps    int
	relayed  int // users' transactions
	lost     []violation
	restored []restored
}

// restored is a database that was replaced by an older copy of itself: when,
// and the last sequence number that the copy knows of each channel.
type restored struct {
	ledger uint32
	last   map[string]int64
}

// sent is one envelope.
type sent struct {
	hash      string
	channel   string
	sequence  int64
	maxLedger uint32
	ledger    uint32 // the chain's latest when it was first sent
	epoch     int
	user      bool // it is a user's own transaction
}

func newSends(c *campaign) *sends {
	return &sends{c: c, chain: c.chain, first: make(map[string]*sent), bytes: make(map[string]bool)}
}

func (s *sends) open(ctx context.Context) (err error) {
	s.records, s.closeRecords, err = s.c.db.open(ctx)
	return err
}

func (s *sends) close() error {
	if s.records == nil {
		return nil
	}
	s.records = nil
	return s.closeRecords()
}

// exchange replaces the database, which no process has open, by a copy.
func (s *sends) exchange(ctx context.Context, n int) error {
	s.store.Lock()
	defer s.store.Unlock()
	if err := errors.Join(s.close(), s.c.db.restore(ctx, n), s.open(ctx)); err != nil {
		return err
	}
	r := restored{s.chain.LatestLedger(), make(map[string]int64)}
	err := s.list(ctx, channelKind, func(rec *onceward.Record) error {
		last, err := lastEnvelope(rec)
		r.last[rec.Key.Value] = last.Sequence
		return err
	})
	if err != nil {
		return err
	}
	s.c.history.forgot()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.restored = append(s.restored, r)
	return nil
}

// channelKind is of the records of channels.
const channelKind = "onceward/channel"

// named is what the record of a channel says of its last envelope.
type named struct {
	Operation string `json:"operation"`
	Sequence  int64  `json:"sequence"`
}

func lastEnvelope(rec *onceward.Record) (last named, err error) {
	for _, cp := range rec.Checkpoints {
		if err := json.Unmarshal(cp.Data, &last); err != nil {
			return last, err
		}
	}
	return last, nil
}

// sent takes one submission in, before it reaches the chain.
func (s *sends) sent(ctx context.Context, params json.RawMessage) {
	var req struct {
		Transaction string `json:"transaction"`
	}
	var env xdr.TransactionEnvelope
	if err := errors.Join(json.Unmarshal(params, &req), xdr.SafeUnmarshalBase64(req.Transaction, &env)); err != nil {
		s.violate(2, "an envelope that cannot be read was sent: %v", err)
		return
	}
	raw, err := env.MarshalBinary()
	if err != nil {
		s.violate(2, "an envelope that cannot be encoded was sent: %v", err)
		return
	}
	bump := env.FeeBump != nil
	if bump {
		env = xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: env.FeeBump.Tx.InnerTx.V1}
	}
	hash, err := network.HashTransactionInEnvelope(env, s.chain.Passphrase())
	if err != nil {
		s.violate(2, "an envelope that cannot be hashed was sent: %v", err)
		return
	}
	source := env.SourceAccount().ToAccountId()
	out := &sent{
		hash: hex.EncodeToString(hash[:]), channel: source.Address(), sequence: env.SeqNum(),
		ledger: s.chain.LatestLedger(),
	}
	if b := env.V1.Tx.Cond.V2; b != nil && b.LedgerBounds != nil {
		out.maxLedger = uint32(b.LedgerBounds.MaxLedger)
	}
	out.user = s.c.wallets.own[out.channel]
	if !s.note(out, raw, bump) {
		return
	}
	stored := s.stored
	if out.user {
		stored = s.storedRelay
	}
	s.c.checks.add("2", 1)
	if err := stored(ctx, out, raw); err != nil && ctx.Err() == nil {
		s.violate(2, "transaction %s was sent at ledger %d and is not stored: %v", out.hash, out.ledger, err)
	}
}

// note reports whether these bytes are seen for the first time.
func (s *sends) note(out *sent, raw []byte, bump bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if s.bytes[string(raw)] {
		return false
	}
	s.bytes[string(raw)] = true
	switch {
	case out.user:
		s.relayed++
	case bump:
		s.bumps++
		s.c.checks.add("10", 1)
	}
	_, known := s.first[out.hash]
	if bump && !known && !out.user { // for a user, the fee bump is all that is sent
		s.lost = append(s.lost, violation{10, "a fee bump was sent around a transaction that was never sent: " + out.hash})
	}
	if !known {
		out.epoch = len(s.restored)
		s.first[out.hash] = out
		s.order = append(s.order, out)
	}
	return true
}

func (s *sends) violate(invariant int, format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lost = append(s.lost, violation{invariant, fmt.Sprintf(format, args...)})
}

var errNotThere = errors.New("no record holds these bytes")

// stored looks for the envelope among the attempts of the operation that its
// channel names, and then of every operation that is under way.
func (s *sends) stored(ctx context.Context, out *sent, raw []byte) error {
	s.store.RLock()
	defer s.store.RUnlock()
	net := network.ID(s.chain.Passphrase())
	channel, err := s.records.Get(ctx, onceward.GetRequest{Now: time.Now(), Key: onceward.Key{
		Scope: onceward.ReservedScope + "channel/" + hex.EncodeToString(net[:8]), Value: out.channel,
	}})
	if err != nil {
		return fmt.Errorf("the record of its channel: %w", err)
	}
	last, err := lastEnvelope(&channel)
	if err != nil {
		return err
	}
	if id, err := onceward.ParseID(last.Operation); err == nil {
		rec, err := s.records.Find(ctx, onceward.FindRequest{ID: id, Now: time.Now()})
		if err == nil && holds(rec, out.hash, raw) {
			return nil
		}
	}
	// The channel has moved on: a process that slept sends what is long dead.
	found := false
	err = s.each(ctx, func(rec onceward.Record) { found = found || holds(rec, out.hash, raw) })
	if err == nil && !found {
		err = errNotThere
	}
	return err
}

// storedRelay looks for a user's transaction in the record that is named after
// it.
func (s *sends) storedRelay(ctx context.Context, out *sent, raw []byte) error {
	s.store.RLock()
	defer s.store.RUnlock()
	key := onceward.NaturalKey(gateways.Anonymous, relayKind, "transaction", out.hash)
	rec, err := s.records.Get(ctx, onceward.GetRequest{Key: key, Now: time.Now()})
	if err != nil {
		return err
	}
	for _, cp := range rec.Checkpoints {
		var kept struct {
			Send []byte `json:"send"`
		}
		if cp.Name == relayKind && json.Unmarshal(cp.Data, &kept) == nil && bytes.Equal(kept.Send, raw) {
			if t, err := soroban.ReadTrail(rec); err == nil && len(t.Attempts) == 1 && t.Attempts[0].Hash == out.hash {
				return nil
			}
		}
	}
	return errNotThere
}

// relayKind is of the records of what is relayed, and the name of the
// checkpoint that holds what is sent.
const relayKind = "relay"

// each reads every record of an operation, whole.
func (s *sends) each(ctx context.Context, do func(onceward.Record)) error {
	return s.list(ctx, "", func(rec *onceward.Record) error { do(*rec); return nil })
}

// list reads every record of a kind, whole; "" is every operation's.
func (s *sends) list(ctx context.Context, kind string, do func(*onceward.Record) error) error {
	req := onceward.ListRequest{Now: time.Now(), Kind: kind, Limit: 500}
	for {
		page, err := s.records.List(ctx, req)
		if err != nil {
			return err
		}
		for _, listed := range page.Records {
			if kind == "" && strings.HasPrefix(listed.Key.Scope, onceward.ReservedScope) {
				continue
			}
			rec, err := s.records.Get(ctx, onceward.GetRequest{Key: listed.Key, Now: time.Now()})
			if errors.Is(err, onceward.ErrNotFound) {
				continue
			}
			if err == nil {
				err = do(&rec)
			}
			if err != nil {
				return err
			}
		}
		if page.Next == "" {
			return nil
		}
		req.Cursor = page.Next
	}
}

// pending reports whether a webhook waits to be delivered.
func (s *sends) pending(ctx context.Context) (bool, error) {
	page, err := s.records.List(ctx, onceward.ListRequest{Now: time.Now(), Kind: "onceward/webhook/dev", Status: onceward.StatusStarted, Limit: 1})
	return len(page.Records) > 0, err
}

// holds reports whether the record has exactly these bytes as an attempt or as
// a fee bump of one.
func holds(rec onceward.Record, hash string, raw []byte) bool {
	t, err := soroban.ReadTrail(rec)
	if err != nil {
		return false
	}
	for _, a := range t.Attempts {
		stored := bytes.Equal(a.Envelope, raw)
		for _, b := range a.Bumps {
			stored = stored || bytes.Equal(b.Envelope, raw)
		}
		if a.Hash == hash && stored {
			return true
		}
	}
	return false
}
