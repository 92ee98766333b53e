package soroban_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// user is somebody with a wallet.
type user struct {
	*keypair.Full
	w *world
}

func (w *world) user() *user {
	w.Helper()
	kp, err := keypair.Random()
	if err != nil {
		w.Fatal(err)
	}
	if err := w.chain.Fund(kp.Address(), 100*xlm); err != nil {
		w.Fatal(err)
	}
	return &user{kp, w}
}

func (w *world) call(contract, function string, args ...xdr.ScVal) xdr.InvokeContractArgs {
	w.Helper()
	id, err := host.ParseAddress(w.chain.Contract(contract))
	if err != nil {
		w.Fatal(err)
	}
	return xdr.InvokeContractArgs{ContractAddress: id, FunctionName: xdr.ScSymbol(function), Args: args}
}

func (u *user) vote(proposal uint64) xdr.InvokeContractArgs {
	u.w.Helper()
	return u.w.call("votes", "cast", address(u.w, u.Address()), host.U64(proposal), host.Bool(true))
}

// rpc asks the chain directly.
func (w *world) rpc(t testing.TB, method string, params, result any) {
	t.Helper()
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "http://chain.test/", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := w.serve(req, body)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct{ Result any }{result}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
}

// sequence of the account, as of the latest ledger.
func (u *user) sequence() int64 {
	u.w.Helper()
	id := xdr.MustAddress(u.Address())
	key, err := xdr.MarshalBase64(xdr.LedgerKey{Type: xdr.LedgerEntryTypeAccount, Account: &xdr.LedgerKeyAccount{AccountId: id}})
	if err != nil {
		u.w.Fatal(err)
	}
	var res protocol.GetLedgerEntriesResponse
	u.w.rpc(u.w, "getLedgerEntries", protocol.GetLedgerEntriesRequest{Keys: []string{key}}, &res)
	var data xdr.LedgerEntryData
	if len(res.Entries) != 1 || xdr.SafeUnmarshalBase64(res.Entries[0].DataXDR, &data) != nil {
		u.w.Fatal("no account", u.Address())
	}
	return int64(data.Account.SeqNum)
}

// prepare makes a transaction of the user, simulated and assembled, not signed.
func (u *user) prepare(call xdr.InvokeContractArgs, shape ...func(*xdr.Transaction)) xdr.Transaction {
	u.w.Helper()
	tx := xdr.Transaction{
		SourceAccount: xdr.MustMuxedAddress(u.Address()), Fee: 10_000, SeqNum: xdr.SequenceNumber(u.sequence() + 1),
		Cond: xdr.Preconditions{Type: xdr.PreconditionTypePrecondTime, TimeBounds: &xdr.TimeBounds{
			MaxTime: xdr.TimePoint(time.Now().Add(time.Minute).Unix()), //nolint:gosec // after 1970
		}},
		Operations: []xdr.Operation{{Body: xdr.OperationBody{
			Type: xdr.OperationTypeInvokeHostFunction,
			InvokeHostFunctionOp: &xdr.InvokeHostFunctionOp{HostFunction: xdr.HostFunction{
				Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract, InvokeContract: &call,
			}},
		}}},
	}
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx}})
	if err != nil {
		u.w.Fatal(err)
	}
	var sim protocol.SimulateTransactionResponse
	u.w.rpc(u.w, "simulateTransaction", protocol.SimulateTransactionRequest{Transaction: encoded}, &sim)
	if sim.Error == "" {
		var data xdr.SorobanTransactionData
		if err := xdr.SafeUnmarshalBase64(sim.TransactionDataXDR, &data); err != nil {
			u.w.Fatal(err)
		}
		data.ResourceFee = xdr.Int64(sim.MinResourceFee)
		tx.Ext = xdr.TransactionExt{V: 1, SorobanData: &data}
		tx.Fee += xdr.Uint32(sim.MinResourceFee) //nolint:gosec // small
		for _, a := range *sim.Results[0].AuthXDR {
			var e xdr.SorobanAuthorizationEntry
			if err := xdr.SafeUnmarshalBase64(a, &e); err != nil {
				u.w.Fatal(err)
			}
			tx.Operations[0].Body.InvokeHostFunctionOp.Auth = append(tx.Operations[0].Body.InvokeHostFunctionOp.Auth, e)
		}
	} else {
		tx.Ext = xdr.TransactionExt{V: 1, SorobanData: &xdr.SorobanTransactionData{}}
	}
	for _, f := range shape {
		f(&tx)
	}
	return tx
}

