package soroban_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// The invariants of the protocol by their numbers. TestNextExhaustively tries
// the decisions behind 1, 4, 5, 6 and 9 in every order of observations,
// TestTorture all of them at random, and spy holds 2, 3, 4, 8 and 10 against
// every envelope that any test of this package sends.

// 1. At most one success per key: two databases, two processes each, on shared
// channels, on a network that loses answers.
func TestInvariant01AtMostOneSuccessPerKey(t *testing.T) {
	t.Parallel()
	inWorld(t, 4, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.LoseResponse, Method: "sendTransaction", Times: 3},
			devchain.Fault{Kind: devchain.LookupRace, Times: 5, Ledgers: 2})
		var wg sync.WaitGroup
		var last []*process
		for db := range 2 {
			store := w.store()
			for range 2 {
				p := w.process(store, func(c *soroban.Config) { c.Channels = w.channels[2*db : 2*db+2] })
				last = append(last, p)
				for range 4 {
					wg.Go(func() { _, _ = p.mint("k") })
				}
			}
		}
		wg.Wait()
		want(w, "supply", w.supply(), amount)
		for _, p := range last {
			want(w, "answer", p.must("k"), last[0].must("k"))
		}
	})
}

// 2. No bytes are sent that are not stored: whichever call of the store fails,
// spy finds every envelope that leaves.
func TestInvariant02NothingIsSentThatIsNotStored(t *testing.T) {
	t.Parallel()
	for n := 1; ; n++ {
		calls := 0
		inWorld(t, 2, func(w *world) {
			inject(w, devchain.Fault{Kind: devchain.SurgePricing, Fee: 50_000},
				devchain.Fault{Kind: devchain.LoseRequest, Method: "sendTransaction", Times: 4})
			store := w.store()
			p := w.process(store)
			var mu sync.Mutex
			p.storeFn = func(string) error {
				mu.Lock()
				defer mu.Unlock()
				if calls++; calls >= n && calls < n+3 {
					return errors.New("disk full")
				}
				return nil
			}
			_, _ = p.mint("k")
			w.pass(time.Minute)
			w.process(store).must("k")
			want(w, fmt.Sprintf("supply, store calls from %d on failing", n), w.supply(), amount)
		})
		if calls < n || t.Failed() {
			break
		}
	}
}

// 3. At most one live attempt per operation, and per channel and sequence:
// spy sees all sends of three processes whose envelopes get lost.
func TestInvariant03OneLiveAttempt(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.DropTransaction, Times: 12})
		store := w.store()
		var wg sync.WaitGroup
		for i := range 3 {
			p := w.process(store, func(c *soroban.Config) { c.ChannelWait = 10 * time.Minute })
			for _, key := range []string{"shared", fmt.Sprint(i)} {
				wg.Go(func() { _, _ = p.mint(key) })
			}
		}
		wg.Wait()
		p := w.process(store)
		for _, key := range []string{"shared", "0", "1", "2"} {
			p.must(key)
		}
		want(w, "supply", w.supply(), 4*amount)
	})
}

// 4. A new attempt only after a stored proof: what is on record when the
// second envelope is stored, and what happens when the proof cannot be.
func TestInvariant04NewAttemptOnlyAfterAStoredProof(t *testing.T) {
	t.Parallel()
	for _, refuse := range []bool{false, true} {
		inWorld(t, 1, func(w *world) {
			inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 4})
			p := w.process(w.store())
			p.storeFn = func(name string) error {
				switch {
				case name == "checkpoint proof/1" && refuse:
					return errors.New("disk full")
				case name == "checkpoint attempt/2":
					if proof := p.trailOf("k").Proofs[1]; proof.Kind != soroban.ProofExpired || refuse {
						w.Errorf("a second envelope, and on record is %+v", proof)
					}
				}
				return nil
			}
			_, err := p.mint("k")
			want(w, "minted", err == nil, !refuse)
			want(w, "attempts", len(p.trailOf("k").Attempts) == 2, !refuse)
		})
	}
}

// chainStatus is what the chain says of a transaction.
func (w *world) chainStatus(hash string) string {
	w.Helper()
	rpc, err := soroban.NewClient(soroban.ClientConfig{HTTP: unspied{w}}, "http://chain.test/")
	if err != nil {
		w.Fatal(err)
	}
	res, err := rpc.GetTransaction(w.Context(), protocol.GetTransactionRequest{Hash: hash})
	if err != nil {
		w.Fatal(err)
	}
	return res.Status
}

