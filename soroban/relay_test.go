package soroban_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

func (g *gate) transaction(encoded string) *soroban.Relayed {
	g.w.Helper()
	x, err := g.relay.Transaction(encoded)
	if err != nil {
		g.w.Fatal(err)
	}
	return x
}

func (g *gate) authorization(encoded string) *soroban.Relayed {
	g.w.Helper()
	x, err := g.relay.Authorization(encoded, "")
	if err != nil {
		g.w.Fatal(err)
	}
	return x
}

func (g *gate) must(key string, x *soroban.Relayed) string {
	g.w.Helper()
	out, err := g.do(key, x)
	if err != nil {
		g.w.Fatalf("relaying under %q: %v", key, err)
	}
	return string(out.Response.Body)
}

func wantRelayError(t testing.TB, err error, code string) {
	t.Helper()
	if e, ok := errors.AsType[*soroban.RelayError](err); !ok || e.Code != code {
		t.Errorf("error %v, want a RelayError %q", err, code)
	}
}

// payers are who pays for a user's transaction.
var payers = map[string]func(*soroban.RelayPolicy){
	"user pays": func(*soroban.RelayPolicy) {},
	"fee bump":  func(p *soroban.RelayPolicy) { p.FeeSigner = "payer" },
}

// A transaction is applied once, however often it is sent, here and elsewhere.
func TestRelayTransaction(t *testing.T) {
	t.Parallel()
	for name, policy := range payers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				g, u := w.gate(w.store(), policy), w.user()
				x := g.transaction(u.signed(u.vote(1)))
				first := g.must("k", x)
				want(w, "replay", g.must("k", x), first)
				want(w, "sends", g.sends.Load(), 1)
				want(w, "another key", g.must("other", x), first)
				want(w, "another database", w.gate(w.store(), policy).must("k", x), first)
				want(w, "votes", w.votes(1), 1)
				want(w, "hash", g.trail("k").Result.TxHash, g.trail("k").Attempts[0].Hash)
				var env xdr.TransactionEnvelope
				if err := xdr.SafeUnmarshalBase64(g.last.Load().(string), &env); err != nil {
					w.Fatal(err)
				}
				want(w, "fee bump", env.FeeBump != nil, name == "fee bump")
			})
		})
	}
}

// Every fault of sending, and of reading: still one vote, and its answer.
func TestRelayTransactionFaults(t *testing.T) {
	t.Parallel()
	for _, f := range []devchain.Fault{
		{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 2},
		{Method: "sendTransaction", Kind: devchain.LoseResponse, Times: 2},
		{Method: "getTransaction", Kind: devchain.LoseResponse, Times: 3},
		{Method: "getTransaction", Kind: devchain.StaleReplica, Times: 5, Ledgers: 1},
		{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 3, Ledgers: 1},
		{Kind: devchain.IncludeLate, Times: 1},
	} {
		t.Run(fmt.Sprint(f.Method, f.Kind), func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				g, u := w.gate(w.store()), w.user()
				w.pass(5 * time.Second)
				x := g.transaction(u.signed(u.vote(1)))
				inject(w, f)
				out, err := g.do("k", x)
				for tries := 0; err != nil && tries < 5; tries++ { // what could not be started is asked for again
					if _, ok := errors.AsType[*soroban.UnavailableError](err); !ok {
						w.Fatal(err)
					}
					out, err = g.do("k", x)
				}
				if err != nil || !strings.HasPrefix(string(out.Response.Body), "SUCCEEDED") {
					w.Fatalf("%s, %v", out.Response.Body, err)
				}
				want(w, "votes", w.votes(1), 1)
			})
		})
	}
}

