package observe_test

import (
	"context"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// A contract call leaves a span for the submission and for each transaction,
// and is counted.
func TestASubmissionIsTraced(t *testing.T) {
	t.Parallel()
	w := newObserved(t, newStore())
	sub, mint := w.submitter()
	if err := w.eng.Register("mint", sub.Reconcile); err != nil {
		t.Fatal(err)
	}
	out, err := w.eng.Do(t.Context(), onceward.Request{
		Key: onceward.Key{Value: "k"}, Kind: "mint", Policy: onceward.Reconcile,
	}, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		return sub.Do(ctx, op, mint)
	})
	if err != nil || string(out.Response.Body) != "SUCCEEDED" {
		t.Fatalf("%s, %v", out.Response.Body, err)
	}
	submission, attempt := w.one("onceward.submission"), w.one("onceward.attempt")
	if attempt.Parent().SpanID() != submission.SpanContext().SpanID() {
		t.Error("the attempt is not the submission's")
	}
	if len(attr(attempt, "onceward.chain.tx_hash")) != 64 || attr(submission, "onceward.operation_id") != (onceward.Key{Value: "k"}).ID().String() {
		t.Errorf("attributes %v, %v", attempt.Attributes(), submission.Attributes())
	}
	sent := w.ended("stellar.sendTransaction") // it may be offered again
	if len(sent) == 0 || sent[0].Parent().SpanID() != attempt.SpanContext().SpanID() {
		t.Error("the transaction was not sent by the attempt")
	}
	w.wantMetrics(
		`onceward_chain_submissions_total{kind="mint",result="decided"} 1`,
		`onceward_chain_attempts_total{result="decided"} 1`,
		`onceward_chain_attempt_duration_seconds_count 1`,
		`onceward_rpc_calls_total{method="sendTransaction",result="ok"} 1`,
	)
}

// submitter mints on a development chain of its own.
func (w *world) submitter() (*soroban.Submitter, soroban.Invocation) {
	w.t.Helper()
	chain, err := devchain.Open(devchain.Config{LedgerInterval: 50 * time.Millisecond})
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = chain.Run(ctx) }()
	srv := httptest.NewServer(chain.Handler())
	w.t.Cleanup(func() {
		cancel()
		<-done
		_ = chain.Close()
		srv.Close()
	})
	client, err := soroban.NewClient(soroban.ClientConfig{}, srv.URL)
	must(w.t, err)
	channels, err := soroban.DeriveChannels([]byte("0123456789abcdef"), 1)
	must(w.t, err)
	must(w.t, chain.Fund(channels[0].Address(), 1000_0000000))
	minter, err := soroban.NewSigner(devchain.DevAdminSeed)
	must(w.t, err)
	sub, err := soroban.New(soroban.Config{
		RPC: w.obs.RPC(client), Passphrase: chain.Passphrase(), Store: w.eng.Store(), Channels: channels,
		Signers: map[string]soroban.Signer{"minter": minter}, NonceSecret: []byte("0123456789abcdef"),
		Render:       func(r soroban.Result) onceward.Response { return onceward.Response{Body: []byte(r.Status)} },
		PollInterval: 20 * time.Millisecond, Observe: w.obs.Step,
	})
	must(w.t, err)
	to := xdr.MustAddress(keypair.Master("observed").Address())
	return sub, soroban.Invocation{
		Contract: devchain.ContractID(chain.Passphrase(), "reward"), Function: "mint", Signer: "minter",
		Args: []xdr.ScVal{
			{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &to}},
			{Type: xdr.ScValTypeScvI128, I128: &xdr.Int128Parts{Lo: 5}},
		},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
