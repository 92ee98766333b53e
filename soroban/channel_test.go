package soroban_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// An envelope never arrived, and its channel was used on by others: the ledgers
// it was valid in tell that another transaction has its sequence number.
func TestSupersededFoundInItsRange(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		w.pass(500 * time.Millisecond) // ask between ledgers, so that b is built on the one that has a
		store := w.store()
		p := w.process(store)
		p.must("a")
		p.mute.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = p.mint("b") }()
		w.pass(500 * time.Millisecond)
		p.sub.Stop()
		<-done
		stranger := w.process(w.store())
		stranger.must("c")
		stranger.must("d")
		next := w.process(store)
		next.must("b")
		trail := next.trailOf("b")
		want(w, "proof", trail.Proofs[1].Kind, soroban.ProofSuperseded)
		want(w, "by", trail.Proofs[1].By, stranger.trailOf("c").Result.TxHash)
		want(w, "supply", w.supply(), 4*amount)
	})
}

// Somebody else has used the account, once: the number of the envelope on
// record is gone, and what else they have signed is unknown.
func TestContestedChannelRests(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.ChannelWait = 2 * time.Second })
		p.must("a")
		p.mute.Store(true)
		done := make(chan error)
		go func() { _, err := p.mint("b"); done <- err }()
		w.pass(500 * time.Millisecond)
		w.process(w.store()).must("c")
		at := w.chain.LatestLedger()
		wantUnavailable(w, <-done, "quarantine")
		p.mute.Store(false)
		w.pass(10 * time.Second)
		p.must("b")
		trail := p.trailOf("b")
		want(w, "proof", trail.Proofs[1].Kind, soroban.ProofSuperseded)
		if built := trail.Attempts[1].Ledger; built < at+8 {
			w.Errorf("used again in ledger %d, although somebody else's envelopes could live until %d", built, at+8)
		}
		want(w, "supply", w.supply(), 3*amount)
	})
}

// The channel's lease is renewed for as long as the operation needs it.
func TestChannelIsKept(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.LedgerWindow = 60 })
		p.mute.Store(true)
		done := make(chan struct{})
		go func() { defer close(done); p.must("k") }()
		w.pass(45 * time.Second)
		page, err := p.store.List(w.Context(), onceward.ListRequest{Now: time.Now(), Limit: 10})
		if err != nil || len(page.Records) != 2 {
			w.Fatal(page, err)
		}
		for _, rec := range page.Records {
			if rec.Lapsed(time.Now()) {
				w.Errorf("%+v has lapsed", rec.Key)
			}
		}
		p.mute.Store(false)
		<-done
		want(w, "supply", w.supply(), amount)
	})
}

// N channels carry N operations a ledger, and a full queue says so.
func TestChannelsWorkInParallel(t *testing.T) {
	t.Parallel()
	inWorld(t, 4, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.MaxQueue = 8 })
		start := w.chain.LatestLedger()
		var wg sync.WaitGroup
		var mu sync.Mutex
		refused := 0
		for i := range 16 {
			wg.Go(func() {
				_, err := p.mint(fmt.Sprint(i))
				if e, ok := errors.AsType[*soroban.UnavailableError](err); ok && e.RetryAfter > 0 {
					mu.Lock()
					refused++
					mu.Unlock()
				} else if err != nil {
					w.Error(err)
				}
			})
		}
		wg.Wait()
		want(w, "refused", refused, 4)
		want(w, "supply", w.supply(), 12*amount)
		if took := w.chain.LatestLedger() - start; took > 6 {
			w.Errorf("12 operations on 4 channels took %d ledgers", took)
		}
		var looks int
		for _, call := range p.made() {
			if call == "getLedgerEntries" {
				looks++
			}
		}
		t.Logf("%d getLedgerEntries for 12 operations", looks)
	})
}

// Two processes share one channel: each waits for the other.
func TestProcessesShareAChannel(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		var wg sync.WaitGroup
		for i := range 4 {
			p := w.process(store)
			wg.Go(func() { p.must(fmt.Sprint(i)) })
		}
		wg.Wait()
		want(w, "supply", w.supply(), 4*amount)
		want(w, "sequences", w.sequences(), 4)
	})
}

// A shutdown leaves the operation to the next process, at once.
func TestStopParks(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
		p := w.process(store)
		done := make(chan error)
		go func() { _, err := p.mint("k"); done <- err }()
		w.pass(2500 * time.Millisecond)
		p.sub.Stop()
		want(w, "code", onceward.CodeOf(<-done), onceward.CodeInProgress)
		next := w.process(store)
		if got, err := next.eng.Recover(w.Context()); err != nil || got.Completed != 1 {
			w.Errorf("%+v, %v", got, err)
		}
		want(w, "attempts", len(next.trailOf("k").Attempts), 1)
		want(w, "supply", w.supply(), amount)
		if _, err := p.mint("late"); onceward.CodeOf(err) != onceward.CodeInProgress {
			w.Errorf("a stopped submitter took an operation: %v", err)
		}
	})
}
