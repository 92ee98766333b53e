package soroban_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// No answer to sendTransaction decides anything.
func TestAnswersToSendingDecideNothing(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{
		`{"status":"DUPLICATE"}`, `{"status":"TRY_AGAIN_LATER"}`, `{"status":"ERROR"}`, `{"status":"ERROR","errorResultXdr":"x"}`,
		`{"status":"ERROR","errorResultXdr":"AAAAAAAAAGT////7AAAAAA=="}`, // txBAD_SEQ
		`{"status":"ERROR","errorResultXdr":"AAAAAAAAAGT////9AAAAAA=="}`, // txTOO_LATE
		`{"status":"ERROR","errorResultXdr":"AAAAAAAAAGT////3AAAAAA=="}`, // txINSUFFICIENT_FEE
		`{"status":"PENDING"}`, `{}`, `[]`,
	} {
		inWorld(t, 1, func(w *world) {
			p := w.process(w.store())
			p.reply = func(method string, body []byte) []byte {
				if method == "sendTransaction" {
					return []byte(`{"jsonrpc":"2.0","id":1,"result":` + answer + `}`)
				}
				return body
			}
			p.must("k")
			want(w, answer+": supply", w.supply(), amount)
			want(w, answer+": attempts", len(p.trailOf("k").Attempts), 1)
		})
	}
}

// Nothing may be done in the name of a channel, or of a signer that was not
// asked.
func TestForeignAuthorizationIsRefused(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store())
		vote := func(voter string) soroban.Invocation {
			return w.invocation("votes", "cast", address(w, voter), host.U64(1), host.Bool(true))
		}
		other, err := soroban.DeriveChannels([]byte("another seed of 16 bytes"), 1)
		if err != nil {
			w.Fatal(err)
		}
		if err := w.chain.Fund(other[0].Address(), 10*xlm); err != nil {
			w.Fatal(err)
		}
		for _, voter := range []string{w.channels[0].Address(), other[0].Address()} {
			if _, err := p.do(voter, vote(voter)); !errors.Is(err, soroban.ErrAuthorization) {
				w.Errorf("%s: %v", voter, err)
			}
		}
		mint := w.invocation("reward", "mint", address(w, recipient), i128(1))
		mint.Signer = ""
		if _, err := p.do("unsigned", mint); !errors.Is(err, soroban.ErrAuthorization) {
			w.Errorf("unsigned: %v", err)
		}
		want(w, "sends", w.sends(), 0)
	})
}

func TestWrongNetwork(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.Passphrase = "another" })
		if _, err := p.mint("k"); !errors.Is(err, soroban.ErrWrongNetwork) {
			w.Error(err)
		}
		want(w, "sends", w.sends(), 0)
	})
}

// Invariant 2: when the checkpoint is refused, nothing is sent.
func TestNothingIsSentThatIsNotStored(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store)
		p.storeFn = func(name string) error {
			if name == "checkpoint attempt/1" {
				return errors.New("disk full")
			}
			return nil
		}
		_, err := p.mint("k")
		want(w, "code", onceward.CodeOf(err), onceward.CodeInProgress)
		want(w, "sends", w.sends(), 0)
		next := w.process(store)
		next.must("k")
		want(w, "supply", w.supply(), amount)
	})
}

// The server's history is gone. The nonce entry still proves the success; a
// call without one is held, with the evidence.
func TestPastRetention(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		p := w.process(store)
		for _, key := range []string{"guarded", "free"} {
			done := make(chan struct{})
			inject(w, devchain.Fault{Method: "getLedgerEntries", Kind: devchain.LoseRequest, Skip: 1})
			go func() {
				defer close(done)
				if key == "guarded" {
					_, _ = p.mint(key)
				} else {
					_, _ = p.do(key, soroban.Invocation{Contract: w.chain.Contract("reward"), Function: "total_supply"})
				}
			}()
			w.pass(5 * time.Second)
			p.sub.Stop()
			<-done
			w.chain.ClearFaults()
			p = w.process(store)
			if key == "guarded" {
				w.pass(20 * time.Second)
			}
		}
		w.pass(20 * time.Second)
		inject(w, devchain.Fault{Kind: devchain.TrimHistory, Ledgers: 1})
		got, err := p.eng.Recover(w.Context())
		if err != nil || got.Completed != 1 || got.Unknown != 1 {
			w.Fatalf("%+v, %v", got, err)
		}
		res := p.trailOf("guarded").Result
		want(w, "status", res.Status, soroban.Succeeded)
		want(w, "hash", res.TxHash, "")
		if reason := p.record("free").Reason; !strings.Contains(reason, "sequence number") || !strings.Contains(reason, "not kept any more") {
			w.Error(reason)
		}
		e, a := p.trailOf("free").Evidence, p.trailOf("free").Attempts[0]
		if e == nil || e.Hash != a.Hash || !e.Trimmed || e.View.Sequence < a.Sequence || e.Searches == 0 {
			w.Errorf("evidence %+v", e)
		}
	})
}

func TestPolicyMustBeReconcile(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store())
		_, err := p.eng.Do(w.Context(), onceward.Request{Key: onceward.Key{Value: "k"}, Policy: onceward.Rerun},
			p.handler(w.invocation("reward", "mint", address(w, recipient), i128(1))))
		if err == nil || !strings.Contains(err.Error(), "policy") {
			w.Error(err)
		}
		want(w, "sends", w.sends(), 0)
	})
}

// A hostile or broken server cannot choose what is signed, or what it costs.
func TestServerCannotChooseWhatIsSigned(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store(), func(c *soroban.Config) { c.MaxFee = 10_001 })
		_, err := p.mint("k")
		wantUnavailable(w, err, "MaxFee")
		want(w, "sends", w.sends(), 0)
		p = w.process(w.store())
		p.swapSimulation = true
		if _, err := p.mint("k"); !errors.Is(err, soroban.ErrAuthorization) {
			w.Error(err)
		}
		want(w, "sends", w.sends(), 0)
	})
}

// An answer whose envelope is another transaction is no answer.
func TestForgedTransactionIsNotBelieved(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		liar := w.process(w.store())
		liar.reply = func(method string, body []byte) []byte {
			if method == "getTransaction" {
				return bytes.Replace(body, []byte(`"SUCCESS"`), []byte(`"FAILED"`), 1)
			}
			return body
		}
		_, err := liar.do("status", soroban.Invocation{Contract: w.chain.Contract("reward"), Function: "total_supply"})
		if err != nil {
			w.Error(err)
		}
		want(w, "status", liar.trailOf("status").Result.Status, soroban.Succeeded)
		p := w.process(w.store())
		p.must("first")
		p.mu.Lock()
		forged := p.bodies["getTransaction"]
		inject(w, devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseRequest, Times: 1})
		lies := 0
		p.reply = func(method string, body []byte) []byte {
			if method == "getTransaction" {
				lies++
				return slices.Clone(forged)
			}
			return body
		}
		p.mu.Unlock()
		p.must("k")
		want(w, "lies before a ledger was read instead", lies, 3)
		want(w, "hash", p.trailOf("k").Result.TxHash, p.trailOf("k").Attempts[0].Hash)
		want(w, "supply", w.supply(), 2*amount)
	})
}
