package soroban_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// feeOf is what an envelope may cost at most, and whether it is a fee bump.
func feeOf(w *world, raw []byte) (int64, bool) {
	w.Helper()
	var env xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshal(raw, &env); err != nil {
		w.Fatal(err)
	}
	if env.FeeBump != nil {
		return int64(env.FeeBump.Tx.Fee), true
	}
	return int64(env.V1.Tx.Fee), false
}

// A transaction that is refused for its fee is bumped: stored, then sent, with
// the same hash inside. spy holds the sends against the stores.
func TestFeeBump(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.SurgePricing, Fee: 50_000})
		p := w.process(w.store())
		p.must("k")
		trail := p.trailOf("k")
		want(w, "attempts", len(trail.Attempts), 1)
		a := trail.Attempts[0]
		if len(a.Bumps) != 1 || len(w.envelopesOf(a.Hash)) != 2 {
			w.Fatalf("%d bumps are stored, %d envelopes were sent", len(a.Bumps), len(w.envelopesOf(a.Hash)))
		}
		want(w, "hash", trail.Result.TxHash, a.Hash)
		want(w, "recovered", trail.Result.Recovered, false)
		want(w, "bid for an operation", (a.Bumps[0].Fee-a.ResourceFee)/2, 10*(a.Fee-a.ResourceFee))
		fee, bump := feeOf(w, w.envelopesOf(a.Hash)[1])
		want(w, "fee", fee, a.Bumps[0].Fee)
		want(w, "is a fee bump", bump, true)
		want(w, "supply", w.supply(), amount)
		want(w, "replay", p.must("k"), p.must("k"))
	})
}

// One bump may not be enough: each offers ten times the one before, or what
// the node asks for, and none more than the limit. Then it is waited out.
func TestFeeBumpsAreCapped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		price, limit int64
		bumps        int
		done         bool
	}{
		{500_000, 0, 1, true},        // asked for more than ten times
		{90_000, 300_000, 1, true},   // ten times fits under the limit
		{120_000, 400_000, 1, true},  // what is asked for does, just
		{190_000, 400_000, 0, false}, // and here it does not
		{1 << 40, 50_000_000, 0, false},
	} {
		t.Run(fmt.Sprint(c.price, " of ", c.limit), func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				inject(w, devchain.Fault{Kind: devchain.SurgePricing, Fee: c.price})
				p := w.process(w.store(), func(cfg *soroban.Config) { cfg.MaxFee, cfg.MaxAttempts = c.limit, 1 })
				_, err := p.mint("k")
				if c.done != (err == nil) {
					w.Errorf("%v", err)
				}
				trail := p.trailOf("k")
				want(w, "bumps", len(trail.Attempts[0].Bumps), c.bumps)
				limit := c.limit
				if limit == 0 {
					limit = 50_000_000
				}
				for _, raw := range w.envelopesOf(trail.Attempts[0].Hash) {
					if fee, _ := feeOf(w, raw); fee > limit {
						w.Errorf("sent for %d stroops, with at most %d", fee, limit)
					}
				}
				if !c.done {
					want(w, "code", onceward.CodeOf(err), onceward.CodeOutcomeUnknown)
					want(w, "supply", w.supply(), 0)
				}
			})
		})
	}
}

// A node refuses for the fee while another has the transaction already: the
// bump takes its place by the replacement rule, and what arrives late is dead.
func TestFeeBumpReplacesWhatWaits(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
		p := w.process(w.store())
		sends := 0
		p.reply = func(method string, body []byte) []byte {
			if method == "sendTransaction" {
				if sends++; sends == 1 { // it was taken, and the answer is a lie: txINSUFFICIENT_FEE
					return []byte(`{"jsonrpc":"2.0","id":1,"result":{"status":"ERROR","errorResultXdr":"AAAAAAAAAGT////3AAAAAA=="}}`)
				}
				want(w, "answer to the bump", strings.Contains(string(body), "PENDING"), true)
			}
			return body
		}
		p.must("k")
		trail := p.trailOf("k")
		want(w, "bumps", len(trail.Attempts[0].Bumps), 1)
		want(w, "hash", trail.Result.TxHash, trail.Attempts[0].Hash)
		if trail.Result.Ledger >= trail.Attempts[0].MaxLedger-1 {
			w.Error("the late copy was applied, not the bump")
		}
		w.pass(20e9)
		want(w, "supply", w.supply(), amount)
	})
}

// A bumped transaction that fails on the ledger is the operation's failure.
func TestFeeBumpFailsOnChain(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.SurgePricing, Fee: 50_000})
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
	})
}

// A bump that cannot be stored is not sent, and the operation is left to the
// next process.
func TestFeeBumpIsNotSentUnstored(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.SurgePricing, Fee: 50_000})
		store := w.store()
		p := w.process(store)
		made := 0
		p.storeFn = func(name string) error {
			if name == "checkpoint attempt/1" {
				if made++; made > 1 {
					return errors.New("disk full")
				}
			}
			return nil
		}
		_, err := p.mint("k")
		want(w, "code", onceward.CodeOf(err), onceward.CodeInProgress)
		want(w, "sends", w.sends(), 1)
		next := w.process(store)
		next.must("k")
		want(w, "supply", w.supply(), amount)
	})
}