// 5. SUCCEEDED if and only if the chain says SUCCESS.
func TestInvariant05SucceededIsSuccessOnTheChain(t *testing.T) {
	t.Parallel()
	inWorld(t, 3, func(w *world) {
		p := w.process(w.store())
		submit := w.invocation("content", "submit", address(w, w.chain.Admin()), host.Bytes(make([]byte, 32)), host.String("uri"))
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b"} {
			wg.Go(func() { _, _ = p.do(key, submit) })
		}
		wg.Go(func() { _, _ = p.mint("c") })
		wg.Wait()
		counts := map[string]int{}
		for _, key := range []string{"a", "b", "c"} {
			res := p.trailOf(key).Result
			counts[w.chainStatus(res.TxHash)]++
			want(w, key, res.Status == soroban.Succeeded, w.chainStatus(res.TxHash) == protocol.TransactionStatusSuccess)
		}
		want(w, "both ways", counts[protocol.TransactionStatusSuccess] == 2 && counts[protocol.TransactionStatusFailed] == 1, true)
	})
}

// 6. Terminal states never change, whatever the server says afterwards.
func TestInvariant06TerminalStatesNeverChange(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		answer := w.process(store).must("k")
		if err := w.chain.Reset(); err != nil { // nothing of it is left
			w.Fatal(err)
		}
		p := w.process(store)
		if got, err := p.eng.Recover(w.Context()); err != nil || got != (onceward.Recovered{}) {
			w.Errorf("%+v, %v", got, err)
		}
		want(w, "answer", p.must("k"), answer)
		want(w, "sends", w.sends(), 1)
	})
}

// 7. No acknowledged key is silently lost: a client that was told that its
// operation is in progress gets an answer, without asking the dead process.
func TestInvariant07NoAcknowledgedKeyIsLost(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store)
		p.mute.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = p.mint("k") }()
		w.pass(2500 * time.Millisecond)
		other := w.process(store)
		_, err := other.mint("k")
		want(w, "acknowledged", onceward.CodeOf(err), onceward.CodeInProgress)
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		w.pass(time.Minute)
		if got, err := other.eng.Recover(w.Context()); err != nil || got.Completed != 1 {
			w.Errorf("%+v, %v", got, err)
		}
		want(w, "status", other.record("k").Status, onceward.StatusCompleted)
		want(w, "supply", w.supply(), amount)
		p.sub.Stop()
		<-done
	})
}

// 8. No channel is reused while its envelope may live: its process is dead,
// its lease has lapsed, and the envelope waits somewhere in the network.
func TestInvariant08ChannelRestsWhileItsEnvelopeMayLive(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
		long := func(c *soroban.Config) { c.LedgerWindow, c.ChannelWait = 60, 5*time.Minute }
		p := w.process(store, long)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = p.mint("k") }()
		w.pass(2500 * time.Millisecond)
		p.mu.Lock()
		p.dead = true
		p.mu.Unlock()
		a := p.trailOf("k").Attempts[0]
		w.pass(40 * time.Second) // every lease lapses
		next := w.process(store, long)
		next.must("other")
		if b := next.trailOf("other").Attempts[0]; b.Ledger < a.MaxLedger-1 || b.Sequence != a.Sequence+1 {
			w.Errorf("sequence %d was signed in ledger %d; the envelope on %d lived until ledger %d", b.Sequence, b.Ledger, a.Sequence, a.MaxLedger-1)
		}
		next.must("k")
		want(w, "supply", w.supply(), 2*amount)
		p.sub.Stop()
		<-done
	})
}

// 9. Stale, lagging, load-balanced answers never yield EXPIRED: an envelope
// that is applied in its last ledger gets no successor, however far behind the
// servers are.
func TestInvariant09StaleAnswersProveNothing(t *testing.T) {
	t.Parallel()
	for _, kind := range []devchain.FaultKind{devchain.StaleReplica, devchain.DelayIngestion, devchain.LookupRace} {
		for _, behind := range []uint32{1, 3, 9} {
			inWorld(t, 1, func(w *world) {
				w.pass(20 * time.Second)
				p := w.process(w.store())
				inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
				done := make(chan error)
				go func() { _, err := p.mint("k"); done <- err }()
				w.pass(1500 * time.Millisecond)
				for _, method := range []string{"getLedgerEntries", "getTransaction", "getTransactions"} {
					for skip := range 20 { // every other answer
						if kind == devchain.LookupRace && method != "getTransaction" {
							continue
						}
						inject(w, devchain.Fault{Method: method, Kind: kind, Times: 1, Skip: 2 * skip, Ledgers: behind})
					}
				}
				name := fmt.Sprintf("%s by %d", kind, behind)
				if err := <-done; err != nil {
					w.Errorf("%s: %v", name, err)
				}
				want(w, name+": attempts", len(p.trailOf("k").Attempts), 1)
				want(w, name+": supply", w.supply(), amount)
			})
		}
	}
}

