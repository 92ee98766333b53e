package soroban_test

import (
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
)

// The whole way, once, and the answer again.
func TestMintOnce(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store())
		first := p.must("k")
		want(w, "replay", p.must("k"), first)
		want(w, "supply", w.supply(), amount)
		want(w, "sends", w.sends(), 1)
		trail := p.trailOf("k")
		want(w, "attempts", len(trail.Attempts), 1)
		want(w, "status", trail.Result.Status, soroban.Succeeded)
		want(w, "hash", trail.Result.TxHash, trail.Attempts[0].Hash)
		want(w, "recovered", trail.Result.Recovered, false)
		want(w, "record", p.record("k").Status, onceward.StatusCompleted)
	})
}
