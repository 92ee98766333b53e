package devchain_test

import (
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
)

func pay(to string) *txnbuild.Payment {
	return &txnbuild.Payment{Destination: to, Amount: "1", Asset: txnbuild.NativeAsset{}}
}

func (n *node) bump(inner *txnbuild.Transaction, payer *keypair.Full, baseFee int64) string {
	n.Helper()
	fb := must(txnbuild.NewFeeBumpTransaction(txnbuild.FeeBumpTransactionParams{
		Inner: inner, FeeAccount: payer.Address(), BaseFee: baseFee,
	}))(n)
	fb = must(fb.Sign(n.chain.Passphrase(), payer))(n)
	return must(fb.Base64())(n)
}

// sendAnswer is a status, and with ERROR the result code.
type sendAnswer struct{ status, code string }

func ledgerBounds(low, high uint32) txnbuild.Preconditions {
	return txnbuild.Preconditions{
		TimeBounds: txnbuild.NewInfiniteTimeout(), LedgerBounds: &txnbuild.LedgerBounds{MinLedger: low, MaxLedger: high},
	}
}

// submissions follow a payment of a that waits in the queue.
var submissions = map[string]struct {
	second func(n *node, a, other *keypair.Full, first *txnbuild.Transaction) string
	want   sendAnswer
}{
	"the same bytes": {func(n *node, _, _ *keypair.Full, first *txnbuild.Transaction) string {
		return must(first.Base64())(n)
	}, sendAnswer{"DUPLICATE", ""}},
	"the same bytes after they were applied": {func(n *node, _, _ *keypair.Full, first *txnbuild.Transaction) string {
		n.close()
		return must(first.Base64())(n)
	}, sendAnswer{"TRY_AGAIN_LATER", ""}},
	"the same bytes nine ledgers after they were applied": {func(n *node, _, _ *keypair.Full, first *txnbuild.Transaction) string {
		n.closeMany(1 + 9)
		return must(first.Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxBadSeq"}},
	"another transaction with the same sequence": {func(n *node, a, o *keypair.Full, _ *txnbuild.Transaction) string {
		return must(n.sign(n.build(a.Address(), params{fee: 5000}, pay(o.Address())), a).Base64())(n)
	}, sendAnswer{"TRY_AGAIN_LATER", ""}},
	"the next sequence while one waits": {func(n *node, a, o *keypair.Full, first *txnbuild.Transaction) string {
		tx := n.build(a.Address(), params{seq: first.SequenceNumber() + 1}, pay(o.Address()))
		return must(n.sign(tx, a).Base64())(n)
	}, sendAnswer{"TRY_AGAIN_LATER", ""}},
	"a lower sequence while one waits": {func(n *node, a, o *keypair.Full, first *txnbuild.Transaction) string {
		tx := n.build(a.Address(), params{seq: first.SequenceNumber() - 1}, pay(o.Address()))
		return must(n.sign(tx, a).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxBadSeq"}},
	"a contract call while a payment waits": {func(n *node, a, _ *keypair.Full, _ *txnbuild.Transaction) string {
		op := n.prepared(a.Address(), n.call("content", "submit", addr(n, a.Address()), hashOf("x"), hostString("u")), nil)
		return must(n.sign(n.build(a.Address(), params{}, op), a).Base64())(n)
	}, sendAnswer{"TRY_AGAIN_LATER", ""}},
	"a gap in the sequence": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{seq: n.seq(o.Address()) + 2}, pay(o.Address()))
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxBadSeq"}},
	"a fee bump of nine times the bid": {func(n *node, _, o *keypair.Full, first *txnbuild.Transaction) string {
		return n.bump(first, o, 9*1000)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxInsufficientFee"}},
	"a fee bump of ten times the bid": {func(n *node, _, o *keypair.Full, first *txnbuild.Transaction) string {
		return n.bump(first, o, 10*1000)
	}, sendAnswer{"PENDING", ""}},
	"the plain transaction after its fee bump": {func(n *node, _, o *keypair.Full, first *txnbuild.Transaction) string {
		want(n, "fee bump", n.send(n.bump(first, o, 10*1000)).Status, "PENDING")
		return must(first.Base64())(n)
	}, sendAnswer{"DUPLICATE", ""}},
	"a fee below the minimum": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{fee: 100}, pay(o.Address()))
		env := tx.ToXDR()
		env.V1.Tx.Fee = 99
		return n.resigned(env, o)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxInsufficientFee"}},
	"no such account": {func(n *node, _, _ *keypair.Full, _ *txnbuild.Transaction) string {
		kp := must(keypair.Random())(n)
		return must(n.sign(n.build(kp.Address(), params{seq: 1}, pay(n.admin.Address())), kp).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxNoAccount"}},
	"no signature": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		return must(n.build(o.Address(), params{}, pay(o.Address())).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxBadAuth"}},
	"a signature too many": {func(n *node, a, o *keypair.Full, _ *txnbuild.Transaction) string {
		return must(n.sign(n.build(o.Address(), params{}, pay(a.Address())), o, a).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxBadAuthExtra"}},
	"maxLedger is the next ledger": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{cond: ledgerBounds(0, n.chain.LatestLedger()+1)}, pay(o.Address()))
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxTooLate"}},
	"maxLedger is the one after": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{cond: ledgerBounds(0, n.chain.LatestLedger()+2)}, pay(o.Address()))
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"PENDING", ""}},
	"minLedger is the one after": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{cond: ledgerBounds(n.chain.LatestLedger()+2, 0)}, pay(o.Address()))
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxTooEarly"}},
	"the time is over": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{cond: txnbuild.Preconditions{TimeBounds: txnbuild.NewTimebounds(0, 1000)}},
			pay(o.Address()))
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxTooLate"}},
	"an operation that is not supported": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{}, &txnbuild.BumpSequence{BumpTo: 1})
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxFailed"}},
	"more than the balance": {func(n *node, _, o *keypair.Full, _ *txnbuild.Transaction) string {
		tx := n.build(o.Address(), params{fee: 100 * xlm}, pay(o.Address()))
		return must(n.sign(tx, o).Base64())(n)
	}, sendAnswer{"ERROR", "TransactionResultCodeTxInsufficientBalance"}},
}

// What a submission is answered, in the situations that matter to a client that must not send twice.
func TestSendTransactionAnswers(t *testing.T) {
	t.Parallel()
	for name, c := range submissions {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, devchain.Config{})
			a, other := n.account(), n.account()
			first := n.sign(n.build(a.Address(), params{}, pay(other.Address())), a)
			want(t, "first", n.sendTx(first).Status, "PENDING")
			res := n.send(c.second(n, a, other, first))
			want(t, "answer", sendAnswer{res.Status, code(t, res.ErrorResultXDR)}, c.want)
		})
	}
}

// A transaction that no ledger takes waits four ledgers and is then refused for ten.
func TestQueueAgeLimit(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{Faults: []devchain.Fault{{Kind: devchain.IncludeLate, Times: 1}}})
	a := n.account()
	last := n.chain.LatestLedger() + 40
	tx := n.sign(n.build(a.Address(), params{cond: txnbuild.Preconditions{
		TimeBounds: txnbuild.NewInfiniteTimeout(), LedgerBounds: &txnbuild.LedgerBounds{MaxLedger: last + 1},
	}}, pay(a.Address())), a)
	want(t, "first", n.sendTx(tx).Status, "PENDING")
	n.closeMany(3)
	want(t, "three ledgers old", n.sendTx(tx).Status, "DUPLICATE")
	n.close()
	want(t, "four ledgers old", n.sendTx(tx).Status, "TRY_AGAIN_LATER")
	n.closeMany(9)
	want(t, "banned", n.sendTx(tx).Status, "TRY_AGAIN_LATER")
	n.close()
	want(t, "ban is over", n.sendTx(tx).Status, "PENDING")
}

// Poor bids leave the queue for better ones, and ledgers take the best bids first.
func TestQueueCapacity(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{LedgerCapacity: 1})
	var kps []*keypair.Full
	for range 6 {
		kps = append(kps, n.account())
	}
	txs := make([]*txnbuild.Transaction, len(kps))
	for i, kp := range kps {
		txs[i] = n.sign(n.build(kp.Address(), params{fee: int64(1000 + 100*i)}, pay(kp.Address())), kp)
	}
	for _, i := range []int{1, 2, 3, 4} {
		want(t, "fits", n.sendTx(txs[i]).Status, "PENDING")
	}
	poor := n.sendTx(txs[0])
	want(t, "poor bid", code(t, poor.ErrorResultXDR), "TransactionResultCodeTxInsufficientFee")
	want(t, "rich bid", n.sendTx(txs[5]).Status, "PENDING")
	want(t, "evicted", n.sendTx(txs[1]).Status, "TRY_AGAIN_LATER")
	for _, i := range []int{5, 4, 3, 2} {
		seq := n.close()
		want(t, "ledger of the best bid", n.get(n.hash(txs[i])).Ledger, seq)
	}
	want(t, "never applied", n.get(n.hash(txs[1])).Status, "NOT_FOUND")
}

// A fee bump keeps the inner hash: both hashes find it, the payer pays, the source's sequence moves.
func TestFeeBump(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	channel, payer := n.account(), n.account()
	op := n.mint(channel.Address(), channel.Address(), 5, 9, n.chain.LatestLedger()+50)
	inner := n.sign(n.build(channel.Address(), params{}, op), channel)
	want(t, "inner", n.sendTx(inner).Status, "PENDING")
	fee := inner.MaxFee() // the SDK's base fee of a fee bump includes the resource fee
	before, beforeChannel := n.entry(payer.Address()).Balance, n.entry(channel.Address()).Balance
	sent := n.send(n.bump(inner, payer, 20*fee))
	want(t, "fee bump", sent.Status, "PENDING")
	n.close()
	for _, h := range []string{sent.Hash, n.hash(inner)} {
		got := n.get(h)
		want(t, "status", got.Status, "SUCCESS")
		want(t, "fee bump", got.FeeBump, true)
		want(t, "hash", got.TransactionHash, h)
	}
	want(t, "supply", n.supply(), 5)
	want(t, "sequence", n.seq(channel.Address()), inner.SequenceNumber())
	want(t, "channel pays nothing", n.entry(channel.Address()).Balance, beforeChannel)
	if n.entry(payer.Address()).Balance >= before {
		t.Error("the payer did not pay")
	}
}

// One account cannot promise its balance twice.
func TestPayerOfManyCannotOverspend(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	payer, a, b := n.account(), n.account(), n.account()
	one := n.sign(n.build(a.Address(), params{}, pay(a.Address())), a)
	two := n.sign(n.build(b.Address(), params{}, pay(b.Address())), b)
	want(t, "first", n.send(n.bump(one, payer, 30*xlm)).Status, "PENDING")
	res := n.send(n.bump(two, payer, 30*xlm))
	want(t, "second", code(t, res.ErrorResultXDR), "TransactionResultCodeTxInsufficientBalance")
}

// A replacement inherits the age of what it replaces: bumping does not keep a transaction waiting for ever.
func TestReplacementKeepsAge(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{LedgerCapacity: 1})
	a, rich := n.account(), n.account()
	tx := n.sign(n.build(a.Address(), params{fee: 100}, pay(a.Address())), a)
	want(t, "first", n.sendTx(tx).Status, "PENDING")
	crowd := func() { // takes the ledger's only place
		n.Helper()
		kp := n.sign(n.build(rich.Address(), params{fee: xlm}, pay(rich.Address())), rich)
		want(t, "crowd", n.sendTx(kp).Status, "PENDING")
		n.close()
	}
	crowd()
	crowd()
	bumped := n.bump(tx, a, 1000)
	want(t, "replacement", n.send(bumped).Status, "PENDING")
	crowd()
	want(t, "waits", n.send(bumped).Status, "DUPLICATE")
	crowd()
	want(t, "too old", n.send(bumped).Status, "TRY_AGAIN_LATER")
}

