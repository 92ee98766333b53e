package devchain_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// Run closes a ledger in every interval and ends with its context.
func TestRun(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		chain := must(devchain.Open(devchain.Config{LedgerInterval: 2 * time.Second}))(t)
		done := make(chan error, 1)
		ctx, cancel := contextWithCancel(t)
		go func() { done <- chain.Run(ctx) }()
		time.Sleep(10*time.Second + time.Millisecond)
		want(t, "ledgers", chain.LatestLedger(), 1+5)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

// The time bounds count in the ledger's close time: maxTime itself is still in time.
func TestTimeBoundsAtClose(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		late time.Duration
		want string
	}{
		"at maxTime": {0, "SUCCESS"}, "a second later": {time.Second, "NOT_FOUND"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			now := &clock{t: time.Unix(2_000_000_000, 0)}
			n := start(t, devchain.Config{Now: now.Now})
			a := n.account()
			maxTime := now.t.Add(60 * time.Second)
			tx := n.payment(a, txnbuild.Preconditions{TimeBounds: txnbuild.NewTimebounds(0, maxTime.Unix())})
			want(t, "send", n.sendTx(tx).Status, "PENDING")
			now.t = maxTime.Add(c.late)
			n.close()
			want(t, "outcome", n.get(n.hash(tx)).Status, c.want)
			if c.want == "NOT_FOUND" {
				want(t, "banned", n.sendTx(tx).Status, "TRY_AGAIN_LATER")
				want(t, "sequence", n.seq(a.Address()), tx.SequenceNumber()-1)
			}
		})
	}
}

// Sequence preconditions read what the last transaction left.
func TestSequencePreconditions(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	want(t, "first", n.run(a, pay(a.Address())).Status, "SUCCESS")
	gap := txnbuild.Preconditions{TimeBounds: txnbuild.NewInfiniteTimeout(), MinSequenceNumberLedgerGap: 3}
	res := n.sendTx(n.payment(a, gap))
	want(t, "too soon", code(t, res.ErrorResultXDR), "TransactionResultCodeTxBadMinSeqAgeOrGap")
	n.closeMany(2)
	want(t, "after the gap", n.sendTx(n.payment(a, gap)).Status, "PENDING")
	n.close()
	low := n.seq(a.Address()) - 1
	jump := n.sign(n.build(a.Address(), params{seq: low + 100, cond: txnbuild.Preconditions{
		TimeBounds: txnbuild.NewInfiniteTimeout(), MinSequenceNumber: &low,
	}}, pay(a.Address())), a)
	want(t, "jump", n.sendTx(jump).Status, "PENDING")
	n.close()
	want(t, "sequence", n.seq(a.Address()), low+100)
}

// A failing operation fails the transaction: nothing of it stays, but fee and sequence are gone.
func TestFailedTransactionCostsSequenceAndFee(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a, b := n.account(), n.account()
	tx := n.sign(n.build(a.Address(), params{}, pay(b.Address()),
		&txnbuild.Payment{Destination: b.Address(), Amount: "99999", Asset: txnbuild.NativeAsset{}}), a)
	before, beforeB := n.entry(a.Address()), n.entry(b.Address()).Balance
	want(t, "send", n.sendTx(tx).Status, "PENDING")
	seq := n.close()
	got := n.get(n.hash(tx))
	want(t, "status", got.Status, "FAILED")
	want(t, "code", code(t, got.ResultXDR), "TransactionResultCodeTxFailed")
	after := n.entry(a.Address())
	want(t, "payer", after.Balance, before.Balance-200)
	want(t, "payee", n.entry(b.Address()).Balance, beforeB)
	want(t, "sequence", int64(after.SeqNum), tx.SequenceNumber())
	want(t, "seqLedger", uint32(after.Ext.V1.Ext.V2.Ext.V3.SeqLedger), seq)
	want(t, "the same again", n.sendTx(tx).Status, "TRY_AGAIN_LATER")
}

// Channels are created by classic operations, many in one transaction, each signing only if it acts.
func TestCreateChannels(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	funder := n.account()
	var ops []txnbuild.Operation
	var kps []*keypair.Full
	for range 20 {
		kp := must(keypair.Random())(t)
		kps = append(kps, kp)
		ops = append(ops, &txnbuild.CreateAccount{Destination: kp.Address(), Amount: "2"})
	}
	tx := n.sign(n.build(funder.Address(), params{}, ops...), funder)
	want(t, "send", n.sendTx(tx).Status, "PENDING")
	seq := n.close()
	want(t, "status", n.get(n.hash(tx)).Status, "SUCCESS")
	for _, kp := range kps {
		want(t, "sequence", n.seq(kp.Address()), int64(seq)<<32)
	}
	for name, op := range map[string]txnbuild.Operation{
		"exists":      &txnbuild.CreateAccount{Destination: kps[0].Address(), Amount: "2"},
		"low reserve": &txnbuild.CreateAccount{Destination: must(keypair.Random())(t).Address(), Amount: "0.5"},
		"underfunded": &txnbuild.CreateAccount{Destination: must(keypair.Random())(t).Address(), Amount: "5000"},
		"no payee":    pay(must(keypair.Random())(t).Address()),
	} {
		if got := n.run(funder, op); got.Status != "FAILED" {
			t.Errorf("%s: %s", name, got.Status)
		}
	}
	other := n.build(funder.Address(), params{}, &txnbuild.Payment{
		Destination: funder.Address(), Amount: "0.5", Asset: txnbuild.NativeAsset{}, SourceAccount: kps[1].Address(),
	})
	res := n.sendTx(n.sign(other, funder))
	want(t, "without the operation's source", code(t, res.ErrorResultXDR), "TransactionResultCodeTxFailed")
	want(t, "with it", n.sendTx(n.sign(other, funder, kps[1])).Status, "PENDING")
}

