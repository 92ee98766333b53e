package state

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Layer collects writes above a Reader without touching it.
type Layer struct {
	below  Reader
	seq    uint32
	writes map[Key]*xdr.LedgerEntry // nil: deleted
}

// NewLayer starts an empty layer whose entries will say they were modified in ledger seq.
func NewLayer(below Reader, seq uint32) *Layer {
	return &Layer{below: below, seq: seq, writes: map[Key]*xdr.LedgerEntry{}}
}

// Get sees the layer's own writes first.
func (l *Layer) Get(k Key) *xdr.LedgerEntry {
	if e, ok := l.writes[k]; ok {
		return e
	}
	return l.below.Get(k)
}

// Put stores data under k, stamped with the layer's ledger.
func (l *Layer) Put(k Key, data xdr.LedgerEntryData) {
	l.writes[k] = &xdr.LedgerEntry{LastModifiedLedgerSeq: xdr.Uint32(l.seq), Data: data}
}

// Delete removes k.
func (l *Layer) Delete(k Key) { l.writes[k] = nil }

// Writes gives the layer's writes; the map is the layer's own.
func (l *Layer) Writes() map[Key]*xdr.LedgerEntry { return l.writes }

// Commit moves the writes of l into the layer it was built on.
func (l *Layer) Commit(into *Layer) { maps.Copy(into.writes, l.writes) }

// Changes describes the writes as ledger metadata does: what was there, then what is there, in key order.
func (l *Layer) Changes() (xdr.LedgerEntryChanges, error) {
	out := xdr.LedgerEntryChanges{}
	for _, k := range slices.Sorted(maps.Keys(l.writes)) {
		old, now := l.below.Get(k), l.writes[k]
		if old != nil {
			out = append(out, xdr.LedgerEntryChange{Type: xdr.LedgerEntryChangeTypeLedgerEntryState, State: old})
		}
		switch {
		case old == nil && now == nil:
		case old == nil:
			out = append(out, xdr.LedgerEntryChange{Type: xdr.LedgerEntryChangeTypeLedgerEntryCreated, Created: now})
		case now != nil:
			out = append(out, xdr.LedgerEntryChange{Type: xdr.LedgerEntryChangeTypeLedgerEntryUpdated, Updated: now})
		default:
			key, err := k.LedgerKey()
			if err != nil {
				return nil, err
			}
			out = append(out, xdr.LedgerEntryChange{Type: xdr.LedgerEntryChangeTypeLedgerEntryRemoved, Removed: &key})
		}
	}
	return out, nil
}

// Replay applies recorded changes to the layer, keeping the ledger each entry says it was modified in.
func (l *Layer) Replay(changes xdr.LedgerEntryChanges) error {
	for _, c := range changes {
		var e *xdr.LedgerEntry
		switch c.Type {
		case xdr.LedgerEntryChangeTypeLedgerEntryState:
			continue
		case xdr.LedgerEntryChangeTypeLedgerEntryRemoved:
			k, err := KeyOf(*c.Removed)
			if err != nil {
				return err
			}
			l.writes[k] = nil
			continue
		case xdr.LedgerEntryChangeTypeLedgerEntryCreated:
			e = c.Created
		case xdr.LedgerEntryChangeTypeLedgerEntryUpdated:
			e = c.Updated
		case xdr.LedgerEntryChangeTypeLedgerEntryRestored:
			e = c.Restored
		default:
			return fmt.Errorf("unknown ledger entry change %d", c.Type)
		}
		if err := l.Restore(e); err != nil {
			return err
		}
	}
	return nil
}

// Restore stores e as it is.
func (l *Layer) Restore(e *xdr.LedgerEntry) error {
	key, err := e.LedgerKey()
	if err != nil {
		return fmt.Errorf("entry without a key: %w", err)
	}
	k, err := KeyOf(key)
	if err != nil {
		return err
	}
	l.writes[k] = e
	return nil
}

// LiveUntil is the last ledger in which the entry under k lives, or 0 if it has no end.
func LiveUntil(r Reader, k Key) uint32 {
	if e := r.Get(k.TTL()); e != nil {
		return uint32(e.Data.Ttl.LiveUntilLedgerSeq)
	}
	return 0
}

// Before is the entry under k as it is below the layer.
func (l *Layer) Before(k Key) *xdr.LedgerEntry { return l.below.Get(k) }
