package host

import (
	"maps"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// Lifetimes of new entries, in ledgers, as a public network sets them (about a day's minute, and four months at 5 s).
const (
	MinTemporaryTTL  = 16
	MinPersistentTTL = 2_073_600
	MaxTTL           = 3_110_400
)

// storage gives an invocation its view of the ledger. Recording notes every key that is touched; enforcing refuses
// the ones that the transaction did not declare, which on a network traps the invocation.
type storage struct {
	layer     *state.Layer
	ledger    uint32
	recording bool
	writable  map[state.Key]bool // declared or recorded key → may be written
	archived  map[state.Key]bool // persistent entries past their end that were touched while recording
}

func newStorage(layer *state.Layer, ledger uint32, footprint *xdr.LedgerFootprint) (*storage, error) {
	s := &storage{
		layer: layer, ledger: ledger, recording: footprint == nil,
		writable: map[state.Key]bool{}, archived: map[state.Key]bool{},
	}
	if footprint == nil {
		return s, nil
	}
	for _, part := range []struct {
		keys     []xdr.LedgerKey
		writable bool
	}{{footprint.ReadOnly, false}, {footprint.ReadWrite, true}} {
		for _, key := range part.keys {
			k, err := state.KeyOf(key)
			if err != nil {
				return nil, err
			}
			s.writable[k] = part.writable
		}
	}
	return s, nil
}

func (s *storage) touch(k state.Key, write bool) error {
	allowed, declared := s.writable[k]
	switch {
	case s.recording:
		s.writable[k] = allowed || write
	case !declared:
		return fail(xdr.ScErrorTypeSceStorage, xdr.ScErrorCodeScecExceededLimit,
			"trying to access a ledger entry outside of the footprint")
	case write && !allowed:
		return fail(xdr.ScErrorTypeSceStorage, xdr.ScErrorCodeScecExceededLimit,
			"trying to write a ledger entry that the footprint declares read-only")
	}
	return nil
}

// get returns the live entry, or nil.
func (s *storage) get(k state.Key) (*xdr.LedgerEntry, error) {
	if err := s.touch(k, false); err != nil {
		return nil, err
	}
	e := s.layer.Get(k)
	if e == nil || Live(s.layer, k, e, s.ledger) {
		return e, nil
	}
	if isTemporary(e) {
		return nil, nil
	}
	if s.recording { // simulated as if it had been restored, which the answer then asks for
		s.archived[k] = true
		return e, nil
	}
	return nil, fail(xdr.ScErrorTypeSceStorage, xdr.ScErrorCodeScecInternalError, "accessing an archived entry")
}

// put stores data; a new entry, or a persistent one, lives at least until the given ledger.
func (s *storage) put(k state.Key, data xdr.LedgerEntryData, until uint32) error {
	if err := s.touch(k, true); err != nil {
		return err
	}
	s.layer.Put(k, data)
	if old := state.LiveUntil(s.layer, k); old >= until && old >= s.ledger {
		return nil
	}
	ttl := k.TTL()
	key, err := ttl.LedgerKey()
	if err != nil {
		return err
	}
	s.layer.Put(ttl, xdr.LedgerEntryData{Type: xdr.LedgerEntryTypeTtl, Ttl: &xdr.TtlEntry{
		KeyHash: key.Ttl.KeyHash, LiveUntilLedgerSeq: xdr.Uint32(until),
	}})
	return nil
}

// footprint lists what was touched, in key order.
func (s *storage) footprint() (xdr.LedgerFootprint, error) {
	var out xdr.LedgerFootprint
	for _, k := range slices.Sorted(maps.Keys(s.writable)) {
		key, err := k.LedgerKey()
		if err != nil {
			return out, err
		}
		if s.writable[k] {
			out.ReadWrite = append(out.ReadWrite, key)
		} else {
			out.ReadOnly = append(out.ReadOnly, key)
		}
	}
	return out, nil
}

func isTemporary(e *xdr.LedgerEntry) bool {
	return e.Data.Type == xdr.LedgerEntryTypeContractData &&
		e.Data.ContractData.Durability == xdr.ContractDataDurabilityTemporary
}

// Live tells whether e, stored under k, still lives in the given ledger. Entries without a TTL live forever.
func Live(r state.Reader, k state.Key, e *xdr.LedgerEntry, ledger uint32) bool {
	if e.Data.Type != xdr.LedgerEntryTypeContractData && e.Data.Type != xdr.LedgerEntryTypeContractCode {
		return true
	}
	return state.LiveUntil(r, k) >= ledger
}
