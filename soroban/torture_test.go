package soroban_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

var tortures = []devchain.Fault{
	{Kind: devchain.LoseRequest},
	{Kind: devchain.LoseResponse},
	{Kind: devchain.Unavailable},
	{Kind: devchain.GatewayTimeout},
	{Kind: devchain.RPCError},
	{Kind: devchain.Hang},
	{Kind: devchain.StaleReplica},
	{Kind: devchain.DelayIngestion},
	{Kind: devchain.LookupRace},
	{Kind: devchain.DropTransaction},
	{Kind: devchain.EvictTransaction},
	{Kind: devchain.IncludeLate},
	{Kind: devchain.SurgePricing, Fee: 50_000},
}

// Random processes die at random calls on a chain that misbehaves at random.
// In the end every key has happened once, and keeps its answer. The sends are
// held against the stores all along. Invariants 1 to 9 and 11.
func TestTorture(t *testing.T) {
	t.Parallel()
	for range 25 {
		seed := rand.Uint64()
		t.Run(fmt.Sprintf("seed=%#x", seed), func(t *testing.T) {
			t.Parallel()
			inWorld(t, 3, func(w *world) { torture(w, rand.New(rand.NewPCG(seed, 0))) })
		})
	}
}

func torture(w *world, rng *rand.Rand) {
	w.Helper()
	keys := []string{"a", "b", "c", "d", "e", "f"}
	store := w.store()
	var wg sync.WaitGroup
	var processes []*process
	for range 6 {
		for range rng.IntN(4) {
			f := tortures[rng.IntN(len(tortures))]
			f.Times, f.Skip, f.Ledgers = 1+rng.IntN(6), rng.IntN(10), uint32(rng.IntN(6)) //nolint:gosec // small
			inject(w, f)
		}
		p := w.process(store)
		if rng.IntN(3) > 0 {
			p.dieAt, p.after = 1+rng.IntN(60), rng.IntN(2) == 0
		}
		processes = append(processes, p)
		for range 1 + rng.IntN(4) {
			key := keys[rng.IntN(len(keys))]
			wg.Go(func() { _, _ = p.mint(key) })
		}
		wg.Go(func() { _, _ = p.eng.Recover(w.Context()) })
		w.pass(time.Duration(1+rng.IntN(40_000)) * time.Millisecond)
	}
	w.chain.ClearFaults()
	for _, p := range processes {
		p.sub.Stop()
	}
	wg.Wait()
	w.pass(time.Minute) // every lease lapses, every envelope expires
	last := w.process(store)
	if _, err := last.eng.Recover(w.Context()); err != nil {
		w.Error(err)
	}
	hashes := map[string]bool{}
	for _, key := range keys {
		answer := last.must(key)
		want(w, key+": replay", last.must(key), answer)
		res := last.trailOf(key).Result
		want(w, key+": status", res.Status, soroban.Succeeded)
		hashes[res.TxHash] = true
	}
	want(w, "transactions", len(hashes), len(keys))
	want(w, "supply", w.supply(), int64(len(keys))*amount)
}