// What never arrives ends with a proof, in ledgers or in time, and the key is
// free for a transaction that is signed anew.
func TestRelayTransactionExpires(t *testing.T) {
	t.Parallel()
	for name, shape := range map[string]func(*xdr.Transaction){
		"time": func(tx *xdr.Transaction) {},
		"ledgers": func(tx *xdr.Transaction) {
			tx.Cond = xdr.Preconditions{Type: xdr.PreconditionTypePrecondV2, V2: &xdr.PreconditionsV2{
				LedgerBounds: &xdr.LedgerBounds{MaxLedger: xdr.Uint32(tx.SeqNum>>32) + 20}, //nolint:gosec // a ledger number
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				g, u := w.gate(w.store()), w.user()
				x := g.transaction(u.signed(u.vote(1), shape))
				g.mute.Store(true)
				_, err := g.do("k", x)
				wantRelayError(w, err, soroban.RelayExpired)
				want(w, "released", g.released("k"), true)
				g.mute.Store(false)
				_, err = g.do("k", x)
				wantRelayError(w, err, soroban.RelayExpired)
				g.must("k", g.transaction(u.signed(u.vote(1))))
				want(w, "votes", w.votes(1), 1)
			})
		})
	}
}

// One server shows a free sequence number of an old ledger, another looks the
// transaction up before it is there and answers after its bounds have ended.
// Together they prove nothing.
func TestRelayStaleViewIsNoProof(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gate(w.store()), w.user()
		w.pass(10 * time.Second)
		x := g.transaction(u.signed(u.vote(1), func(tx *xdr.Transaction) {
			tx.Cond.TimeBounds.MaxTime = xdr.TimePoint(time.Now().Add(3 * time.Second).Unix()) //nolint:gosec // after 1970
		}))
		done := make(chan error)
		go func() { _, err := g.do("k", x); done <- err }()
		w.pass(500 * time.Millisecond)
		inject(w, devchain.Fault{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 12, Ledgers: 9},
			devchain.Fault{Method: "getTransaction", Kind: devchain.LookupRace, Times: 12, Ledgers: 9})
		want(w, "error", <-done, nil)
		want(w, "status", g.trail("k").Result.Status, soroban.Succeeded)
		want(w, "votes", w.votes(1), 1)
	})
}

// It was applied before it came here. The servers that are asked do not know
// yet; the one that simulates does, and refuses the second vote.
func TestRelayEchoIsNotARefusal(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gate(w.store()), w.user()
		encoded := u.signed(u.vote(1))
		w.pass(5500 * time.Millisecond) // between two ledgers
		w.submit(encoded)
		w.pass(time.Second)
		inject(w, devchain.Fault{Method: "getTransaction", Kind: devchain.StaleReplica, Times: 1, Ledgers: 3},
			devchain.Fault{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 2, Ledgers: 3})
		g.must("k", g.transaction(encoded))
		want(w, "status", g.trail("k").Result.Status, soroban.Succeeded)
		want(w, "sends", g.sends.Load(), 0)
		want(w, "votes", w.votes(1), 1)
	})
}

// The user consumes the sequence number with another transaction.
func TestRelayTransactionSuperseded(t *testing.T) {
	t.Parallel()
	for _, before := range []bool{true, false} {
		t.Run(fmt.Sprintf("before=%v", before), func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				g, u := w.gate(w.store()), w.user()
				x, rival := g.transaction(u.signed(u.vote(1))), u.signed(u.vote(2))
				g.mute.Store(true)
				if before {
					w.submit(rival)
					w.pass(10 * time.Second)
				}
				done := make(chan error)
				go func() { _, err := g.do("k", x); done <- err }()
				w.pass(1500 * time.Millisecond)
				if !before {
					w.submit(rival)
				}
				wantRelayError(w, <-done, soroban.RelaySuperseded)
				want(w, "released", g.released("k"), true)
				want(w, "votes", w.votes(1), 0)
				want(w, "votes of the rival", w.votes(2), 1)
			})
		})
	}
}

