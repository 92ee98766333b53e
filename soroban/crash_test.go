package soroban_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// crashAt runs one mint in a process that dies at its n-th call, before or
// after the call's effect, and lets another process recover. It reports
// whether the process died. Invariants 1, 5, 7 and 11.
func crashAt(w *world, n int, after bool, faults ...devchain.Fault) (died bool) {
	w.Helper()
	store, before := w.store(), w.supply()
	p := w.process(store)
	p.dieAt, p.after = n, after
	for _, f := range faults {
		if err := w.chain.Inject(f); err != nil {
			w.Fatal(err)
		}
	}
	done := make(chan struct{})
	go func() { defer close(done); _, _ = p.mint("k") }()
	for range 120 {
		w.pass(time.Second)
		select {
		case <-done:
		default:
			continue
		}
		break
	}
	p.mu.Lock()
	died = p.dead
	p.mu.Unlock()
	p.sub.Stop()
	<-done
	w.chain.ClearFaults()

	w.pass(31 * time.Second) // the leases lapse
	next := w.process(store)
	if _, err := next.eng.Recover(w.Context()); err != nil {
		w.Error(err)
	}
	answer := next.must("k")
	where := fmt.Sprintf("crash at call %d (after its effect: %v)", n, after)
	if made := p.made(); len(made) > 0 {
		where += " " + made[len(made)-1]
	}
	want(w, where+": supply", w.supply()-before, amount)
	want(w, where+": replay", next.must("k"), answer)
	t := next.trailOf("k")
	if t.Result == nil || !strings.Contains(answer, t.Result.TxHash) || t.Result.Status != soroban.Succeeded {
		w.Errorf("%s: answer %q, trail %+v", where, answer, t.Result)
	}
	want(w, where+": record", next.record("k").Status, onceward.StatusCompleted)
	return died
}

// 11. A process dies at every call it makes, before or after its effect: the mint
// happens once, and is answered.
func TestInvariant11CrashAtEveryBoundary(t *testing.T) {
	t.Parallel()
	for _, network := range []struct {
		name   string
		faults []devchain.Fault
	}{
		{"calm", nil},
		{"lost response", []devchain.Fault{{Method: "sendTransaction", Kind: devchain.LoseResponse, Times: 1}}},
		{"lost request", []devchain.Fault{{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 1}}},
		{"gateway timeout", []devchain.Fault{{Method: "sendTransaction", Kind: devchain.GatewayTimeout, Times: 1}}},
		{"hang", []devchain.Fault{{Method: "sendTransaction", Kind: devchain.Hang, Times: 1}}},
		{"dropped", []devchain.Fault{{Kind: devchain.DropTransaction, Times: 2}}},
		{"evicted", []devchain.Fault{{Kind: devchain.EvictTransaction, Times: 1}}},
		{"late", []devchain.Fault{{Kind: devchain.IncludeLate, Times: 1}}},
		{"expired", []devchain.Fault{{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 4}}},
		{"stale", []devchain.Fault{{Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 6, Ledgers: 3}}},
		{"ingestion behind", []devchain.Fault{{Method: "getTransaction", Kind: devchain.DelayIngestion, Times: 5, Ledgers: 4}}},
		{"surge pricing", []devchain.Fault{{Kind: devchain.SurgePricing, Fee: 50_000}}},
		{"lookup race", []devchain.Fault{{Kind: devchain.LookupRace, Times: 3, Ledgers: 3}}},
	} {
		for _, after := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/after=%v", network.name, after), func(t *testing.T) {
				t.Parallel()
				for n, died := 1, true; died; n++ {
					t.Run(fmt.Sprint(n), func(t *testing.T) {
						var this bool
						inWorld(t, 2, func(w *world) { this = crashAt(w, n, after, network.faults...) })
						died = this
					})
				}
			})
		}
	}
}
