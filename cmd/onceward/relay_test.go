package main_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"

	"github.com/stellar/go-stellar-sdk/clients/rpcclient"
	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
)

// wallet is a user who signs for themselves, with the official SDK.
type wallet struct {
	*keypair.Full
	t   testing.TB
	rpc *rpcclient.Client
}

func newWallet(t testing.TB, s *server) *wallet {
	t.Helper()
	w := &wallet{keypair.MustRandom(), t, rpcclient.NewClient(s.rpc, nil)}
	t.Cleanup(func() { _ = w.rpc.Close() })
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.rpc+"/friendbot?addr="+w.Address(), http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusOK {
		t.Fatal(res.Status, err)
	}
	return w
}

// vote prepares the call votes.cast(self, proposal, true): a transaction and
// the authorization that the simulation recorded.
func (w *wallet) vote(proposal xdr.Uint64, source string, seq int64) (*txnbuild.Transaction, xdr.SorobanAuthorizationEntry) {
	w.t.Helper()
	contract := xdr.ContractId(strkey.MustDecode(strkey.VersionByteContract, devchain.ContractID(devchain.DefaultPassphrase, "votes")))
	self := xdr.MustAddress(w.Address())
	op := &txnbuild.InvokeHostFunction{HostFunction: xdr.HostFunction{
		Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract,
		InvokeContract: &xdr.InvokeContractArgs{
			ContractAddress: xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &contract},
			FunctionName:    "cast",
			Args: []xdr.ScVal{
				{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &self}},
				{Type: xdr.ScValTypeScvU64, U64: &proposal},
				{Type: xdr.ScValTypeScvBool, B: new(true)},
			},
		},
	}}
	build := func(fee int64) *txnbuild.Transaction {
		tx, err := txnbuild.NewTransaction(txnbuild.TransactionParams{
			SourceAccount: &txnbuild.SimpleAccount{AccountID: source, Sequence: seq}, IncrementSequenceNum: true,
			BaseFee: fee, Preconditions: txnbuild.Preconditions{TimeBounds: txnbuild.NewTimeout(300)},
			Operations: []txnbuild.Operation{op},
		})
		if err != nil {
			w.t.Fatal(err)
		}
		return tx
	}
	encoded, err := build(1000).Base64()
	if err != nil {
		w.t.Fatal(err)
	}
	sim, err := w.rpc.SimulateTransaction(w.t.Context(), protocol.SimulateTransactionRequest{Transaction: encoded})
	if err != nil || sim.Error != "" {
		w.t.Fatal(err, sim.Error)
	}
	var data xdr.SorobanTransactionData
	var auth xdr.SorobanAuthorizationEntry
	if err := errors.Join(xdr.SafeUnmarshalBase64(sim.TransactionDataXDR, &data),
		xdr.SafeUnmarshalBase64((*sim.Results[0].AuthXDR)[0], &auth)); err != nil {
		w.t.Fatal(err)
	}
	data.ResourceFee = xdr.Int64(sim.MinResourceFee)
	op.Ext, op.Auth = xdr.TransactionExt{V: 1, SorobanData: &data}, []xdr.SorobanAuthorizationEntry{auth}
	return build(1000 + sim.MinResourceFee), auth
}

// transaction is the JSON body with a signed vote.
func (w *wallet) transaction(proposal xdr.Uint64) string {
	w.t.Helper()
	account, err := w.rpc.LoadAccount(w.t.Context(), w.Address())
	if err != nil {
		w.t.Fatal(err)
	}
	seq, err := account.GetSequenceNumber()
	if err != nil {
		w.t.Fatal(err)
	}
	tx, _ := w.vote(proposal, w.Address(), seq)
	if tx, err = tx.Sign(devchain.DefaultPassphrase, w.Full); err != nil {
		w.t.Fatal(err)
	}
	encoded, err := tx.Base64()
	if err != nil {
		w.t.Fatal(err)
	}
	return jsonBody(w.t, map[string]string{"xdr": encoded})
}

