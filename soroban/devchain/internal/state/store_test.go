package state_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

func data(i int) (state.Key, xdr.LedgerEntryData) {
	contract := xdr.ContractId{byte(i)} //nolint:gosec // a few
	d := xdr.ContractDataEntry{
		Contract:   xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &contract},
		Key:        xdr.ScVal{Type: xdr.ScValTypeScvVoid},
		Durability: xdr.ContractDataDurabilityTemporary,
		Val:        xdr.ScVal{Type: xdr.ScValTypeScvVoid},
	}
	k, err := state.KeyOf(xdr.LedgerKey{Type: xdr.LedgerEntryTypeContractData, ContractData: &xdr.LedgerKeyContractData{
		Contract: d.Contract, Key: d.Key, Durability: d.Durability,
	}})
	if err != nil {
		panic(err)
	}
	return k, xdr.LedgerEntryData{Type: xdr.LedgerEntryTypeContractData, ContractData: &d}
}

// Random ledgers against whole copies of the entries: At must read as the copy of that ledger, within the depth, and
// replaying the recorded changes must give the same entries.
func TestHistoryMatchesCopies(t *testing.T) {
	t.Parallel()
	const depth, keys = 8, 10
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	store, replayed := state.NewStore(depth), state.NewStore(depth)
	copies := map[uint32]map[state.Key]*xdr.LedgerEntry{0: {}}
	for seq := uint32(1); seq <= 200; seq++ {
		layer := state.NewLayer(store, seq)
		for range rng.IntN(4) {
			k, d := data(rng.IntN(keys))
			if rng.IntN(3) == 0 {
				layer.Delete(k)
			} else {
				layer.Put(k, d)
			}
		}
		changes, err := layer.Changes()
		if err != nil {
			t.Fatal(err)
		}
		again := state.NewLayer(replayed, seq)
		if err := again.Replay(changes); err != nil {
			t.Fatal(err)
		}
		replayed.Apply(seq, again.Writes())
		store.Apply(seq, layer.Writes())
		copies[seq] = maps.Collect(store.All)
		if !maps.Equal(stamps(maps.Collect(replayed.All)), stamps(copies[seq])) {
			t.Fatalf("ledger %d replays differently", seq)
		}
		for back := uint32(0); back <= depth && back <= seq; back++ {
			at := store.At(seq - back)
			for i := range keys {
				k, _ := data(i)
				if got, want := at.Get(k), copies[seq-back][k]; got != want {
					t.Fatalf("ledger %d as of %d, key %d: got %v, want %v", seq, seq-back, i, got, want)
				}
			}
		}
	}
}

func stamps(m map[state.Key]*xdr.LedgerEntry) map[string]string {
	out := map[string]string{}
	for k, e := range m {
		out[string(k)] = fmt.Sprint(e.LastModifiedLedgerSeq)
	}
	return out
}

// A temporary entry is reported once when its last ledger has passed, and not if its life was changed since.
func TestExpired(t *testing.T) {
	t.Parallel()
	store := state.NewStore(4)
	put := func(seq uint32, i int, until uint32) state.Key {
		layer := state.NewLayer(store, seq)
		k, d := data(i)
		layer.Put(k, d)
		ttl, err := k.TTL().LedgerKey()
		if err != nil {
			t.Fatal(err)
		}
		layer.Put(k.TTL(), xdr.LedgerEntryData{Type: xdr.LedgerEntryTypeTtl, Ttl: &xdr.TtlEntry{
			KeyHash: ttl.Ttl.KeyHash, LiveUntilLedgerSeq: xdr.Uint32(until),
		}})
		store.Apply(seq, layer.Writes())
		return k
	}
	one := put(1, 1, 10)
	put(1, 2, 10)
	put(2, 2, 20) // extended
	if got := store.Expired(10); len(got) != 1 || got[0] != one {
		t.Errorf("expired with ledger 10: %d entries", len(got))
	}
	if got := store.Expired(10); len(got) != 0 {
		t.Errorf("reported again: %d entries", len(got))
	}
	if got := store.Expired(20); len(got) != 1 {
		t.Errorf("expired with ledger 20: %d entries", len(got))
	}
}
