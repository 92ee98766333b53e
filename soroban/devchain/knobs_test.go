package devchain_test

import (
	"testing"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// Surge pricing names the fee that is needed, bans what bids less, lets a fee
// bump of the same transaction in, and minds nobody who has a place already.
func TestSurgePricing(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	n.inject(devchain.Fault{Kind: devchain.SurgePricing, Fee: 5_000})
	tx := n.payment(a, txnbuild.Preconditions{})
	res := n.sendTx(tx)
	want(t, "answer", code(t, res.ErrorResultXDR), "TransactionResultCodeTxInsufficientFee")
	var result xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(res.ErrorResultXDR, &result); err != nil {
		t.Fatal(err)
	}
	want(t, "needed", int64(result.FeeCharged), 5_000)
	want(t, "sent again", n.sendTx(tx).Status, "TRY_AGAIN_LATER")
	want(t, "a bump of too little", code(t, n.send(n.bump(tx, a, 4_999)).ErrorResultXDR), "TransactionResultCodeTxInsufficientFee")
	want(t, "a bump of enough", n.send(n.bump(tx, a, 5_000)).Status, "PENDING")
	n.chain.ClearFaults()
	n.inject(devchain.Fault{Kind: devchain.SurgePricing, Fee: 1 << 40})
	want(t, "one that replaces it", n.send(n.bump(tx, a, 50_000)).Status, "PENDING")
	n.close()
	got := n.get(n.hash(tx))
	want(t, "by the inner hash", got.Status, "SUCCESS")
	want(t, "is a fee bump", got.FeeBump, true)
	want(t, "struck", n.chain.FaultsStruck(devchain.SurgePricing), 5)
}

// Entries are archived when their life ends. A server that wants them restored
// first says so and prices it; the operation brings them back.
func TestRestorePreamble(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{PersistentTTL: 20})
	a := n.account()
	mint := n.call("reward", "mint", addr(n, a.Address()), i128(1))
	first := n.run(n.admin, n.prepared(n.admin.Address(), mint, nil))
	want(t, "mint", first.Status, "SUCCESS")
	n.inject(devchain.Fault{Kind: devchain.NeedRestore})
	asked := func() protocol.SimulateTransactionResponse {
		return n.simulate(n.build(n.admin.Address(), params{}, mint))
	}
	if res := asked(); res.RestorePreamble != nil || res.Error != "" {
		t.Errorf("nothing is archived yet: %+v", res)
	}
	for n.chain.LatestLedger() < first.Ledger+20 {
		n.close()
	}
	res := asked()
	if res.RestorePreamble == nil || res.Error != "" {
		t.Fatalf("archived: %+v", res)
	}
	var data, call xdr.SorobanTransactionData
	if err := xdr.SafeUnmarshalBase64(res.RestorePreamble.TransactionDataXDR, &data); err != nil {
		t.Fatal(err)
	}
	if err := xdr.SafeUnmarshalBase64(res.TransactionDataXDR, &call); err != nil {
		t.Fatal(err)
	}
	want(t, "entries to restore", len(data.Resources.Footprint.ReadWrite), 2) // supply and balance
	want(t, "others", len(data.Resources.Footprint.ReadOnly), 0)
	want(t, "fee", res.RestorePreamble.MinResourceFee, int64(data.ResourceFee))
	want(t, "the call restores nothing itself", call.Ext.ResourceExt == nil, true)

	restore := &txnbuild.RestoreFootprint{Ext: must(xdr.NewTransactionExt(1, data))(t)}
	want(t, "restored", n.run(n.admin, restore).Status, "SUCCESS")
	if res := asked(); res.RestorePreamble != nil || res.Error != "" {
		t.Errorf("restored: %+v", res)
	}
	want(t, "mint", n.run(n.admin, n.prepared(n.admin.Address(), mint, nil)).Status, "SUCCESS")
	want(t, "supply", n.supply(), 2)
	for _, ttl := range []uint32{1, host.MaxTTL + 1} {
		if _, err := devchain.Open(devchain.Config{PersistentTTL: ttl}); err == nil {
			t.Errorf("a life of %d ledgers is accepted", ttl)
		}
	}
}

// The reset comes before the call that it strikes.
func TestResetByFault(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	n.closeMany(5)
	n.inject(devchain.Fault{Method: "getLatestLedger", Kind: devchain.ResetNetwork, Times: 1})
	want(t, "untouched", n.entry(a.Address()) != nil, true)
	want(t, "ledger", must(n.rpc.GetLatestLedger(t.Context()))(t).Sequence, 1)
	want(t, "account", n.entry(a.Address()) == nil, true)
	n.account()
}

// The guarded contract does nothing twice under one request id, and tells.
func TestGuardedContract(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	id, other := hashOf("one"), hashOf("two")
	award := func(id xdr.ScVal) *txnbuild.InvokeHostFunction {
		return n.prepared(n.admin.Address(), n.call("guarded", "award", id, addr(n, a.Address()), i128(5)), nil)
	}
	once, twice := award(id), award(id) // both are prepared before either is applied
	got := n.run(n.admin, once)
	want(t, "first", got.Status, "SUCCESS")
	want(t, "again", n.run(n.admin, twice).Status, "FAILED")
	want(t, "another id", n.run(n.admin, award(other)).Status, "SUCCESS")
	want(t, "points", host.BigI128(n.read("guarded", "points", addr(n, a.Address()))).Int64(), 10)
	want(t, "note", n.run(n.admin, n.prepared(n.admin.Address(), n.call("guarded", "note", hashOf("three"), hostString("x")), nil)).Status, "SUCCESS")
	want(t, "notes", uint64(*n.read("guarded", "notes").U64), 1)
	res := n.simulate(n.build(a.Address(), params{}, n.call("guarded", "note", id, hostString("x"))))
	want(t, "refusal", res.Error[:len("HostError: Error(Contract, #1)")], "HostError: Error(Contract, #1)")

	any1 := protocol.WildCardExactOne
	events := must(n.rpc.GetEvents(t.Context(), protocol.GetEventsRequest{
		StartLedger: 1, Filters: []protocol.EventFilter{{
			ContractIDs: []string{n.chain.Contract("guarded")},
			Topics:      []protocol.TopicFilter{{{Wildcard: &any1}, {ScVal: &id}}},
		}},
	}))(t)
	want(t, "events of the id", len(events.Events), 1)
	want(t, "transaction", events.Events[0].TransactionHash, got.TransactionHash)
}
