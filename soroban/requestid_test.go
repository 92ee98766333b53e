package soroban_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/samples"
)

var guardedBy = &soroban.RequestID{Arg: 0, Executed: []uint32{samples.AlreadyExecuted}}

// note is a call that needs nobody's authorization: only its contract knows
// that it has happened.
func (w *world) note(text string) soroban.Invocation {
	inv := w.invocation("guarded", "note", host.String(text))
	inv.Signer, inv.RequestID = "", guardedBy
	return inv
}

// award needs its admin's.
func (w *world) award() soroban.Invocation {
	inv := w.invocation("guarded", "award", address(w, recipient), i128(amount))
	inv.RequestID = guardedBy
	return inv
}

// plainRPC hides that the client can ask for events.
type plainRPC struct{ soroban.RPC }

// The database is lost, and no nonce tells of the call: its contract does, and
// the retry gets the original transaction and result.
func TestContractThatKnowsRequestIDs(t *testing.T) {
	t.Parallel()
	for _, events := range []bool{true, false} {
		inWorld(t, 1, func(w *world) {
			out, err := w.process(w.store()).do("k", w.note("hello"))
			if err != nil {
				w.Fatal(err)
			}
			w.pass(time.Minute)
			p := w.process(w.store(), func(c *soroban.Config) {
				if !events {
					c.RPC = plainRPC{c.RPC}
				}
			})
			again, err := p.do("k", w.note("hello"))
			if err != nil {
				w.Fatal(err)
			}
			want(w, "answer", string(again.Response.Body), string(out.Response.Body))
			want(w, "recovered", p.trailOf("k").Result.Recovered, true)
			want(w, "sends", w.sends(), 1)
			if _, err := p.do("another", w.note("hello")); err != nil {
				w.Error("another key:", err)
			}
			want(w, "sends", w.sends(), 2)
		})
	}
}

// The nonce entry has ended with the signature; the contract remembers.
func TestRequestIDOutlivesTheNonce(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		short := func(c *soroban.Config) { c.GuardWindow = 20 }
		out, err := w.process(w.store(), short).do("k", w.award())
		if err != nil {
			w.Fatal(err)
		}
		w.pass(time.Minute)
		again, err := w.process(w.store(), short).do("k", w.award())
		if err != nil {
			w.Fatal(err)
		}
		want(w, "answer", string(again.Response.Body), string(out.Response.Body))
		want(w, "sends", w.sends(), 1)
	})
}

// Two installations get the same key at the same moment; one's transaction
// fails on the ledger, with the contract's refusal to do it twice. That is the
// other's success.
func TestRequestIDRefusedOnTheLedger(t *testing.T) {
	t.Parallel()
	inWorld(t, 2, func(w *world) {
		var answers [2]string
		var processes [2]*process
		var wg sync.WaitGroup
		for i := range answers {
			p := w.process(w.store(), func(c *soroban.Config) { c.Channels = w.channels[i : i+1] })
			processes[i] = p
			wg.Go(func() {
				out, err := p.do("k", w.note("hello"))
				if err != nil {
					w.Error(err)
				}
				answers[i] = string(out.Response.Body)
			})
		}
		wg.Wait()
		want(w, "answers agree", answers[0], answers[1])
		want(w, "sends", w.sends(), 2)
		one, two := processes[0].trailOf("k").Result, processes[1].trailOf("k").Result
		want(w, "status", one.Status, soroban.Succeeded)
		want(w, "status", two.Status, soroban.Succeeded)
		if one.Recovered == two.Recovered {
			w.Error("exactly one must be another's transaction")
		}
	})
}

// The transaction is not in the history any more: held, with what the contract
// says.
func TestRequestIDWithoutHistory(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		if _, err := w.process(w.store()).do("k", w.note("hello")); err != nil {
			w.Fatal(err)
		}
		w.pass(time.Minute)
		inject(w, devchain.Fault{Kind: devchain.TrimHistory, Ledgers: 1})
		p := w.process(w.store())
		_, err := p.do("k", w.note("hello"))
		want(w, "code", onceward.CodeOf(err), onceward.CodeOutcomeUnknown)
		if rec := p.record("k"); rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, "request id") {
			w.Errorf("%s: %s", rec.Status, rec.Reason)
		}
		want(w, "sends", w.sends(), 1)
	})
}

// A key whose request id made another call cannot make this one.
func TestRequestIDOfAnotherCall(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		if _, err := w.process(w.store()).do("k", w.note("hello")); err != nil {
			w.Fatal(err)
		}
		_, err := w.process(w.store()).do("k", w.note("goodbye"))
		want(w, "code", onceward.CodeOf(err), onceward.CodeKeyReused)
		want(w, "sends", w.sends(), 1)
	})
}

// Error numbers that were not configured are refusals like any other.
func TestRequestIDWithoutItsErrorNumber(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		if _, err := w.process(w.store()).do("k", w.note("hello")); err != nil {
			w.Fatal(err)
		}
		inv := w.note("hello")
		inv.RequestID = &soroban.RequestID{Executed: []uint32{99}}
		_, err := w.process(w.store()).do("k", inv)
		if rejected, ok := errors.AsType[*soroban.RejectedError](err); !ok || rejected.Code != samples.AlreadyExecuted {
			w.Error(err)
		}
		inv.RequestID = &soroban.RequestID{Arg: 2}
		if _, err := w.process(w.store()).do("k2", inv); err == nil || !strings.Contains(err.Error(), "RequestID.Arg") {
			w.Error(err)
		}
	})
}
