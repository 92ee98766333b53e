package soroban_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// admin looks after the channels of a store, as the command does.
func (w *world) admin(store *memstore.Store) *soroban.ChannelAdmin {
	w.Helper()
	rpc, err := soroban.NewClient(soroban.ClientConfig{HTTP: &process{w: w, bodies: map[string][]byte{}}}, "http://chain.test/")
	if err != nil {
		w.Fatal(err)
	}
	return &soroban.ChannelAdmin{RPC: rpc, Passphrase: w.chain.Passphrase(), Store: store, LedgerWindow: 8}
}

func (w *world) list(store *memstore.Store) []soroban.Channel {
	w.Helper()
	addresses := make([]string, len(w.channels))
	for i, c := range w.channels {
		addresses[i] = c.Address()
	}
	out, err := w.admin(store).List(w.Context(), addresses...)
	if err != nil {
		w.Fatal(err)
	}
	return out
}

// N channels carry N transactions in one ledger, and again in the next.
func TestChannelsFillALedger(t *testing.T) {
	t.Parallel()
	const channels, rounds = 32, 3
	inWorld(t, channels, func(w *world) {
		p := w.process(w.store())
		// An answer takes a moment of the fake time, which passes only when all
		// who are going to ask have asked.
		p.reply = func(_ string, body []byte) []byte { w.pass(10 * time.Millisecond); return body }
		w.pass(500 * time.Millisecond) // between two ledgers
		for round := range rounds {
			var wg sync.WaitGroup
			for i := range channels {
				wg.Go(func() { p.must(fmt.Sprint(round, "/", i)) })
			}
			wg.Wait()
			first := p.trailOf(fmt.Sprint(round, "/0")).Result.Ledger
			for i := range channels {
				want(w, "ledger", p.trailOf(fmt.Sprint(round, "/", i)).Result.Ledger, first)
			}
		}
		want(w, "supply", w.supply(), channels*rounds*amount)
		looks := 0
		for _, call := range p.made() {
			if call == "getLedgerEntries" {
				looks++
			}
		}
		if looks > 10*rounds {
			w.Errorf("%d account queries for %d operations: one serves all that ask at the same time", looks, channels*rounds)
		}
	})
}

// The list says what each channel is for, from one account query.
func TestChannelStates(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		store := w.store()
		more, err := soroban.DeriveChannels([]byte("0123456789abcdef"), 3)
		if err != nil {
			w.Fatal(err)
		}
		w.channels = more // the third is not funded
		p := w.process(store)
		for i, c := range w.list(store) {
			want(w, c.Address, c.State, []soroban.ChannelState{soroban.ChannelFree, soroban.ChannelFree, soroban.ChannelMissing}[i])
		}
		p.mute.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); p.must("k") }()
		w.pass(2500 * time.Millisecond)
		busy := 0
		for _, c := range w.list(store) {
			if c.State != soroban.ChannelBusy {
				continue
			}
			busy++
			a := p.trailOf("k").Attempts[0]
			want(w, "operation", c.Operation, p.record("k").Key.ID().String())
			want(w, "transaction", c.TxHash, a.Hash)
			want(w, "sequence in use", c.Used, a.Sequence)
			want(w, "sequence of the account", c.Sequence, a.Sequence-1)
			want(w, "balance", c.Balance, 1000*xlm)
			want(w, "leased", c.LeaseUntil.After(time.Now()), true)
		}
		want(w, "busy", busy, 1)
		p.mute.Store(false)
		<-done
		all, err := p.sub.Channels(w.Context())
		if err != nil {
			w.Fatal(err)
		}
		for i, c := range all {
			want(w, c.Address, c.State, []soroban.ChannelState{soroban.ChannelFree, soroban.ChannelFree, soroban.ChannelMissing}[i])
		}
	})
}