// Two transactions of one sequence, one of them out of sight in another node's queue: only one is applied.
func TestOneOfASourceInALedger(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	at := n.chain.LatestLedger() + 6
	late := n.payment(a, txnbuild.Preconditions{
		TimeBounds: txnbuild.NewInfiniteTimeout(), LedgerBounds: &txnbuild.LedgerBounds{MaxLedger: at + 1},
	})
	n.inject(devchain.Fault{Kind: devchain.IncludeLate, Times: 1})
	want(t, "late", n.sendTx(late).Status, "PENDING")
	for n.chain.LatestLedger() < at-1 {
		n.close()
	}
	rival := n.payment(a, txnbuild.Preconditions{})
	want(t, "rival", n.sendTx(rival).Status, "PENDING")
	n.closeMany(2)
	found := 0
	for _, tx := range []*txnbuild.Transaction{late, rival} {
		if n.get(n.hash(tx)).Status == "SUCCESS" {
			found++
		}
	}
	want(t, "applied", found, 1)
	want(t, "sequence", n.seq(a.Address()), late.SequenceNumber())
}

// Under a fee bump the channel needs no money at all beyond its reserve.
func TestPoorChannel(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	payer, channel := n.account(), must(keypair.Random())(t)
	if err := n.chain.Fund(channel.Address(), 1*xlm); err != nil {
		t.Fatal(err)
	}
	op := n.mint(channel.Address(), payer.Address(), 5, 9, n.chain.LatestLedger()+50)
	inner := n.sign(n.build(channel.Address(), params{}, op), channel)
	res := n.sendTx(inner)
	want(t, "alone", code(t, res.ErrorResultXDR), "TransactionResultCodeTxInsufficientBalance")
	sent := n.send(n.bump(inner, payer, 2*inner.MaxFee()))
	want(t, "bumped", sent.Status, "PENDING")
	n.close()
	want(t, "outcome", n.get(n.hash(inner)).Status, "SUCCESS")
}

