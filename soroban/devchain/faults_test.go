package devchain_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/txnbuild"

	"github.com/onceward/onceward/soroban/devchain"
)

// post calls a method over a connection of its own and returns HTTP status and body.
func (n *node) post(ctx context.Context, method string, params any) (int, []byte, error) {
	n.Helper()
	body := must(json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))(n)
	return n.postRaw(ctx, body)
}

func (n *node) postRaw(ctx context.Context, body []byte) (int, []byte, error) {
	n.Helper()
	req := must(http.NewRequestWithContext(ctx, http.MethodPost, n.url, bytes.NewReader(body)))(n)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = res.Body.Close() }()
	raw, err := io.ReadAll(res.Body)
	return res.StatusCode, raw, err
}

func (n *node) inject(f devchain.Fault) {
	n.Helper()
	if err := n.chain.Inject(f); err != nil {
		n.Fatal(err)
	}
}

// payment is a signed payment of the account to itself.
func (n *node) payment(kp *keypair.Full, cond txnbuild.Preconditions) *txnbuild.Transaction {
	n.Helper()
	return n.sign(n.build(kp.Address(), params{cond: cond}, pay(kp.Address())), kp)
}

// Faults of the connection: what the client sees, and whether the transaction got through.
func TestConnectionFaults(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind    devchain.FaultKind
		status  int // 0: the connection breaks
		applied bool
	}{
		{devchain.LoseRequest, 0, false},
		{devchain.LoseResponse, 0, true},
		{devchain.Unavailable, http.StatusServiceUnavailable, false},
		{devchain.GatewayTimeout, http.StatusGatewayTimeout, true},
		{devchain.RPCError, http.StatusOK, false},
		{devchain.Hang, 0, true},
	} {
		t.Run(string(c.kind), func(t *testing.T) {
			t.Parallel()
			n := start(t, devchain.Config{})
			a := n.account()
			tx := n.payment(a, txnbuild.Preconditions{})
			n.inject(devchain.Fault{Method: "sendTransaction", Kind: c.kind, Times: 1})
			send := map[string]string{"transaction": must(tx.Base64())(t)}
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			if c.kind == devchain.Hang {
				go func() { // the client loses patience, but not before the transaction is in
					for n.chain.Waiting() == 0 && ctx.Err() == nil {
						runtime.Gosched()
					}
					giveUp()
				}()
			}
			status, body, err := n.post(ctx, "sendTransaction", send)
			want(t, "status", status, c.status)
			if (err != nil) != (c.status == 0) {
				t.Errorf("error %v", err)
			}
			if c.kind == devchain.RPCError && !bytes.Contains(body, []byte("-32603")) {
				t.Errorf("answer %s", body)
			}
			n.close()
			want(t, "applied", n.get(n.hash(tx)).Status == "SUCCESS", c.applied)
			want(t, "struck", n.chain.FaultsStruck(c.kind), 1)
			want(t, "left", len(n.chain.Faults()), 0)
		})
	}
}

// A client that hangs holds no lock: the others are served, and closing the chain ends it.
func TestHangBlocksNobody(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	n.inject(devchain.Fault{Method: "getHealth", Kind: devchain.Hang, Times: 1})
	hung := make(chan error, 1)
	go func() {
		_, _, err := n.post(t.Context(), "getHealth", nil)
		hung <- err
	}()
	for n.chain.FaultsStruck(devchain.Hang) == 0 {
		select {
		case err := <-hung:
			t.Fatalf("answered: %v", err)
		default:
		}
	}
	n.close()
	a := n.account()
	want(t, "others", n.sendTx(n.payment(a, txnbuild.Preconditions{})).Status, "PENDING")
	if err := n.chain.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-hung; err == nil {
		t.Error("the hanging call was answered")
	}
}

