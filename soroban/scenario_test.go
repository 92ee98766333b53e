package soroban_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

func inject(w *world, faults ...devchain.Fault) {
	w.Helper()
	for _, f := range faults {
		if err := w.chain.Inject(f); err != nil {
			w.Fatal(err)
		}
	}
}

// Invariant 1: the database is lost; the chain answers the retry.
func TestLostDatabaseIsAnsweredFromTheChain(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		first := w.process(w.store()).must("k")
		w.pass(time.Minute)
		p := w.process(w.store())
		want(w, "answer", p.must("k"), first)
		want(w, "supply", w.supply(), amount)
		want(w, "sends", w.sends(), 1)
		want(w, "recovered", p.trailOf("k").Result.Recovered, true)
		want(w, "attempts", p.trailOf("k").Result.Attempts, 0)
	})
}

// Two operations of one signer in one ledger are told apart by their nonces.
func TestLostDatabaseWithNeighbours(t *testing.T) {
	t.Parallel()
	inWorld(t, 3, func(w *world) {
		p := w.process(w.store())
		keys := []string{"a", "b", "c"}
		var wg sync.WaitGroup
		for _, key := range keys {
			wg.Go(func() { p.must(key) })
		}
		wg.Wait()
		lost := w.process(w.store())
		for _, key := range keys {
			want(w, key, lost.must(key), p.must(key))
			want(w, "same ledger", p.trailOf(key).Result.Ledger, p.trailOf("a").Result.Ledger)
		}
		want(w, "supply", w.supply(), 3*amount)
	})
}

// A contract with a guard of its own refuses the retry; that is the echo of
// the success, not a failure.
func TestContractGuardIsNotAFailure(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		submit := w.invocation("content", "submit", address(w, w.chain.Admin()), host.Bytes(make([]byte, 32)), host.String("uri"))
		out, err := w.process(w.store()).do("k", submit)
		if err != nil {
			w.Fatal(err)
		}
		w.pass(5500 * time.Millisecond) // between two ledgers
		inject(w, devchain.Fault{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 3, Ledgers: w.chain.LatestLedger() - 2})
		again, err := w.process(w.store()).do("k", submit)
		if err != nil {
			w.Fatal(err)
		}
		want(w, "answer", string(again.Response.Body), string(out.Response.Body))
		_, err = w.process(w.store()).do("other key", submit)
		rejected, ok := errors.AsType[*soroban.RejectedError](err)
		if !ok || !rejected.HasCode || rejected.Code != 1 {
			w.Errorf("another key: %v", err)
		}
		want(w, "sends", w.sends(), 1)
	})
}

// Invariant 1: two installations with databases of their own and one secret
// get the same key at the same moment; on their own channels, or wrongly on
// the same one.
func TestTwoDatabasesOneSecret(t *testing.T) {
	t.Parallel()
	for _, shared := range []bool{false, true} {
		inWorld(t, 2, func(w *world) {
			one := w.process(w.store(), func(c *soroban.Config) { c.Channels = w.channels[:1] })
			two := w.process(w.store(), func(c *soroban.Config) {
				c.Channels = w.channels[1:]
				if shared { // with other bytes: equal ones would be one envelope
					c.Channels, c.LedgerWindow = w.channels[:1], 9
				}
			})
			var answers [2]string
			var wg sync.WaitGroup
			for i, p := range []*process{one, two} {
				wg.Go(func() { answers[i] = p.must("k") })
			}
			wg.Wait()
			want(w, "answers agree", answers[0], answers[1])
			want(w, "supply", w.supply(), amount)
			if one.trailOf("k").Result.Recovered == two.trailOf("k").Result.Recovered {
				w.Error("exactly one must be another's transaction")
			}
		})
	}
}

// Invariant 9: the transaction waits elsewhere and is applied in the last
// ledger it is valid for.
func TestLateInclusion(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
		p := w.process(w.store())
		p.must("k")
		trail := p.trailOf("k")
		want(w, "attempts", len(trail.Attempts), 1)
		want(w, "ledger", trail.Result.Ledger, trail.Attempts[0].MaxLedger-1)
		want(w, "supply", w.supply(), amount)
	})
}

// Invariant 4 and 13: an envelope that expired gives way to a new one, under
// the very same authorization.
func TestExpiryThenNewAttempt(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 4})
		p := w.process(w.store())
		p.must("k")
		trail := p.trailOf("k")
		if len(trail.Attempts) != 2 {
			w.Fatalf("%d attempts", len(trail.Attempts))
		}
		a, b, proof := trail.Attempts[0], trail.Attempts[1], trail.Proofs[1]
		want(w, "nonce", b.Nonce, a.Nonce)
		want(w, "authorization ends", b.AuthUntil, a.AuthUntil)
		want(w, "sequence", b.Sequence, a.Sequence)
		want(w, "proof", proof.Kind, soroban.ProofExpired)
		if proof.Ledger < a.MaxLedger-1 || proof.Sequence >= a.Sequence {
			w.Errorf("proof %+v for %+v", proof, a)
		}
		want(w, "hash", trail.Result.TxHash, b.Hash)
		want(w, "supply", w.supply(), amount)
	})
}