// 10. Fee bumps keep the hash of the transaction inside, and that is the
// operation's.
func TestInvariant10FeeBumpsKeepTheInnerHash(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		inject(w, devchain.Fault{Kind: devchain.SurgePricing, Fee: 50_000, Times: 1},
			devchain.Fault{Kind: devchain.SurgePricing, Fee: 500_000, Times: 1, Skip: 1},
			devchain.Fault{Kind: devchain.SurgePricing, Fee: 700_000, Skip: 2})
		p := w.process(w.store())
		p.must("k")
		trail := p.trailOf("k")
		a := trail.Attempts[0]
		want(w, "bumps", len(a.Bumps), 2)
		want(w, "envelopes", len(w.envelopesOf(a.Hash)), 3)
		for _, b := range a.Bumps {
			var env xdr.TransactionEnvelope
			if err := xdr.SafeUnmarshal(b.Envelope, &env); err != nil {
				w.Fatal(err)
			}
			inner, err := network.HashTransaction(env.FeeBump.Tx.InnerTx.V1.Tx, w.chain.Passphrase())
			if err != nil {
				w.Fatal(err)
			}
			want(w, "inner hash", fmt.Sprintf("%x", inner), a.Hash)
			want(w, "outer hash differs", b.Hash != a.Hash, true)
		}
		want(w, "hash", trail.Result.TxHash, a.Hash)
		want(w, "supply", w.supply(), amount)
	})
}

// 12. A restored database quarantines: what the chain knows and the record has
// forgotten keeps the channel at rest, visibly; nothing is sent again, and what
// the chain shows is imported.
func TestInvariant12RestoredDatabaseQuarantines(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		restored := w.process(store, func(c *soroban.Config) { c.ChannelWait = 2 * time.Second })
		restored.must("a")
		answer := w.process(w.store()).must("forgotten") // after the backup was made
		at, sends := w.chain.LatestLedger(), w.sends()
		_, err := restored.mint("b")
		wantUnavailable(w, err, "quarantine")
		c := w.list(store)[0]
		want(w, "state", c.State, soroban.ChannelQuarantined)
		want(w, "reason", strings.Contains(c.Reason, "restored"), true)
		want(w, "since", c.Since.IsZero(), false)
		want(w, "sends", w.sends(), sends)
		w.pass(10 * time.Second) // forgotten envelopes have expired
		want(w, "imported", restored.must("forgotten"), answer)
		want(w, "sends", w.sends(), sends)
		restored.must("b")
		if built := restored.trailOf("b").Attempts[0].Ledger; built < at+8 {
			w.Errorf("used again in ledger %d, although forgotten envelopes could live until %d", built, at+8)
		}
		want(w, "state", w.list(store)[0].State, soroban.ChannelFree)
		want(w, "supply", w.supply(), 3*amount)
	})
}

// 12. A view from before the chain's last word does not cut a quarantine short:
// the envelope that it lets one fear is among those that were applied.
func TestInvariant12StaleViewEndsNoQuarantine(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		restored := w.process(w.store(), func(c *soroban.Config) { c.ChannelWait = 2 * time.Second })
		restored.must("a")
		forgotten := w.process(w.store())
		forgotten.must("b")
		forgotten.must("c")
		at := w.chain.LatestLedger()
		between := forgotten.trailOf("c").Result.Ledger - 1
		inject(w, devchain.Fault{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 1, Ledgers: at - between})
		_, err := restored.mint("d")
		wantUnavailable(w, err, "quarantine")
		w.pass(10 * time.Second)
		restored.must("d")
		if built := restored.trailOf("d").Attempts[0].Ledger; built < at+8 {
			w.Errorf("used again in ledger %d, although forgotten envelopes could live until %d", built, at+8)
		}
		want(w, "supply", w.supply(), 4*amount)
	})
}

// 13. One notification id per operation: the same for every attempt, process
// and database.
func TestInvariant13OneIDPerOperation(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		ids := map[onceward.ID]bool{}
		byID := func(r soroban.Result) onceward.Response {
			w.mu.Lock()
			defer w.mu.Unlock()
			ids[r.Operation] = true
			return onceward.Response{Status: http.StatusOK, Body: []byte(r.Operation.String())}
		}
		inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 4})
		for range 2 { // the second finds it on the chain
			p := w.process(w.store(), func(c *soroban.Config) { c.Render = byID })
			want(w, "id", p.must("k"), onceward.Key{Scope: "alice", Value: "k"}.ID().String())
			want(w, "of the record", p.trailOf("k").Result.Operation, onceward.Key{Scope: "alice", Value: "k"}.ID())
		}
		want(w, "ids", len(ids), 1)
	})
}
