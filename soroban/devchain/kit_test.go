package devchain_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"math/big"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/clients/rpcclient"
	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

const xlm = 10_000_000

// node is a chain behind HTTP with the SDK's own client in front of it.
type node struct {
	*testing.T
	chain *devchain.Chain
	url   string
	rpc   *rpcclient.Client
	admin *keypair.Full
}

func start(t *testing.T, cfg devchain.Config) *node {
	t.Helper()
	chain, err := devchain.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, chain)
}

func serve(t *testing.T, chain *devchain.Chain) *node {
	t.Helper()
	srv := httptest.NewServer(chain.Handler())
	rpc := rpcclient.NewClient(srv.URL, nil)
	t.Cleanup(func() {
		_ = chain.Close() // also ends hanging answers, which the server would wait for
		_ = rpc.Close()
		srv.Close()
	})
	admin, err := keypair.ParseFull(devchain.DevAdminSeed)
	if err != nil {
		t.Fatal(err)
	}
	return &node{T: t, chain: chain, url: srv.URL, rpc: rpc, admin: admin}
}

func must[V any](v V, err error) func(testing.TB) V {
	return func(t testing.TB) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// account makes and funds a new account.
func (n *node) account() *keypair.Full {
	n.Helper()
	kp := must(keypair.Random())(n)
	if err := n.chain.Fund(kp.Address(), 100*xlm); err != nil {
		n.Fatal(err)
	}
	return kp
}

func (n *node) close() uint32 {
	n.Helper()
	return must(n.chain.CloseLedger())(n)
}

func (n *node) closeMany(ledgers int) {
	n.Helper()
	for range ledgers {
		n.close()
	}
}

func key(n testing.TB, id xdr.AccountId) string {
	n.Helper()
	return must(xdr.MarshalBase64(xdr.LedgerKey{
		Type: xdr.LedgerEntryTypeAccount, Account: &xdr.LedgerKeyAccount{AccountId: id},
	}))(n)
}

// entry reads an account through the RPC; nil if there is none.
func (n *node) entry(addr string) *xdr.AccountEntry {
	n.Helper()
	res := must(n.rpc.GetLedgerEntries(n.Context(), protocol.GetLedgerEntriesRequest{
		Keys: []string{key(n, xdr.MustAddress(addr))},
	}))(n)
	if len(res.Entries) == 0 {
		return nil
	}
	var data xdr.LedgerEntryData
	if err := xdr.SafeUnmarshalBase64(res.Entries[0].DataXDR, &data); err != nil {
		n.Fatal(err)
	}
	return data.Account
}

func (n *node) seq(addr string) int64 {
	n.Helper()
	a := n.entry(addr)
	if a == nil {
		n.Fatalf("no account %s", addr)
	}
	return int64(a.SeqNum)
}

// call describes a contract call by name and arguments.
func (n *node) call(contract, function string, args ...xdr.ScVal) *txnbuild.InvokeHostFunction {
	n.Helper()
	return invoke(n, n.chain, contract, function, args...)
}

func invoke(t testing.TB, chain *devchain.Chain, contract, function string, args ...xdr.ScVal) *txnbuild.InvokeHostFunction {
	t.Helper()
	return &txnbuild.InvokeHostFunction{HostFunction: xdr.HostFunction{
		Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract,
		InvokeContract: &xdr.InvokeContractArgs{
			ContractAddress: must(host.ParseAddress(chain.Contract(contract)))(t),
			FunctionName:    xdr.ScSymbol(function), Args: args,
		},
	}}
}

func addr(n testing.TB, s string) xdr.ScVal {
	n.Helper()
	return host.Address(must(host.ParseAddress(s))(n))
}

func i128(n int64) xdr.ScVal {
	v, _ := host.I128(big.NewInt(n))
	return v
}

func hashOf(s string) xdr.ScVal {
	h := sha256.Sum256([]byte(s))
	return host.Bytes(h[:])
}

// params are what a test may want to vary about a transaction.
type params struct {
	seq  int64 // 0: the next one
	fee  int64 // per operation, 0: 1000
	cond txnbuild.Preconditions
}

// build makes an unsigned transaction.
func (n *node) build(source string, p params, ops ...txnbuild.Operation) *txnbuild.Transaction {
	n.Helper()
	if p.seq == 0 {
		p.seq = n.seq(source) + 1
	}
	if p.fee == 0 {
		p.fee = 1000
	}
	if p.cond.TimeBounds == (txnbuild.TimeBounds{}) {
		p.cond.TimeBounds = txnbuild.NewInfiniteTimeout()
	}
	return must(txnbuild.NewTransaction(txnbuild.TransactionParams{
		SourceAccount: &txnbuild.SimpleAccount{AccountID: source, Sequence: p.seq - 1}, IncrementSequenceNum: true,
		Operations: ops, BaseFee: p.fee, Preconditions: p.cond,
	}))(n)
}

func (n *node) simulate(tx *txnbuild.Transaction) protocol.SimulateTransactionResponse {
	n.Helper()
	return must(n.rpc.SimulateTransaction(n.Context(), protocol.SimulateTransactionRequest{
		Transaction: must(tx.Base64())(n),
	}))(n)
}

// prepared simulates op, lets sign change the recorded authorization, simulates again if that signed anything, and
// returns op ready to send.
func (n *node) prepared(source string, op *txnbuild.InvokeHostFunction, sign func([]xdr.SorobanAuthorizationEntry)) *txnbuild.InvokeHostFunction {
	n.Helper()
	out := *op
	res := n.simulate(n.build(source, params{}, &out))
	if res.Error != "" {
		n.Fatalf("simulation failed: %s", res.Error)
	}
	out.Auth = nil
	for _, encoded := range *res.Results[0].AuthXDR {
		var e xdr.SorobanAuthorizationEntry
		if err := xdr.SafeUnmarshalBase64(encoded, &e); err != nil {
			n.Fatal(err)
		}
		out.Auth = append(out.Auth, e)
	}
	if sign != nil {
		sign(out.Auth)
		if res = n.simulate(n.build(source, params{}, &out)); res.Error != "" {
			n.Fatalf("enforcing simulation failed: %s", res.Error)
		}
	}
	setData(n, &out, res)
	return &out
}

func setData(n testing.TB, op *txnbuild.InvokeHostFunction, res protocol.SimulateTransactionResponse) {
	n.Helper()
	var data xdr.SorobanTransactionData
	if err := xdr.SafeUnmarshalBase64(res.TransactionDataXDR, &data); err != nil {
		n.Fatal(err)
	}
	op.Ext = must(xdr.NewTransactionExt(1, data))(n)
}

// signAuth pins the nonce of the entry and signs it.
func (n *node) signAuth(e *xdr.SorobanAuthorizationEntry, kp *keypair.Full, nonce int64, until uint32) {
	n.Helper()
	cred := e.Credentials.Address
	if cred == nil {
		cred = e.Credentials.AddressV2
	}
	cred.Nonce, cred.SignatureExpirationLedger = xdr.Int64(nonce), xdr.Uint32(until)
	payload := must(host.SignaturePayload(sha256.Sum256([]byte(n.chain.Passphrase())), *e))(n)
	pub := xdr.MustAddress(kp.Address()).Ed25519
	cred.Signature = host.Vec(host.Struct(
		host.Field{Name: "public_key", Val: host.Bytes(pub[:])},
		host.Field{Name: "signature", Val: host.Bytes(must(kp.Sign(payload[:]))(n))},
	))
}

// mint prepares a mint by the admin through another source account, with a pinned nonce.
func (n *node) mint(source, to string, amount, nonce int64, until uint32) *txnbuild.InvokeHostFunction {
	n.Helper()
	return n.prepared(source, n.call("reward", "mint", addr(n, to), i128(amount)), func(auth []xdr.SorobanAuthorizationEntry) {
		n.signAuth(&auth[0], n.admin, nonce, until)
	})
}

func (n *node) sign(tx *txnbuild.Transaction, kps ...*keypair.Full) *txnbuild.Transaction {
	n.Helper()
	return must(tx.Sign(n.chain.Passphrase(), kps...))(n)
}

func (n *node) hash(tx *txnbuild.Transaction) string {
	n.Helper()
	h := must(tx.Hash(n.chain.Passphrase()))(n)
	return hex.EncodeToString(h[:])
}

func (n *node) send(b64 string) protocol.SendTransactionResponse {
	n.Helper()
	return must(n.rpc.SendTransaction(n.Context(), protocol.SendTransactionRequest{Transaction: b64}))(n)
}

func (n *node) sendTx(tx *txnbuild.Transaction) protocol.SendTransactionResponse {
	n.Helper()
	return n.send(must(tx.Base64())(n))
}

func (n *node) get(hash string) protocol.GetTransactionResponse {
	n.Helper()
	return must(n.rpc.GetTransaction(n.Context(), protocol.GetTransactionRequest{Hash: hash}))(n)
}

// run sends op from kp, closes a ledger and returns what became of it.
func (n *node) run(kp *keypair.Full, op txnbuild.Operation) protocol.GetTransactionResponse {
	n.Helper()
	tx := n.sign(n.build(kp.Address(), params{}, op), kp)
	if res := n.sendTx(tx); res.Status != "PENDING" {
		n.Fatalf("send: %s %s", res.Status, code(n, res.ErrorResultXDR))
	}
	n.close()
	return n.get(n.hash(tx))
}

// code is the innermost result code of a base64 TransactionResult, or "".
func code(n testing.TB, b64 string) string {
	n.Helper()
	if b64 == "" {
		return ""
	}
	var res xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(b64, &res); err != nil {
		n.Fatal(err)
	}
	if pair := res.Result.InnerResultPair; pair != nil {
		return pair.Result.Result.Code.String()
	}
	return res.Result.Code.String()
}

// value is the return value in a transaction's metadata.
func value(n testing.TB, metaB64 string) xdr.ScVal {
	n.Helper()
	var meta xdr.TransactionMeta
	if err := xdr.SafeUnmarshalBase64(metaB64, &meta); err != nil {
		n.Fatal(err)
	}
	return *meta.MustV4().SorobanMeta.ReturnValue
}

// read calls a function that changes nothing.
func (n *node) read(contract, function string, args ...xdr.ScVal) xdr.ScVal {
	n.Helper()
	res := n.simulate(n.build(n.admin.Address(), params{}, n.call(contract, function, args...)))
	if res.Error != "" {
		n.Fatal(res.Error)
	}
	var out xdr.ScVal
	if err := xdr.SafeUnmarshalBase64(*res.Results[0].ReturnValueXDR, &out); err != nil {
		n.Fatal(err)
	}
	return out
}

func (n *node) supply() int64 {
	n.Helper()
	return host.BigI128(n.read("reward", "total_supply")).Int64()
}

func want[V comparable](n testing.TB, what string, got, expected V) {
	n.Helper()
	if got != expected {
		n.Errorf("%s: got %v, want %v", what, got, expected)
	}
}

// clock is a time that tests move.
type clock struct{ t time.Time }

func (c *clock) Now() time.Time { return c.t }

func hostString(s string) xdr.ScVal { return host.String(s) }

// resigned signs an envelope that a test has changed.
func (n *node) resigned(env xdr.TransactionEnvelope, kp *keypair.Full) string {
	n.Helper()
	h := must(network.HashTransactionInEnvelope(env, n.chain.Passphrase()))(n)
	env.V1.Signatures = []xdr.DecoratedSignature{must(kp.SignDecorated(h[:]))(n)}
	return must(xdr.MarshalBase64(env))(n)
}

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	t.Helper()
	return context.WithCancel(t.Context())
}