// Invariant 12: a backup was restored that knows an envelope which expired, but
// not the one that then took its sequence number, ledgers later.
func TestSequenceTakenByAForgottenEnvelope(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store)
		p.mute.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = p.mint("a") }()
		w.pass(2 * time.Second)
		p.sub.Stop()
		<-done
		w.pass(20 * time.Second)
		other := w.process(w.store()) // stands for what the backup has forgotten
		for _, key := range []string{"b", "c", "d"} {
			other.must(key)
		}
		w.pass(time.Minute)
		next := w.process(store)
		next.must("a")
		trail := next.trailOf("a")
		want(w, "proof", trail.Proofs[1].Kind, soroban.ProofSuperseded)
		want(w, "by", trail.Proofs[1].By, other.trailOf("b").Result.TxHash)
		want(w, "supply", w.supply(), 4*amount)
	})
}

// Attempts are bounded. An authorization that may have been seen keeps the
// operation from being released.
func TestAttemptsAreBounded(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest})
		p := w.process(w.store(), func(c *soroban.Config) { c.MaxAttempts = 2 })
		_, err := p.mint("k")
		want(w, "code", onceward.CodeOf(err), onceward.CodeOutcomeUnknown)
		want(w, "attempts", len(p.trailOf("k").Attempts), 2)
		if rec := p.record("k"); rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, "nonce") {
			w.Errorf("%s: %s", rec.Status, rec.Reason)
		}
		_, err = p.do("free", soroban.Invocation{Contract: w.chain.Contract("reward"), Function: "total_supply"})
		if e, ok := errors.AsType[*soroban.UnavailableError](err); !ok {
			w.Errorf("without an authorization: %v", e)
		}
		_, err = p.store.Get(w.Context(), onceward.GetRequest{Key: onceward.Key{Scope: "alice", Value: "free"}, Now: time.Now()})
		want(w, "released", errors.Is(err, onceward.ErrNotFound), true)
	})
}

// What the contract refuses in simulation is not sent, and the key is free.
func TestRejectedInSimulation(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store())
		_, err := p.do("k", w.invocation("reward", "mint", address(w, recipient), i128(0)))
		rejected, ok := errors.AsType[*soroban.RejectedError](err)
		if !ok || !rejected.HasCode || rejected.Code != 1 {
			w.Fatalf("%v", err)
		}
		want(w, "sends", w.sends(), 0)
		p.must("k")
	})
}

// The same after an envelope that expired: it cannot be applied any more, but
// whoever saw it could use its authorization, so a person decides.
func TestRejectedAfterExpiry(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		store := w.store()
		p, other := w.process(store), w.process(store)
		submit := w.invocation("content", "submit", address(w, w.chain.Admin()), host.Bytes(make([]byte, 32)), host.String("uri"))
		p.mute.Store(true)
		done := make(chan error)
		go func() { _, err := p.do("a", submit); done <- err }()
		w.pass(3 * time.Second)
		if _, err := other.do("b", submit); err != nil {
			w.Fatal(err)
		}
		want(w, "code", onceward.CodeOf(<-done), onceward.CodeOutcomeUnknown)
		rec, first := p.record("a"), p.trailOf("a").Attempts[0]
		if reason := fmt.Sprintf("until ledger %d", first.AuthUntil); rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, reason) {
			w.Errorf("%s: %s; want it to say %q", rec.Status, rec.Reason, reason)
		}
	})
}

// Invariants 5 and 6: a transaction that failed on the ledger is final and
// replayed.
func TestFailedOnChain(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		p := w.process(w.store())
		submit := w.invocation("content", "submit", address(w, w.chain.Admin()), host.Bytes(make([]byte, 32)), host.String("uri"))
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b"} {
			wg.Go(func() { _, _ = p.do(key, submit) })
		}
		wg.Wait()
		a, b := p.trailOf("a").Result, p.trailOf("b").Result
		if a.Status != soroban.Succeeded {
			a, b = b, a
		}
		want(w, "one", a.Status, soroban.Succeeded)
		want(w, "the other", b.Status, soroban.Failed)
		want(w, "code", b.Code, 1)
		want(w, "result", b.ResultCode, "trapped")
		for _, key := range []string{"a", "b"} {
			out, err := p.do(key, submit)
			if err != nil || !out.Replayed {
				w.Errorf("%s: %+v, %v", key, out, err)
			}
			if p.trailOf(key).Result.Status == soroban.Failed {
				want(w, "HTTP status", out.Response.Status, http.StatusUnprocessableEntity)
			}
		}
		want(w, "sends", w.sends(), 2)
	})
}

// A key that made one call cannot make another, even if the database forgot.
func TestKeyReusedForAnotherCall(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		w.process(w.store()).must("k")
		p := w.process(w.store())
		_, err := p.do("k", w.invocation("reward", "mint", address(w, recipient), i128(1)))
		want(w, "code", onceward.CodeOf(err), onceward.CodeKeyReused)
		want(w, "sends", w.sends(), 1)
		want(w, "supply", w.supply(), amount)
	})
}
