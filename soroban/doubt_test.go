package soroban_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// The state is ahead of the history for longer than any patience: what is not
// ingested yet is waited for, and nobody is asked to decide.
func TestIngestionLagIsWaitedOut(t *testing.T) {
	t.Parallel()
	for _, guarded := range []bool{true, false} {
		inWorld(t, 1, func(w *world) {
			w.pass(time.Minute)
			inject(w, devchain.Fault{Method: "getTransaction", Kind: devchain.DelayIngestion, Ledgers: 40, Times: 40},
				devchain.Fault{Method: "getTransactions", Kind: devchain.DelayIngestion, Ledgers: 40, Times: 40})
			p := w.process(w.store())
			inv := w.invocation("reward", "mint", address(w, recipient), i128(amount))
			if !guarded {
				inv = w.invocation("reward", "total_supply")
				inv.Signer = ""
			}
			if _, err := p.do("k", inv); err != nil {
				w.Errorf("guarded %v: %v, %s", guarded, err, p.record("k").Reason)
			}
			trail := p.trailOf("k")
			want(w, "attempts", len(trail.Attempts), 1)
			want(w, "hash", trail.Result.TxHash, trail.Attempts[0].Hash)
		})
	}
}

// The network is reset under an operation: nothing is sent to the new one, and
// a person sees what was last known.
func TestResetUnderAnOperation(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		for range 800 {
			if _, err := w.chain.CloseLedger(); err != nil {
				w.Fatal(err)
			}
		}
		p := w.process(w.store())
		p.mute.Store(true)
		done := make(chan error)
		go func() { _, err := p.mint("k"); done <- err }()
		w.pass(3500 * time.Millisecond)
		p.mute.Store(false)
		sends := w.sends()
		inject(w, devchain.Fault{Kind: devchain.ResetNetwork, Times: 1})
		err := <-done
		want(w, "code", onceward.CodeOf(err), onceward.CodeOutcomeUnknown)
		rec := p.record("k")
		if rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, "reset") || !strings.Contains(rec.Reason, "last seen") {
			w.Errorf("%s: %s", rec.Status, rec.Reason)
		}
		trail := p.trailOf("k")
		if trail.Evidence == nil || trail.Evidence.Ledger < 800 || trail.Evidence.Hash != trail.Attempts[0].Hash {
			w.Errorf("evidence %+v", trail.Evidence)
		}
		want(w, "proofs", len(trail.Proofs), 0)
		want(w, "sent after the reset", w.sends()-sends <= 1, true) // the one that found it
		want(w, "supply", w.supply(), 0)
	})
}

// An account that consumed its sequence number in the dark: history too short,
// no nonce. Held, and a person's decision ends it.
func TestHeldOperationIsResolved(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.TrimHistory, Ledgers: 1})
		p := w.process(w.store(), func(c *soroban.Config) { c.PollInterval = 3 * time.Second })
		_, err := p.do("k", soroban.Invocation{Contract: w.chain.Contract("reward"), Function: "total_supply"})
		want(w, "code", onceward.CodeOf(err), onceward.CodeOutcomeUnknown)
		key := onceward.Key{Scope: "alice", Value: "k"}
		answer := onceward.Response{Status: 200, Body: []byte("it happened")}
		if err := p.eng.Resolve(w.Context(), key, onceward.Verdict{Decision: onceward.Completed, Response: answer}); err != nil {
			w.Fatal(err)
		}
		out, err := p.do("k", soroban.Invocation{Contract: w.chain.Contract("reward"), Function: "total_supply"})
		if err != nil || string(out.Response.Body) != "it happened" || !out.Replayed {
			w.Errorf("%+v, %v", out, err)
		}
		want(w, "sends", w.sends(), 1)
	})
}

// A server that is not there yet refuses to search the ledger in question,
// while others have long gone past it. Its refusals are no searches in vain,
// however many there are.
func TestRefusedSearchIsNotAMiss(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		first := w.process(w.store()).must("k")
		w.pass(time.Minute)
		lost := w.process(w.store())
		var searches atomic.Int32
		lost.reply = func(method string, body []byte) []byte {
			if method == "getTransactions" && searches.Add(1) <= 10*8 {
				return []byte(`{"jsonrpc":"2.0","id":1,"error":{"code":-32602,"message":"start is after the latest ledger"}}`)
			}
			return body
		}
		want(w, "answer", lost.must("k"), first)
		want(w, "searched on", searches.Load() > 10*8, true)
		want(w, "supply", w.supply(), amount)
	})
}