// A stale replica and a lagging RPC answer consistently from an old ledger; they differ in what judges submissions.
func TestOldAnswers(t *testing.T) {
	t.Parallel()
	for _, kind := range []devchain.FaultKind{devchain.StaleReplica, devchain.DelayIngestion} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			n := start(t, devchain.Config{})
			a := n.account()
			before := n.seq(a.Address())
			tx := n.payment(a, txnbuild.Preconditions{})
			n.sendTx(tx)
			applied := n.close()
			next := n.payment(a, txnbuild.Preconditions{})
			n.closeMany(2)
			n.inject(devchain.Fault{Kind: kind, Ledgers: 3})

			got := n.get(n.hash(tx))
			want(t, "transaction", got.Status, "NOT_FOUND")
			want(t, "latest", got.LatestLedger, applied-1)
			want(t, "sequence", n.seq(a.Address()), before)
			want(t, "getLatestLedger", must(n.rpc.GetLatestLedger(t.Context()))(t).Sequence, applied-1)

			res := n.sendTx(next)
			if kind == devchain.StaleReplica {
				want(t, "stale judge", code(t, res.ErrorResultXDR), "TransactionResultCodeTxBadSeq")
			} else {
				want(t, "core's judge", res.Status, "PENDING")
			}
			want(t, "send's latest", res.LatestLedger, applied-1)
			n.chain.ClearFaults()
			want(t, "found again", n.get(n.hash(tx)).Status, "SUCCESS")
		})
	}
}

// The race of getTransaction: not found, and yet the latest ledger is one that contains it.
func TestLookupRace(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	tx := n.payment(a, txnbuild.Preconditions{})
	n.sendTx(tx)
	seq := n.close()
	n.inject(devchain.Fault{Kind: devchain.LookupRace, Times: 1})
	got := n.get(n.hash(tx))
	want(t, "status", got.Status, "NOT_FOUND")
	want(t, "latest", got.LatestLedger, seq)
	want(t, "again", n.get(n.hash(tx)).Status, "SUCCESS")
}

func TestTrimmedHistory(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	tx := n.payment(a, txnbuild.Preconditions{})
	n.sendTx(tx)
	n.close()
	n.closeMany(2)
	n.inject(devchain.Fault{Kind: devchain.TrimHistory, Ledgers: 2})
	got := n.get(n.hash(tx))
	want(t, "status", got.Status, "NOT_FOUND")
	want(t, "oldest", got.OldestLedger, n.chain.LatestLedger()-1)
	n.chain.ClearFaults()
	n.inject(devchain.Fault{Kind: devchain.TrimHistory, Ledgers: 3})
	want(t, "still kept", n.get(n.hash(tx)).Status, "SUCCESS")
}

// A dropped transaction is as if it had never been sent; an evicted one is refused for a while as well.
func TestLostTransactions(t *testing.T) {
	t.Parallel()
	for kind, again := range map[devchain.FaultKind]string{
		devchain.DropTransaction: "PENDING", devchain.EvictTransaction: "TRY_AGAIN_LATER",
	} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			n := start(t, devchain.Config{})
			a := n.account()
			tx := n.payment(a, txnbuild.Preconditions{})
			n.inject(devchain.Fault{Kind: kind, Times: 1})
			want(t, "answer", n.sendTx(tx).Status, "PENDING")
			n.close()
			want(t, "outcome", n.get(n.hash(tx)).Status, "NOT_FOUND")
			want(t, "sequence", n.seq(a.Address()), tx.SequenceNumber()-1)
			want(t, "sent again", n.sendTx(tx).Status, again)
		})
	}
}

// Late inclusion: this node has long banned the transaction when the last possible ledger includes it after all.
func TestIncludeLate(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	maxLedger := n.chain.LatestLedger() + 9
	tx := n.payment(a, txnbuild.Preconditions{
		TimeBounds: txnbuild.NewInfiniteTimeout(), LedgerBounds: &txnbuild.LedgerBounds{MaxLedger: maxLedger},
	})
	n.inject(devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
	want(t, "answer", n.sendTx(tx).Status, "PENDING")
	for n.chain.LatestLedger() < maxLedger-2 {
		n.close()
		want(t, "meanwhile", n.get(n.hash(tx)).Status, "NOT_FOUND")
	}
	want(t, "this node has given up", n.sendTx(tx).Status, "TRY_AGAIN_LATER")
	want(t, "last ledger", n.close(), maxLedger-1)
	want(t, "outcome", n.get(n.hash(tx)).Status, "SUCCESS")
}

func TestReset(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{Dir: t.TempDir()})
	a := n.account()
	reward := n.chain.Contract("reward")
	n.closeMany(3)
	if err := n.chain.Reset(); err != nil {
		t.Fatal(err)
	}
	want(t, "ledger", n.chain.LatestLedger(), 1)
	if n.entry(a.Address()) != nil {
		t.Error("an account survived")
	}
	want(t, "contract", n.chain.Contract("reward"), reward)
	n.account()
}