// All coins stay accounted for: balances and the fee pool sum up to what there was at the start.
func TestCoinsAreConserved(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a, b := n.account(), n.account()
	n.run(a, pay(b.Address()))
	n.run(b, n.mint(b.Address(), a.Address(), 1, 1, n.chain.LatestLedger()+100))
	total := n.chain.Coins()
	want(t, "coins", total, 1_000_000_000_000_000_000)
}

// The metadata of a ledger holds what the SDK's readers look for.
func TestLedgerMetadata(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	op := n.mint(a.Address(), a.Address(), 8, 3, n.chain.LatestLedger()+100)
	minted := n.sign(n.build(a.Address(), params{}, op), a)
	n.sendTx(minted)
	b := n.account() // closes the ledger: a classic and a contract transaction in one
	res := must(n.rpc.GetLedgers(t.Context(), protocol.GetLedgersRequest{StartLedger: n.chain.LatestLedger()}))(t)
	want(t, "ledgers", len(res.Ledgers), 1)
	var meta xdr.LedgerCloseMeta
	if err := xdr.SafeUnmarshalBase64(res.Ledgers[0].LedgerMetadata, &meta); err != nil {
		t.Fatal(err)
	}
	want(t, "hash", meta.LedgerHash().HexString(), res.Ledgers[0].Hash)
	envelopes := map[string]bool{}
	for _, env := range meta.TransactionEnvelopes() {
		h := must(network.HashTransactionInEnvelope(env, n.chain.Passphrase()))(t)
		envelopes[xdr.Hash(h).HexString()] = true
	}
	want(t, "transactions", meta.CountTransactions(), 2)
	want(t, "envelopes", len(envelopes), 2)
	for i := range meta.CountTransactions() {
		hash := meta.TransactionHash(i).HexString()
		if !envelopes[hash] {
			t.Errorf("transaction %s has no envelope", hash)
		}
		result, apply := meta.TransactionResultPair(i), meta.TxApplyProcessing(i)
		want(t, "success", result.Result.Successful(), true)
		if len(meta.FeeProcessing(i)) == 0 || len(apply.MustV4().TxChangesBefore) == 0 || len(apply.MustV4().Operations) != 1 {
			t.Errorf("transaction %s changes nothing", hash)
		}
	}
	want(t, "the mint", envelopes[n.hash(minted)], true)
	n.entry(b.Address())
}

// An archived entry is restored by the transaction that the simulation prepares; without that it fails.
func TestArchivedEntries(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{Retention: 10})
	a := n.account()
	mintOwn := n.call("reward", "mint", addr(n, a.Address()), i128(1))
	want(t, "mint", n.run(n.admin, n.prepared(n.admin.Address(), mintOwn, nil)).Status, "SUCCESS")
	stale := n.prepared(n.admin.Address(), mintOwn, nil)
	n.chain.ArchiveAll()
	n.close()
	want(t, "without restoring", n.run(n.admin, stale).Status, "FAILED")
	want(t, "still readable", n.supply(), 1)
	want(t, "restoring", n.run(n.admin, n.prepared(n.admin.Address(), mintOwn, nil)).Status, "SUCCESS")
	want(t, "supply", n.supply(), 2)
	want(t, "alive again", n.run(n.admin, n.prepared(n.admin.Address(), mintOwn, nil)).Status, "SUCCESS")
}

// ExtendFootprintTTL lengthens lives, RestoreFootprint brings entries back.
func TestFootprintOperations(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	id := must(host.ParseAddress(n.chain.Contract("votes")))(t)
	instance := xdr.LedgerKey{Type: xdr.LedgerEntryTypeContractData, ContractData: &xdr.LedgerKeyContractData{
		Contract: id, Key: xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyContractInstance},
		Durability: xdr.ContractDataDurabilityPersistent,
	}}
	until := func() uint32 {
		res := must(n.rpc.GetLedgerEntries(t.Context(), protocol.GetLedgerEntriesRequest{
			Keys: []string{must(xdr.MarshalBase64(instance))(t)},
		}))(t)
		return *res.Entries[0].LiveUntilLedgerSeq
	}
	n.chain.ArchiveAll()
	n.close()
	restored := &txnbuild.RestoreFootprint{Ext: footprint(n, nil, []xdr.LedgerKey{instance})}
	got := n.run(n.admin, restored)
	want(t, "restore", got.Status, "SUCCESS")
	want(t, "lives until", until(), got.Ledger+host.MinPersistentTTL-1)
	extended := &txnbuild.ExtendFootprintTtl{ExtendTo: host.MaxTTL - 1, Ext: footprint(n, []xdr.LedgerKey{instance}, nil)}
	got = n.run(n.admin, extended)
	want(t, "extend", got.Status, "SUCCESS")
	want(t, "lives until", until(), got.Ledger+host.MaxTTL-1)
	wrong := &txnbuild.ExtendFootprintTtl{ExtendTo: 1000, Ext: footprint(n, nil, []xdr.LedgerKey{instance})}
	want(t, "extending what is declared read-write", n.run(n.admin, wrong).Status, "FAILED")
}

func footprint(n *node, readOnly, readWrite []xdr.LedgerKey) xdr.TransactionExt {
	n.Helper()
	return must(xdr.NewTransactionExt(1, xdr.SorobanTransactionData{
		Resources:   xdr.SorobanResources{Footprint: xdr.LedgerFootprint{ReadOnly: readOnly, ReadWrite: readWrite}},
		ResourceFee: 100_000,
	}))(n)
}
