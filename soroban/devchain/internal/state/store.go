// Package state holds the ledger's entries: the live set after the last closed ledger, enough history to answer as of
// a few ledgers ago, and copy-on-write layers in which ledgers, transactions and operations are built and rolled back.
//
// Entries are immutable once stored: whoever changes one stores a copy. The package does not lock; its owner does.
package state

import (
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Reader finds entries; nil means absent.
type Reader interface {
	Get(k Key) *xdr.LedgerEntry
}

// Store is the set of live entries after ledger Seq, with an undo log of the ledgers before it.
type Store struct {
	entries map[Key]*xdr.LedgerEntry
	seq     uint32
	depth   int
	undo    []undone         // oldest first, at most depth
	expiry  map[uint32][]Key // TTL value → temporary entries that may end there
	owners  map[xdr.Hash]Key // hash in a TTL entry → the entry it belongs to
}

type undone struct {
	seq    uint32 // the ledger that made the change
	before map[Key]*xdr.LedgerEntry
}

// NewStore returns an empty store that can look back depth ledgers.
func NewStore(depth int) *Store {
	return &Store{
		entries: map[Key]*xdr.LedgerEntry{},
		depth:   depth,
		expiry:  map[uint32][]Key{},
		owners:  map[xdr.Hash]Key{},
	}
}

// Get returns the entry as of the last applied ledger.
func (s *Store) Get(k Key) *xdr.LedgerEntry { return s.entries[k] }

// Len is the number of live entries, TTL entries included.
func (s *Store) Len() int { return len(s.entries) }

// Apply makes the writes of ledger seq current; a nil entry deletes.
func (s *Store) Apply(seq uint32, writes map[Key]*xdr.LedgerEntry) {
	before := make(map[Key]*xdr.LedgerEntry, len(writes))
	for k, e := range writes {
		before[k] = s.entries[k]
		s.put(k, e)
	}
	s.seq = seq
	s.undo = append(s.undo, undone{seq: seq, before: before})
	if extra := len(s.undo) - s.depth; extra > 0 {
		s.undo = slices.Delete(s.undo, 0, extra)
	}
}

func (s *Store) put(k Key, e *xdr.LedgerEntry) {
	if e == nil {
		delete(s.entries, k)
		return
	}
	s.entries[k] = e
	switch e.Data.Type {
	case xdr.LedgerEntryTypeContractData:
		if e.Data.ContractData.Durability == xdr.ContractDataDurabilityTemporary {
			ttl, err := k.TTL().LedgerKey()
			if err == nil {
				s.owners[ttl.Ttl.KeyHash] = k
			}
		}
	case xdr.LedgerEntryTypeTtl:
		until := uint32(e.Data.Ttl.LiveUntilLedgerSeq)
		s.expiry[until] = append(s.expiry[until], k)
	default:
	}
}

// Expired lists the temporary entries whose last ledger was until, in key order. They are to be deleted, with their
// TTL entries, in a later ledger; asking twice gives them once.
func (s *Store) Expired(until uint32) []Key {
	var out []Key
	keys := s.expiry[until]
	slices.Sort(keys)
	for _, ttlKey := range slices.Compact(keys) {
		e := s.entries[ttlKey]
		if e == nil || uint32(e.Data.Ttl.LiveUntilLedgerSeq) != until {
			continue // deleted or extended since
		}
		if owner, ok := s.owners[e.Data.Ttl.KeyHash]; ok {
			out = append(out, owner)
			delete(s.owners, e.Data.Ttl.KeyHash)
		}
	}
	delete(s.expiry, until)
	return out
}

// All calls yield for every live entry, in key order.
func (s *Store) All(yield func(Key, *xdr.LedgerEntry) bool) {
	keys := make([]Key, 0, len(s.entries))
	for k := range s.entries {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if !yield(k, s.entries[k]) {
			return
		}
	}
}

// At reads the entries as they were after ledger seq. A ledger older than the undo log reads as the oldest one known.
func (s *Store) At(seq uint32) Reader {
	if seq >= s.seq {
		return s
	}
	return past{store: s, seq: seq}
}

// Oldest is the earliest ledger that At can answer for exactly.
func (s *Store) Oldest() uint32 {
	if len(s.undo) == 0 {
		return s.seq
	}
	return s.undo[0].seq - 1
}

type past struct {
	store *Store
	seq   uint32
}

// Get returns the value that the first change after the wanted ledger replaced, or the live one if none did.
func (p past) Get(k Key) *xdr.LedgerEntry {
	for _, u := range p.store.undo {
		if u.seq <= p.seq {
			continue
		}
		if e, ok := u.before[k]; ok {
			return e
		}
	}
	return p.store.Get(k)
}

// Load adds entries as they are, without a trace in the history.
func (s *Store) Load(entries map[Key]*xdr.LedgerEntry) {
	for k, e := range entries {
		s.put(k, e)
	}
}

// Rebase says that the loaded entries are those after ledger seq.
func (s *Store) Rebase(seq uint32) { s.seq, s.undo = seq, nil }