func TestFaultsText(t *testing.T) {
	t.Parallel()
	for text, f := range map[string]devchain.Fault{
		"sendTransaction:lose-response:3":     {Method: "sendTransaction", Kind: devchain.LoseResponse, Times: 3},
		"*:http-503":                          {Kind: devchain.Unavailable, Times: 1},
		"getLedgerEntries:stale-replica:2:5":  {Method: "getLedgerEntries", Kind: devchain.StaleReplica, Times: 2, Ledgers: 5},
		"*:delay-ingestion:always:4":          {Kind: devchain.DelayIngestion, Ledgers: 4},
		"*:include-late:1":                    {Method: "sendTransaction", Kind: devchain.IncludeLate, Times: 1},
		"sendTransaction:surge-pricing:2:700": {Method: "sendTransaction", Kind: devchain.SurgePricing, Times: 2, Fee: 700},
		"simulateTransaction:need-restore:1":  {Method: "simulateTransaction", Kind: devchain.NeedRestore, Times: 1},
		"*:reset:1":                           {Kind: devchain.ResetNetwork, Times: 1},
		"getTransaction:lookup-race:always:1": {Method: "getTransaction", Kind: devchain.LookupRace, Ledgers: 1},
	} {
		got, err := devchain.ParseFault(text)
		if err != nil || got != f {
			t.Errorf("%s: got %+v, %v", text, got, err)
		}
		if round, err := devchain.ParseFault(got.String()); err != nil || round != f {
			t.Errorf("%s: reads back as %+v, %v", got, round, err)
		}
	}
	for _, text := range []string{
		"", "hang", "*:unknown", "nothing:hang", "*:hang:0", "*:hang:-1", "*:hang:x", "*:stale-replica:1:x",
		"*:stale-replica:1:9999", "*:hang:1:1:1", "getHealth:drop-transaction", "getHealth:surge-pricing",
	} {
		if f, err := devchain.ParseFault(text); err == nil {
			t.Errorf("%q was read as %+v", text, f)
		}
	}
	for _, f := range []devchain.Fault{{Kind: devchain.Hang, Fee: 1}, {Kind: devchain.SurgePricing, Fee: -1}, {Kind: devchain.SurgePricing, Fee: 1 << 41}} {
		if _, err := devchain.Open(devchain.Config{Faults: []devchain.Fault{f}}); err == nil {
			t.Errorf("%+v was accepted", f)
		}
	}
	if _, err := devchain.Open(devchain.Config{Faults: []devchain.Fault{{Kind: "nonsense"}}}); err == nil {
		t.Error("Open accepted an unknown fault")
	}
}

// Skip leaves calls alone first; the others come in order.
func TestFaultSkips(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	n.inject(devchain.Fault{Method: "getHealth", Kind: devchain.Unavailable, Times: 2, Skip: 1})
	var got []int
	for range 4 {
		status, _, err := n.post(t.Context(), "getHealth", nil)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, status)
	}
	want(t, "answers", fmt.Sprint(got), "[200 503 503 200]")
}

// The SDK's own client sees injected faults as errors and works again afterwards.
func TestClientRecovers(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	n.inject(devchain.Fault{Method: "getHealth", Kind: devchain.LoseResponse, Times: 1})
	_, err := n.rpc.GetHealth(t.Context())
	if err == nil || errors.Is(err, context.Canceled) {
		t.Errorf("lost response: %v", err)
	}
	want(t, "status", must(n.rpc.GetHealth(t.Context()))(t).Status, "healthy")
}
