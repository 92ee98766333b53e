package devchain_test

import (
	"strings"
	"testing"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// The whole way of a guarded mint with the SDK's own client: record, pin the nonce, sign, enforce, send, close, poll.
func TestMintEndToEnd(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	channel, user := n.account(), n.account()

	op := n.mint(channel.Address(), user.Address(), 250, 4711, n.chain.LatestLedger()+100)
	tx := n.sign(n.build(channel.Address(), params{}, op), channel)
	sent := n.sendTx(tx)
	want(t, "status", sent.Status, "PENDING")
	want(t, "hash", sent.Hash, n.hash(tx))
	want(t, "before the ledger closes", n.get(sent.Hash).Status, "NOT_FOUND")
	seq := n.close()

	got := must(n.rpc.PollTransaction(t.Context(), sent.Hash))(t)
	want(t, "status", got.Status, "SUCCESS")
	want(t, "ledger", got.Ledger, seq)
	want(t, "new balance", host.BigI128(value(t, got.ResultMetaXDR)).Int64(), 250)
	want(t, "supply", n.supply(), 250)
	want(t, "result", code(t, got.ResultXDR), "TransactionResultCodeTxSuccess")

	a := n.entry(channel.Address())
	want(t, "sequence", int64(a.SeqNum), tx.SequenceNumber())
	want(t, "seqLedger", uint32(a.Ext.V1.Ext.V2.Ext.V3.SeqLedger), seq)

	nonce := nonceEntry(n, n.admin.Address(), 4711)
	if nonce == nil {
		t.Fatal("no nonce entry")
	}
	want(t, "nonce written in", nonce.LastModifiedLedger, seq)
	if want := uint32(op.Auth[0].Credentials.Address.SignatureExpirationLedger); *nonce.LiveUntilLedgerSeq != want {
		t.Errorf("nonce lives until %d, want %d", *nonce.LiveUntilLedgerSeq, want)
	}
	events := must(n.rpc.GetEvents(t.Context(), protocol.GetEventsRequest{StartLedger: seq}))(t)
	want(t, "events", len(events.Events), 1)
	want(t, "event's contract", events.Events[0].ContractID, n.chain.Contract("reward"))
}

func nonceEntry(n *node, address string, nonce int64) *protocol.LedgerEntryResult {
	n.Helper()
	id := must(host.ParseAddress(address))(n)
	key := must(xdr.MarshalBase64(xdr.LedgerKey{Type: xdr.LedgerEntryTypeContractData, ContractData: &xdr.LedgerKeyContractData{
		Contract:   id,
		Key:        xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyNonce, NonceKey: &xdr.ScNonceKey{Nonce: xdr.Int64(nonce)}},
		Durability: xdr.ContractDataDurabilityTemporary,
	}}))(n)
	res := must(n.rpc.GetLedgerEntries(n.Context(), protocol.GetLedgerEntriesRequest{Keys: []string{key}}))(n)
	if len(res.Entries) == 0 {
		return nil
	}
	return &res.Entries[0]
}

// A signature whose nonce was spent fails in simulation and on the ledger, whoever sends it again.
func TestNonceCannotBeSpentTwice(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	one, two := n.account(), n.account()
	op := n.mint(one.Address(), one.Address(), 10, 1, n.chain.LatestLedger()+50)
	stolen := *op
	want(t, "first", n.run(one, op).Status, "SUCCESS")

	res := n.simulate(n.build(two.Address(), params{}, &stolen))
	if !strings.Contains(res.Error, "Error(Auth, ExistingValue)") {
		t.Errorf("simulating a spent nonce: %q", res.Error)
	}
	got := n.run(two, &stolen)
	want(t, "second", got.Status, "FAILED")
	want(t, "diagnostics", len(got.DiagnosticEventsXDR), 1)
	want(t, "supply", n.supply(), 10)
	want(t, "sequence is consumed", n.seq(two.Address()), seqOf(t, got.EnvelopeXDR))
}

func seqOf(t testing.TB, envelope string) int64 {
	t.Helper()
	var env xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshalBase64(envelope, &env); err != nil {
		t.Fatal(err)
	}
	return env.SeqNum()
}
