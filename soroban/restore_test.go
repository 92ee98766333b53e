package soroban_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// archival is a chain whose entries are archived after 300 ledgers.
var archival = devchain.Config{PersistentTTL: 300}

// archived lets the entries of a first mint be archived.
func (w *world) archived() {
	w.Helper()
	w.process(w.store()).must("first")
	w.pass(310 * time.Second)
}

// A server that leaves archived entries to an operation of its own gets one:
// stored, sent and proven like every envelope, then the call follows.
func TestArchivedEntriesAreRestored(t *testing.T) {
	t.Parallel()
	for _, own := range []bool{true, false} {
		t.Run(fmt.Sprintf("by an operation of its own=%v", own), func(t *testing.T) {
			t.Parallel()
			inWorldOf(t, archival, 1, func(w *world) {
				w.archived()
				if own {
					inject(w, devchain.Fault{Kind: devchain.NeedRestore})
				}
				p := w.process(w.store())
				p.must("k")
				trail := p.trailOf("k")
				call := trail.Attempts[len(trail.Attempts)-1]
				want(w, "call", call.Kind, soroban.KindCall)
				want(w, "hash", trail.Result.TxHash, call.Hash)
				want(w, "supply", w.supply(), 2*amount)
				if !own {
					want(w, "attempts", len(trail.Attempts), 1)
					return
				}
				want(w, "attempts", len(trail.Attempts), 2)
				restore := trail.Attempts[0]
				want(w, "restoration", restore.Kind, soroban.KindRestore)
				want(w, "proof", trail.Proofs[1].Kind, soroban.ProofRestored)
				want(w, "channel", call.Channel, restore.Channel)
				want(w, "sequence", call.Sequence, restore.Sequence+1)
				want(w, "nonce of a restoration", restore.AuthUntil, 0)
			})
		})
	}
}

// A restoration that never arrives expires by proof, and is built again.
func TestLostRestoration(t *testing.T) {
	t.Parallel()
	inWorldOf(t, archival, 1, func(w *world) {
		w.archived()
		inject(w, devchain.Fault{Kind: devchain.NeedRestore},
			devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 4})
		p := w.process(w.store())
		p.must("k")
		trail := p.trailOf("k")
		want(w, "attempts", len(trail.Attempts), 3)
		want(w, "first", trail.Proofs[1].Kind, soroban.ProofExpired)
		want(w, "second", trail.Proofs[2].Kind, soroban.ProofRestored)
		want(w, "supply", w.supply(), 2*amount)
	})
}

// What is archived again before the call gets in ends after so many attempts,
// without the call ever having left: the key is free.
func TestRestorationsAreBounded(t *testing.T) {
	t.Parallel()
	inWorldOf(t, archival, 1, func(w *world) {
		w.archived()
		inject(w, devchain.Fault{Kind: devchain.NeedRestore},
			devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest})
		p := w.process(w.store(), func(c *soroban.Config) { c.MaxAttempts = 2 })
		if _, err := p.mint("k"); err == nil {
			w.Error("done")
		}
		_, err := p.store.Get(w.Context(), onceward.GetRequest{Key: onceward.Key{Scope: "alice", Value: "k"}, Now: time.Now()})
		if err == nil {
			w.Error("the key is not free")
		}
		want(w, "supply", w.supply(), amount)
	})
}

// A restoration is not the call: as long as only that has left, the call has
// not happened, and an operation that cannot go on releases its key.
func TestKeyIsFreeAfterARestorationAlone(t *testing.T) {
	t.Parallel()
	inWorldOf(t, archival, 1, func(w *world) {
		w.archived()
		inject(w, devchain.Fault{Kind: devchain.NeedRestore},
			devchain.Fault{Method: "simulateTransaction", Kind: devchain.Unavailable, Skip: 2})
		p := w.process(w.store())
		_, err := p.mint("k")
		if e, ok := errors.AsType[*soroban.UnavailableError](err); !ok || e.RetryAfter <= 0 {
			w.Errorf("%v", err)
		}
		w.chain.ClearFaults()
		p.must("k") // at once, without recovery
		want(w, "attempts", len(p.trailOf("k").Attempts), 1)
		want(w, "supply", w.supply(), 2*amount)
	})
}

// A process dies at every call it makes while it restores: the mint happens
// once, and recovery finishes it from the checkpoints alone.
func TestCrashWhileRestoring(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		t.Run(fmt.Sprintf("after=%v", after), func(t *testing.T) {
			t.Parallel()
			for n, died := 1, true; died; n++ {
				t.Run(fmt.Sprint(n), func(t *testing.T) {
					var this bool
					inWorldOf(t, archival, 2, func(w *world) {
						w.archived()
						this = crashAt(w, n, after, devchain.Fault{Kind: devchain.NeedRestore})
					})
					died = this
				})
			}
		})
	}
}

// Recovery goes on with the call that the restoration made way for, without a
// client.
func TestRecoveryFinishesTheCallAfterARestoration(t *testing.T) {
	t.Parallel()
	inWorldOf(t, archival, 1, func(w *world) {
		w.archived()
		inject(w, devchain.Fault{Kind: devchain.NeedRestore})
		store := w.store()
		p := w.process(store)
		p.mute.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = p.mint("k") }()
		w.pass(2500 * time.Millisecond)
		p.sub.Stop()
		<-done
		want(w, "kind", p.trailOf("k").Attempts[0].Kind, soroban.KindRestore)
		next := w.process(store)
		if got, err := next.eng.Recover(w.Context()); err != nil || got.Completed != 1 {
			w.Errorf("%+v, %v", got, err)
		}
		want(w, "supply", w.supply(), 2*amount)
	})
}