// sign returns the envelope in base64, and the hash.
func (u *user) sign(tx xdr.Transaction, passphrase string) string {
	u.w.Helper()
	hash, err := network.HashTransaction(tx, passphrase)
	if err != nil {
		u.w.Fatal(err)
	}
	sig, err := u.SignDecorated(hash[:])
	if err != nil {
		u.w.Fatal(err)
	}
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{
		Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx, Signatures: []xdr.DecoratedSignature{sig}},
	})
	if err != nil {
		u.w.Fatal(err)
	}
	return encoded
}

func (u *user) signed(call xdr.InvokeContractArgs, shape ...func(*xdr.Transaction)) string {
	u.w.Helper()
	return u.sign(u.prepare(call, shape...), u.w.chain.Passphrase())
}

// entry is an authorization entry of the user; edit changes it before it is
// signed.
func (u *user) entry(call xdr.InvokeContractArgs, nonce int64, ledgers uint32, edit ...func(*xdr.SorobanAuthorizationEntry)) string {
	u.w.Helper()
	e := xdr.SorobanAuthorizationEntry{
		Credentials: xdr.SorobanCredentials{
			Type: xdr.SorobanCredentialsTypeSorobanCredentialsAddress,
			Address: &xdr.SorobanAddressCredentials{
				Address: *address(u.w, u.Address()).Address, Nonce: xdr.Int64(nonce),
				SignatureExpirationLedger: xdr.Uint32(u.w.chain.LatestLedger() + ledgers),
				Signature:                 xdr.ScVal{Type: xdr.ScValTypeScvVoid},
			},
		},
		RootInvocation: xdr.SorobanAuthorizedInvocation{Function: xdr.SorobanAuthorizedFunction{
			Type: xdr.SorobanAuthorizedFunctionTypeSorobanAuthorizedFunctionTypeContractFn, ContractFn: &call,
		}},
	}
	for _, f := range edit {
		f(&e)
	}
	if cred := e.Credentials.Address; cred != nil {
		cred.Signature = u.authorize(&e)
	}
	encoded, err := xdr.MarshalBase64(e)
	if err != nil {
		u.w.Fatal(err)
	}
	return encoded
}

// authorize signs an entry as a wallet does.
func (u *user) authorize(e *xdr.SorobanAuthorizationEntry) xdr.ScVal {
	cred := e.Credentials.Address
	pre := xdr.HashIdPreimage{
		Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorization,
		SorobanAuthorization: &xdr.HashIdPreimageSorobanAuthorization{
			NetworkId: network.ID(u.w.chain.Passphrase()), Nonce: cred.Nonce,
			SignatureExpirationLedger: cred.SignatureExpirationLedger, Invocation: e.RootInvocation,
		},
	}
	raw, err := pre.MarshalBinary()
	if err != nil {
		u.w.Fatal(err)
	}
	payload := sha256.Sum256(raw)
	sig, err := u.Sign(payload[:])
	if err != nil {
		u.w.Fatal(err)
	}
	public := xdr.MustAddress(u.Address()).Ed25519
	return host.Vec(host.Struct(
		host.Field{Name: "public_key", Val: host.Bytes(public[:])}, host.Field{Name: "signature", Val: host.Bytes(sig)},
	))
}

// submit sends an envelope past the relay.
func (w *world) submit(encoded string) {
	w.Helper()
	var res protocol.SendTransactionResponse
	w.rpc(w, "sendTransaction", protocol.SendTransactionRequest{Transaction: encoded}, &res)
	if res.Status != "PENDING" {
		w.Fatalf("%+v", res)
	}
}

// votes counts the votes on a proposal.
func (w *world) votes(proposal uint64) uint32 {
	w.Helper()
	u := &user{keypair.Master("reader").(*keypair.Full), w}
	call := w.call("votes", "tally", host.U64(proposal))
	tx := xdr.Transaction{
		SourceAccount: xdr.MustMuxedAddress(u.Address()),
		Operations: []xdr.Operation{{Body: xdr.OperationBody{
			Type: xdr.OperationTypeInvokeHostFunction,
			InvokeHostFunctionOp: &xdr.InvokeHostFunctionOp{HostFunction: xdr.HostFunction{
				Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract, InvokeContract: &call,
			}},
		}}},
	}
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx}})
	if err != nil {
		w.Fatal(err)
	}
	var sim protocol.SimulateTransactionResponse
	w.rpc(w, "simulateTransaction", protocol.SimulateTransactionRequest{Transaction: encoded}, &sim)
	var v xdr.ScVal
	if sim.Error != "" || xdr.SafeUnmarshalBase64(*sim.Results[0].ReturnValueXDR, &v) != nil {
		w.Fatal(sim.Error)
	}
	for _, f := range **v.Map {
		if *f.Key.Sym == "in_favor" {
			return uint32(*f.Val.U32)
		}
	}
	w.Fatal("no such field")
	return 0
}
