package main_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban/devchain"
)

// onChain brings about what contracts and the relay refuse.
var onChain = map[onceward.Code]func(*testing.T, *chained) provoked{
	"invalid-request":        minting(`{"to":1,"amount":"1"}`),
	"unsupported-media-type": minting(reward("media", 1), "Content-Type", "text/plain"),
	"contract-rejected":      minting(`{"to":"` + account("rejected") + `","amount":"-5"}`),
	"internal-error":         minting(`{"to":"`+account("internal")+`","amount":"5"}`, "X-Panic", "now"),
	"chain-unavailable": func(t *testing.T, c *chained) provoked {
		c.down.Store(true)
		defer c.down.Store(false)
		return minting(`{"to":"`+account("down")+`","amount":"5"}`)(t, c)
	},
	"interrupted": func(t *testing.T, c *chained) provoked {
		c.outcome.Store(true)
		defer c.outcome.Store(false)
		return minting(`{"to":"`+account("interrupted")+`","amount":"5"}`)(t, c)
	},
	"contract-failed": func(t *testing.T, c *chained) provoked {
		// Both calls are tried before either is sent: only one can succeed.
		c.sends.Store(newBarrier(2))
		defer c.sends.Store(nil)
		body := fmt.Sprintf(`{"author":%q,"content_hash":%q,"uri":"https://example.org"}`, account("author"), strings.Repeat("ab", 32))
		var answers [2]answer
		var both sync.WaitGroup
		for i := range answers {
			both.Go(func() { answers[i] = c.post("/v1/content", fmt.Sprint("failed-", i), body) })
		}
		both.Wait()
		for i, a := range answers {
			if other := answers[1-i]; a.status == http.StatusUnprocessableEntity && other.status == http.StatusOK {
				return provoked{a, c.server, ""} // it is the operation's, whatever key asks for it
			}
		}
		t.Fatalf("%v", answers)
		return provoked{}
	},
	"relay-malformed":         relaying(nil),
	"relay-unsupported":       relaying(func(_ *chained, tx *xdr.Transaction) { tx.Ext = xdr.TransactionExt{} }),
	"relay-not-allowed":       relaying(func(_ *chained, tx *xdr.Transaction) { invoked(tx).FunctionName = "cast_for" }),
	"relay-foreign-account":   relaying(func(c *chained, tx *xdr.Transaction) { tx.SourceAccount = xdr.MustMuxedAddress(c.channel) }),
	"relay-unbounded":         relaying(func(_ *chained, tx *xdr.Transaction) { tx.Cond.TimeBounds.MaxTime = 0 }),
	"relay-expired":           relaying(func(_ *chained, tx *xdr.Transaction) { tx.Cond.TimeBounds.MaxTime = 1 }),
	"relay-sequence-used":     relaying(func(_ *chained, tx *xdr.Transaction) { tx.SeqNum -= 5 }),
	"relay-fee":               relaying(func(_ *chained, tx *xdr.Transaction) { tx.Fee = 4_000_000_000 }),
	"relay-invalid-signature": relaying(func(_ *chained, tx *xdr.Transaction) { tx.Memo = xdr.MemoText("signed without this") }),
	"relay-superseded":        superseded,
}

// minting asks for a reward.
func minting(body string, header ...string) func(*testing.T, *chained) provoked {
	return func(t *testing.T, c *chained) provoked {
		t.Helper()
		return provoked{c.post("/v1/rewards", t.Name(), strings.Replace(body, `,"reason":"e2e"`, "", 1), header...), c.server, t.Name()}
	}
}

func invoked(tx *xdr.Transaction) *xdr.InvokeContractArgs {
	return tx.Operations[0].Body.InvokeHostFunctionOp.HostFunction.InvokeContract
}

// relaying relays a vote that was changed before the user signed it; a memo is
// changed after that. Nil relays nonsense.
func relaying(change func(*chained, *xdr.Transaction)) func(*testing.T, *chained) provoked {
	return func(t *testing.T, c *chained) provoked {
		t.Helper()
		body := `{"xdr":"AAAA"}`
		if change != nil {
			tx := c.vote(t, 7)
			signed := tx
			change(c, &signed)
			if signed.Memo.Type != tx.Memo.Type {
				body = c.signed(t, tx, signed)
			} else {
				body = c.signed(t, signed, signed)
			}
		}
		return provoked{c.post("/v1/transactions", t.Name(), body), c.server, t.Name()}
	}
}

// vote prepares a vote of the wallet with its next sequence number.
func (c *chained) vote(t *testing.T, proposal xdr.Uint64) xdr.Transaction {
	t.Helper()
	account, err := c.w.rpc.LoadAccount(t.Context(), c.w.Address())
	must(t, err)
	seq, err := account.GetSequenceNumber()
	must(t, err)
	tx, _ := c.w.vote(proposal, c.w.Address(), seq)
	return tx.ToXDR().V1.Tx
}

// signed is the body that relays tx with a signature of what was signed.
func (c *chained) signed(t *testing.T, what, tx xdr.Transaction) string {
	t.Helper()
	hash, err := network.HashTransaction(what, devchain.DefaultPassphrase)
	must(t, err)
	sig, err := c.w.SignDecorated(hash[:])
	must(t, err)
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{
		Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx, Signatures: []xdr.DecoratedSignature{sig}},
	})
	must(t, err)
	return jsonBody(t, map[string]string{"xdr": encoded})
}

// superseded relays a vote whose sequence number another one has consumed.
func superseded(t *testing.T, c *chained) provoked {
	t.Helper()
	late, rival := c.vote(t, 8), c.vote(t, 9)
	if a := c.post("/v1/transactions", t.Name()+"-rival", c.signed(t, rival, rival)); a.status != http.StatusOK {
		t.Fatalf("the rival: %d %s", a.status, a.body)
	}
	return provoked{c.post("/v1/transactions", t.Name(), c.signed(t, late, late)), c.server, t.Name()}
}
