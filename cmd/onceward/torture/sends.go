package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"
	_ "modernc.org/sqlite" // the driver of the processes

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/sqlitestore"
)

// sends is every envelope that left a process, held against the database at
// the moment it left.
type sends struct {
	chain *devchain.Chain
	data  string

	store   sync.RWMutex // held while the database is exchanged
	db      *sql.DB
	records *sqlitestore.Store

	mu    sync.Mutex
	bytes map[string]bool  // every envelope, fee bumps by themselves
	first map[string]*sent // by hash of the inner transaction
	order []*sent
	count int
	bumps int
	lost  []violation
	epoch int
}

// sent is one envelope.
type sent struct {
	hash      string
	channel   string
	sequence  int64
	maxLedger uint32
	ledger    uint32 // the chain's latest when it was first sent
	epoch     int
}

func newSends(chain *devchain.Chain, data string) *sends {
	return &sends{chain: chain, data: data, first: make(map[string]*sent), bytes: make(map[string]bool)}
}

func (s *sends) open(ctx context.Context) error {
	var err error
	if s.db, err = sql.Open("sqlite", filepath.Join(s.data, "onceward.db")); err != nil {
		return err
	}
	s.records, err = sqlitestore.Open(ctx, s.db, sqlitestore.Config{CheckMigrated: true})
	return err
}

func (s *sends) close() error {
	if s.records == nil {
		return nil
	}
	return errors.Join(s.records.Close(context.Background()), s.db.Close())
}

func (s *sends) backup(ctx context.Context, path string) error {
	s.store.RLock()
	defer s.store.RUnlock()
	return vacuumInto(ctx, s.db, path)
}

// exchange replaces the database, which no process has open.
func (s *sends) exchange(ctx context.Context, path string) error {
	s.store.Lock()
	defer s.store.Unlock()
	if err := errors.Join(s.close(), exchangeFiles(s.data, path), s.open(ctx)); err != nil { //nolint:contextcheck // closing is not cut short
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	return nil
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
	if !s.note(out, raw, bump) {
		return
	}
	if err := s.stored(ctx, out, raw); err != nil && ctx.Err() == nil {
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
	if bump {
		s.bumps++
	}
	_, known := s.first[out.hash]
	if bump && !known {
		s.lost = append(s.lost, violation{10, "a fee bump was sent around a transaction that was never sent: " + out.hash})
	}
	if !known {
		out.epoch = s.epoch
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
	named, err := s.records.Get(ctx, onceward.GetRequest{Now: time.Now(), Key: onceward.Key{
		Scope: onceward.ReservedScope + "channel/" + hex.EncodeToString(net[:8]), Value: out.channel,
	}})
	if err != nil {
		return fmt.Errorf("the record of its channel: %w", err)
	}
	for _, cp := range named.Checkpoints {
		var last struct {
			Operation string `json:"operation"`
		}
		if err := json.Unmarshal(cp.Data, &last); err != nil {
			return err
		}
		id, err := onceward.ParseID(last.Operation)
		if err != nil {
			continue
		}
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

// each reads every record of an operation, whole.
func (s *sends) each(ctx context.Context, do func(onceward.Record)) error {
	req := onceward.ListRequest{Now: time.Now(), Limit: 500}
	for {
		page, err := s.records.List(ctx, req)
		if err != nil {
			return err
		}
		for _, listed := range page.Records {
			rec, err := s.records.Get(ctx, onceward.GetRequest{Key: listed.Key, Now: time.Now()})
			if errors.Is(err, onceward.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			do(rec)
		}
		if page.Next == "" {
			return nil
		}
		req.Cursor = page.Next
	}
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