// A process that stops half-way leaves enough for the next one, which has
// neither the request nor the user.
func TestRelayTransactionRecovers(t *testing.T) {
	t.Parallel()
	for name, policy := range payers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				store := w.store()
				g, u := w.gate(store, policy), w.user()
				g.mute.Store(true)
				done := make(chan error)
				go func() { _, err := g.do("k", g.transaction(u.signed(u.vote(1)))); done <- err }()
				w.pass(2500 * time.Millisecond)
				g.sub.Stop()
				want(w, "parked", errors.Is(<-done, onceward.ErrPark), true)
				next := w.gate(store, policy)
				w.pass(time.Minute / 4)
				got, err := next.eng.Recover(w.Context())
				want(w, "completed", got.Completed, 1)
				want(w, "error", err, nil)
				want(w, "votes", w.votes(1), 1)
				want(w, "same bytes", next.last.Load().(string), g.last.Load().(string))
			})
		})
	}
}

// It is in a ledger and failed there: final, and replayed.
func TestRelayTransactionFails(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gate(w.store()), w.user()
		one := g.transaction(u.signed(u.vote(1)))
		two := g.transaction(u.signed(u.vote(1), func(tx *xdr.Transaction) { tx.SeqNum++ }))
		_, err := g.do("early", two)
		if _, ok := errors.AsType[*soroban.UnavailableError](err); !ok {
			w.Errorf("ahead of the account: %v", err)
		}
		g.must("one", one)
		_, err = g.do("two", two)
		if e, ok := errors.AsType[*soroban.RejectedError](err); !ok || e.Code != 1 {
			w.Errorf("a second vote: %v", err)
		}
		want(w, "released", g.released("two"), true)
		want(w, "sends", g.sends.Load(), 1)
	})
}

// An authorization becomes a channel's transaction, once.
func TestRelayAuthorization(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		g, u := w.gate(w.store()), w.user()
		before := u.sequence()
		x := g.authorization(u.entry(u.vote(1), -7, 100))
		first := g.must("k", x)
		want(w, "another key", g.must("other", x), first)
		want(w, "another database", w.gate(w.store()).must("k", x), first)
		want(w, "votes", w.votes(1), 1)
		want(w, "sends", g.sends.Load(), 1)
		want(w, "sequence of the user", u.sequence(), before)
		want(w, "channel", g.trail("k").Attempts[0].Channel != u.Address(), true)
	})
}

// Two keys with one authorization at the same moment, in two databases.
func TestRelayAuthorizationRace(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		one, two, u := w.gate(w.store()), w.gate(w.store()), w.user()
		entry := u.entry(u.vote(1), 7, 100)
		var answers [2]string
		var wg sync.WaitGroup
		for i, g := range []*gate{one, two} {
			wg.Go(func() { answers[i] = g.must("k", g.authorization(entry)) })
		}
		wg.Wait()
		want(w, "answers agree", answers[0], answers[1])
		want(w, "votes", w.votes(1), 1)
	})
}

// The envelope around an authorization is lost: another one follows the proof,
// with the same entry; and recovery needs no user.
func TestRelayAuthorizationRecovers(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		g, u := w.gate(store), w.user()
		g.mute.Store(true)
		done := make(chan error)
		go func() { _, err := g.do("k", g.authorization(u.entry(u.vote(1), 7, 100))); done <- err }()
		w.pass(10 * time.Second)
		g.sub.Stop()
		want(w, "parked", errors.Is(<-done, onceward.ErrPark), true)
		next := w.gate(store)
		w.pass(time.Minute / 4)
		got, err := next.eng.Recover(w.Context())
		want(w, "completed", got.Completed, 1)
		want(w, "error", err, nil)
		want(w, "votes", w.votes(1), 1)
		if n := len(next.trail("k").Attempts); n < 2 {
			w.Errorf("%d attempts", n)
		}
	})
}

// An authorization that does not live long enough, or too long, is refused
// with what to sign instead.
func TestRelayAuthorizationExpiry(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gate(w.store()), w.user()
		for ledgers, code := range map[uint32]string{3: soroban.RelayExpired, 5000: soroban.RelayUnbounded} {
			_, err := g.do("k", g.authorization(u.entry(u.vote(1), 7, ledgers)))
			wantRelayError(w, err, code)
		}
		want(w, "released", g.released("k"), true)
		want(w, "sends", g.sends.Load(), 0)
		g.must("k", g.authorization(u.entry(u.vote(1), 7, 100)))
	})
}
