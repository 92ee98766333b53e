package soroban_test

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// steal puts the authorization of a stored envelope into a transaction of
// another account and sends that. It returns the thief's hash.
func (w *world) steal(a soroban.Attempt) string {
	w.Helper()
	thief, err := keypair.Random()
	if err != nil {
		w.Fatal(err)
	}
	if err := w.chain.Fund(thief.Address(), 100*xlm); err != nil {
		w.Fatal(err)
	}
	var env xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshal(a.Envelope, &env); err != nil {
		w.Fatal(err)
	}
	tx := env.V1.Tx
	tx.SourceAccount = xdr.MustMuxedAddress(thief.Address())
	tx.SeqNum = xdr.SequenceNumber(int64(w.chain.LatestLedger())<<32 + 1)
	tx.Cond = xdr.Preconditions{Type: xdr.PreconditionTypePrecondNone}
	hash, err := network.HashTransaction(tx, w.chain.Passphrase())
	if err != nil {
		w.Fatal(err)
	}
	sig, err := thief.SignDecorated(hash[:])
	if err != nil {
		w.Fatal(err)
	}
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{
		Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx, Signatures: []xdr.DecoratedSignature{sig}},
	})
	if err != nil {
		w.Fatal(err)
	}
	var answer protocol.SendTransactionResponse
	w.rpc(w, "sendTransaction", map[string]string{"transaction": encoded}, &answer)
	if answer.Status != "PENDING" {
		w.Fatal(answer)
	}
	return hex.EncodeToString(hash[:])
}

// Somebody who saw the envelope takes its authorization. The mint happens
// once, by their transaction, whatever becomes of ours, and is reported so.
func TestStolenAuthorization(t *testing.T) {
	t.Parallel()
	for _, arrives := range []bool{false, true} {
		t.Run(fmt.Sprintf("ours arrives=%v", arrives), func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				p := w.process(w.store())
				p.mute.Store(!arrives)
				inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
				done := make(chan string)
				go func() { done <- p.must("k") }()
				w.pass(500 * time.Millisecond)
				w.chain.ClearFaults()
				hash := w.steal(p.trailOf("k").Attempts[0])
				<-done
				res := p.trailOf("k").Result
				want(w, "status", res.Status, soroban.Succeeded)
				want(w, "hash", res.TxHash, hash)
				want(w, "recovered", res.Recovered, true)
				p.mute.Store(false)
				w.pass(10 * time.Second)
				want(w, "supply", w.supply(), amount)
				p.must("next") // the channel comes back
				want(w, "supply", w.supply(), 2*amount)
			})
		})
	}
}

// Ours is in the ledger and failed, because theirs was first: seen only
// afterwards, by a process that did not see theirs land.
func TestStolenThenFailedThenRecovered(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		inject(w, devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
		p := w.process(store)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = p.mint("k") }()
		w.pass(500 * time.Millisecond)
		p.sub.Stop()
		<-done
		hash := w.steal(p.trailOf("k").Attempts[0])
		w.pass(15 * time.Second)
		next := w.process(store)
		next.must("k")
		want(w, "hash", next.trailOf("k").Result.TxHash, hash)
		want(w, "supply", w.supply(), amount)
	})
}

// The envelope expires, and the contract refuses the next one. Nobody is told
// that nothing happened: the authorization was seen, and is used.
func TestRefusedThenStolen(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		p := w.process(w.store())
		var refuse atomic.Bool
		p.reply = func(method string, body []byte) []byte {
			if method == "simulateTransaction" && refuse.Load() {
				return fmt.Appendf(nil, `{"jsonrpc":"2.0","id":1,"result":{"latestLedger":%d,"error":"the mint is closed"}}`, w.chain.LatestLedger())
			}
			return body
		}
		p.mute.Store(true)
		done := make(chan error)
		go func() { _, err := p.mint("k"); done <- err }()
		w.pass(500 * time.Millisecond)
		refuse.Store(true)
		want(w, "code", onceward.CodeOf(<-done), onceward.CodeOutcomeUnknown)
		rec := p.record("k")
		if rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, "the mint is closed") {
			w.Errorf("%s: %s", rec.Status, rec.Reason)
		}
		refuse.Store(false)
		w.steal(p.trailOf("k").Attempts[0])
		w.pass(2 * time.Second)
		want(w, "supply", w.supply(), amount)
		_, err := p.mint("k")
		want(w, "code of the retry", onceward.CodeOf(err), onceward.CodeOutcomeUnknown)
		w.pass(10 * time.Second)
		want(w, "supply", w.supply(), amount)
	})
}