// A retired channel is not used by any process, those that run included, and
// comes back when it is released.
func TestRetiredChannelIsNotUsed(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store, func(c *soroban.Config) { c.ChannelWait = 5 * time.Second })
		p.must("a")
		admin, channel := w.admin(store), w.channels[0].Address()
		if err := admin.Retire(w.Context(), channel, "key rotation"); err != nil {
			w.Fatal(err)
		}
		_, err := p.mint("b")
		e, ok := errors.AsType[*soroban.UnavailableError](err)
		if !ok || !strings.Contains(e.Reason, "key rotation") || e.RetryAfter <= 0 {
			w.Errorf("%v", err)
		}
		c := w.list(store)[0]
		want(w, "state", c.State, soroban.ChannelRetired)
		want(w, "reason", c.Reason, "key rotation")
		want(w, "since", c.Since.IsZero(), false)
		if err := admin.Release(w.Context(), channel); err != nil {
			w.Fatal(err)
		}
		want(w, "state", w.list(store)[0].State, soroban.ChannelFree)
		p.must("b")
		want(w, "supply", w.supply(), 2*amount)
		if err := admin.Retire(w.Context(), "nonsense", ""); err == nil {
			w.Error("a channel that is none was retired")
		}
	})
}

// A channel that is in demand all the time is given up now and then: an
// operator, and other processes, get their turn.
func TestBusyChannelCanBeRetired(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store, func(c *soroban.Config) { c.ChannelLease, c.ChannelWait = 6*time.Second, 10*time.Minute })
		var stop atomic.Bool
		var wg sync.WaitGroup
		for i := range 3 {
			wg.Go(func() {
				for n := 0; !stop.Load(); n++ {
					_, _ = p.mint(fmt.Sprint(i, "/", n))
				}
			})
		}
		w.pass(3500 * time.Millisecond)
		at, cancel := context.WithTimeout(w.Context(), time.Second)
		if err := w.admin(store).Retire(at, w.channels[0].Address(), ""); !errors.Is(err, soroban.ErrChannelInUse) {
			w.Errorf("while it is held: %v", err)
		}
		cancel()
		if err := w.admin(store).Retire(w.Context(), w.channels[0].Address(), "enough"); err != nil {
			w.Error(err)
		}
		stop.Store(true)
		p.sub.Stop()
		wg.Wait()
		want(w, "state", w.list(store)[0].State, soroban.ChannelRetired)
	})
}

// Many processes share a pool: every operation gets a channel, none is used by
// two at a time (spy), and none starves.
func TestManyProcessesShareThePool(t *testing.T) {
	t.Parallel()
	inWorld(t, 3, func(w *world) {
		store := w.store()
		var wg sync.WaitGroup
		for i := range 5 {
			p := w.process(store, func(c *soroban.Config) { c.ChannelLease, c.ChannelWait = 5*time.Second, 5*time.Minute })
			for n := range 8 {
				wg.Go(func() { p.must(fmt.Sprint(i, "/", n)) })
			}
		}
		wg.Wait()
		want(w, "supply", w.supply(), 40*amount)
		want(w, "sequences", w.sequences(), 40)
	})
}

// What waits for a channel is visible, and bounded.
func TestQueueIsVisible(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.MaxQueue, c.LedgerWindow = 2, 60 })
		p.mute.Store(true)
		var wg sync.WaitGroup
		for _, key := range []string{"a", "b", "c"} {
			wg.Go(func() { p.must(key) })
			w.pass(1500 * time.Millisecond)
		}
		q := p.sub.Queue()
		want(w, "channels", q.Channels, 1)
		want(w, "free", q.Free, 0)
		want(w, "limit", q.Limit, 2)
		want(w, "waiting", len(q.Waiting), 2)
		for i, key := range []string{"b", "c"} {
			want(w, key, q.Waiting[i].Operation, onceward.Key{Scope: "alice", Value: key}.ID())
		}
		_, err := p.mint("d")
		if e, ok := errors.AsType[*soroban.UnavailableError](err); !ok || e.RetryAfter <= 0 {
			w.Errorf("a full queue: %v", err)
		}
		p.mute.Store(false)
		wg.Wait()
		want(w, "waiting", len(p.sub.Queue().Waiting), 0)
		want(w, "supply", w.supply(), 3*amount)
	})
}