// A declaration of resources that a network would refuse is refused.
func TestInvalidResources(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	good := n.own(a, "content", "submit", addr(n, a.Address()), hashOf("r"), hostString("u"))
	for name, c := range map[string]struct {
		spoil func(env *xdr.Transaction, d *xdr.SorobanTransactionData)
		want  string
	}{
		"resource fee too low":       {func(_ *xdr.Transaction, d *xdr.SorobanTransactionData) { d.ResourceFee-- }, "TxSorobanInvalid"},
		"resource fee above the fee": {func(_ *xdr.Transaction, d *xdr.SorobanTransactionData) { d.ResourceFee = 1 << 40 }, "TxMalformed"},
		"negative resource fee":      {func(_ *xdr.Transaction, d *xdr.SorobanTransactionData) { d.ResourceFee = -1 }, "TxMalformed"},
		"a key twice": {func(_ *xdr.Transaction, d *xdr.SorobanTransactionData) {
			fp := &d.Resources.Footprint
			fp.ReadOnly = append(fp.ReadOnly, fp.ReadWrite[0])
			d.ResourceFee += 100_000
		}, "TxSorobanInvalid"},
		"a memo": {func(tx *xdr.Transaction, _ *xdr.SorobanTransactionData) {
			tx.Memo = xdr.MemoText("x")
		}, "TxSorobanInvalid"},
		"no declaration": {func(tx *xdr.Transaction, _ *xdr.SorobanTransactionData) { tx.Ext = xdr.TransactionExt{} }, "TxMalformed"},
		"two operations": {func(tx *xdr.Transaction, _ *xdr.SorobanTransactionData) {
			tx.Operations = append(tx.Operations, tx.Operations[0])
		}, "TxMalformed"},
		"no operation": {func(tx *xdr.Transaction, _ *xdr.SorobanTransactionData) { tx.Operations = nil }, "TxMissingOperation"},
	} {
		var env xdr.TransactionEnvelope
		if err := xdr.SafeUnmarshalBase64(must(n.build(a.Address(), params{}, good).Base64())(t), &env); err != nil {
			t.Fatal(err)
		}
		env.V1.Tx.Fee += 200_000
		c.spoil(&env.V1.Tx, env.V1.Tx.Ext.SorobanData)
		res := n.send(n.resigned(env, a))
		want(t, name, code(t, res.ErrorResultXDR), "TransactionResultCode"+c.want)
	}
	want(t, "untouched", n.run(a, good).Status, "SUCCESS")
}

// A transaction may ask for further signatures.
func TestExtraSigners(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a, witness := n.account(), must(keypair.Random())(t)
	tx := n.build(a.Address(), params{cond: txnbuild.Preconditions{
		TimeBounds: txnbuild.NewInfiniteTimeout(), ExtraSigners: []string{witness.Address()},
	}}, pay(a.Address()))
	res := n.sendTx(n.sign(tx, a))
	want(t, "without the witness", code(t, res.ErrorResultXDR), "TransactionResultCodeTxBadAuth")
	want(t, "with it", n.sendTx(n.sign(tx, a, witness)).Status, "PENDING")
}