// authorization is the JSON body with a signed authorization of a vote.
func (w *wallet) authorization(proposal xdr.Uint64) string {
	w.t.Helper()
	// Simulated with another source, so that the vote asks for a signature.
	_, entry := w.vote(proposal, account("anybody"), 0)
	cred := entry.Credentials.Address
	if cred == nil {
		w.t.Fatalf("recorded %v", entry.Credentials.Type)
	}
	latest, err := w.rpc.GetLatestLedger(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	cred.SignatureExpirationLedger = xdr.Uint32(latest.Sequence + 300)
	raw, err := xdr.HashIdPreimage{
		Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorization,
		SorobanAuthorization: &xdr.HashIdPreimageSorobanAuthorization{
			NetworkId: network.ID(devchain.DefaultPassphrase), Nonce: cred.Nonce,
			SignatureExpirationLedger: cred.SignatureExpirationLedger, Invocation: entry.RootInvocation,
		},
	}.MarshalBinary()
	if err != nil {
		w.t.Fatal(err)
	}
	payload := sha256.Sum256(raw)
	sig, err := w.Sign(payload[:])
	if err != nil {
		w.t.Fatal(err)
	}
	public := xdr.MustAddress(w.Address()).Ed25519
	field := func(name string, b []byte) xdr.ScMapEntry {
		return xdr.ScMapEntry{
			Key: xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: new(xdr.ScSymbol(name))},
			Val: xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: new(xdr.ScBytes(b))},
		}
	}
	m := &xdr.ScMap{field("public_key", public[:]), field("signature", sig)}
	list := &xdr.ScVec{{Type: xdr.ScValTypeScvMap, Map: &m}}
	cred.Signature = xdr.ScVal{Type: xdr.ScValTypeScvVec, Vec: &list}
	encoded, err := xdr.MarshalBase64(entry)
	if err != nil {
		w.t.Fatal(err)
	}
	return jsonBody(w.t, map[string]string{"authorization": encoded})
}

func jsonBody(t testing.TB, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// TestRelay casts votes that a user's wallet has signed: as a transaction and
// as an authorization, each once, under any number of keys.
func TestRelay(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	w := newWallet(t, s)
	for i, body := range []string{w.transaction(1), w.authorization(2)} {
		first := s.post("/v1/transactions", "k"+string(rune('0'+i)), body)
		if first.status != http.StatusOK || first.field(t, "status") != "SUCCEEDED" {
			t.Fatalf("%d %s", first.status, first.body)
		}
		for _, key := range []string{"k" + string(rune('0'+i)), "another" + string(rune('0'+i))} {
			again := s.post("/v1/transactions", key, body)
			if again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s: %d %s", key, again.status, again.body)
			}
		}
		if id, _ := first.field(t, "operation_id").(string); s.get("/v1/operations/"+id).field(t, "status") != "SUCCEEDED" {
			t.Error("the operation is not shown")
		}
	}
	for _, tc := range []struct {
		body, code string
		status     int
	}{
		{`{"xdr":"AAAA"}`, "relay-malformed", http.StatusBadRequest},
		{`{"xdr":1}`, "invalid-request", http.StatusBadRequest},
		{`{"xdr":"AAAA","authorization":"AAAA"}`, "invalid-request", http.StatusBadRequest},
		{`{"secret":"AAAA"}`, "invalid-request", http.StatusBadRequest},
		{`{}`, "invalid-request", http.StatusBadRequest},
	} {
		if a := s.post("/v1/transactions", "bad", tc.body); a.status != tc.status || a.field(t, "code") != tc.code {
			t.Errorf("%s: %d %s", tc.body, a.status, a.body)
		}
	}
}

// TestCrashRelay kills the process while a user's transaction is on its way:
// it is finished without the user.
func TestCrashRelay(t *testing.T) {
	t.Parallel()
	s := startDev(t, "--ledger-interval=1s", "--lease=1s")
	body := newWallet(t, s).transaction(1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var lost sync.WaitGroup
	lost.Go(func() { _, _ = s.call(ctx, http.MethodPost, "/v1/transactions", body, "Idempotency-Key", `"k"`) })
	row := func() map[string]any {
		var page struct {
			Keys []map[string]any `json:"keys"`
		}
		a, err := s.callAdmin("/keys?kind=relay")
		if err != nil || json.Unmarshal([]byte(a.body), &page) != nil {
			return nil
		}
		for _, row := range page.Keys { // the client's key is a row of its own
			if row["policy"] == "reconcile" {
				return row
			}
		}
		return nil
	}
	eventually(t, "the transaction is stored", func() bool {
		id, _ := row()["operation_id"].(string)
		if id == "" {
			return false
		}
		attempts, _ := s.get("/v1/operations/"+id).field(t, "attempts").([]any)
		return len(attempts) > 0
	})
	s.kill()
	lost.Wait()
	s.start()
	eventually(t, "it is finished", func() bool { return row()["status"] == "COMPLETED" })
	if a := s.post("/v1/transactions", "k", body); a.status != http.StatusOK || a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// callAdmin reads a page of the operator's.
func (s *server) callAdmin(path string) (answer, error) {
	admin := &server{api: s.admin}
	return admin.call(s.t.Context(), http.MethodGet, path, "")
}