// An operation that was let in keeps its place when its envelope has expired,
// however many wait.
func TestExpiredOperationIsNotTurnedAway(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.MaxQueue, c.ChannelWait = 1, 5*time.Minute })
		inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 4})
		var wg sync.WaitGroup
		wg.Go(func() { p.must("a") })
		w.pass(1500 * time.Millisecond)
		wg.Go(func() { p.must("b") })
		wg.Wait()
		want(w, "supply", w.supply(), 2*amount)
	})
}

// The chain was reset under a channel: quarantine, until a person has looked.
func TestChannelOfAResetNetwork(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store, func(c *soroban.Config) { c.ChannelWait = 3 * time.Second })
		for range 800 {
			if _, err := w.chain.CloseLedger(); err != nil {
				w.Fatal(err)
			}
		}
		p.must("a")
		if err := w.chain.Reset(); err != nil {
			w.Fatal(err)
		}
		_, err := p.mint("b")
		wantUnavailable(w, err, "reset")
		c := w.list(store)[0]
		want(w, "state", c.State, soroban.ChannelQuarantined)
		want(w, "reason", strings.Contains(c.Reason, "reset"), true)
		if err := w.admin(store).Release(w.Context(), c.Address); err == nil {
			w.Error("released without an account")
		}
		if err := w.chain.Fund(c.Address, 1000*xlm); err != nil {
			w.Fatal(err)
		}
		if err := w.admin(store).Release(w.Context(), c.Address); err != nil {
			w.Error(err)
		}
		w.pass(10 * time.Second) // it rests
		p.must("b")
		want(w, "supply", w.supply(), amount)
	})
}

// Accounts are created once, whatever gets lost on the way.
func TestCreateChannels(t *testing.T) {
	t.Parallel()
	for _, faults := range [][]devchain.Fault{
		nil,
		{{Method: "sendTransaction", Kind: devchain.LoseResponse, Times: 1}},
		{{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 20}},
		{{Kind: devchain.IncludeLate, Times: 1}},
		{{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 4, Ledgers: 3}},
	} {
		inWorld(t, 1, func(w *world) {
			funder, err := keypair.Random()
			if err != nil {
				w.Fatal(err)
			}
			if err := w.chain.Fund(funder.Address(), 10_000*xlm); err != nil {
				w.Fatal(err)
			}
			w.pass(5 * time.Second)
			signer, err := soroban.NewSigner(funder.Seed())
			if err != nil {
				w.Fatal(err)
			}
			inject(w, faults...)
			more, err := soroban.DeriveChannels([]byte("another seed of 16 bytes"), 120)
			if err != nil {
				w.Fatal(err)
			}
			rpc, err := soroban.NewClient(soroban.ClientConfig{HTTP: unspied{w}}, "http://chain.test/")
			if err != nil {
				w.Fatal(err)
			}
			cfg := soroban.Funding{RPC: rpc, Passphrase: w.chain.Passphrase(), Funder: signer, Balance: 20 * xlm}
			n, err := soroban.CreateChannels(w.Context(), cfg, more)
			if err != nil || n != 120 {
				w.Errorf("%v: created %d, %v", faults, n, err)
			}
			if n, err := soroban.CreateChannels(w.Context(), cfg, more); n != 0 || err != nil {
				w.Errorf("%v: again %d, %v", faults, n, err)
			}
			w.channels = append(more, signer)
			for _, c := range w.list(w.store())[:120] {
				want(w, "balance", c.Balance, 20*xlm)
			}
			if left := w.list(w.store())[120].Balance; left > 7600*xlm || left < 7599*xlm {
				w.Errorf("%v: %d stroops are left", faults, left)
			}
			cfg.Balance = 7000 * xlm
			poor, err := soroban.DeriveChannels([]byte("a third seed of 16 bytes"), 2)
			if err != nil {
				w.Fatal(err)
			}
			if _, err := soroban.CreateChannels(w.Context(), cfg, poor); err == nil || !strings.Contains(err.Error(), "underfunded") {
				w.Errorf("%v: more than there is: %v", faults, err)
			}
		})
	}
}
