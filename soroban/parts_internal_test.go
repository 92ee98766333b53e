package soroban

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Different keys, secrets and positions never meet, however they are cut.
func TestNonces(t *testing.T) {
	t.Parallel()
	seen := map[int64]string{}
	for _, secret := range []string{"secret one", "secret two"} {
		for _, key := range []onceward.Key{
			{Scope: "a", Value: "bc"},
			{Scope: "ab", Value: "c"},
			{Value: "abc"},
			{Scope: "abc", Value: "\x00"},
			{Scope: "other", Value: "bc"},
			{Scope: "a", Value: "bc\x00\x00\x00\x00"},
		} {
			for i := range 2 {
				name := fmt.Sprint(secret, key, i)
				n := noncesFor([]byte(secret), key)(i)
				if n < 0 {
					t.Errorf("%s: %d does not fit 63 bits", name, n)
				}
				if other := seen[n]; other != "" {
					t.Errorf("%s and %s have one nonce", name, other)
				}
				seen[n] = name
			}
		}
	}
	// The derivation is for ever: another value would be another operation.
	if n := noncesFor([]byte("secret"), onceward.Key{Scope: "s", Value: "v"})(0); n != pinnedNonce {
		t.Errorf("the derivation has changed: %d", n)
	}
}

const pinnedNonce = 3426302027056318632

// batchRPC answers getLedgerEntries once it is let go.
type batchRPC struct {
	Ledgers
	mu    sync.Mutex
	calls []int
	gate  chan struct{}
}

func (b *batchRPC) GetLedgerEntries(_ context.Context, req protocol.GetLedgerEntriesRequest) (protocol.GetLedgerEntriesResponse, error) {
	<-b.gate
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, len(req.Keys))
	res := protocol.GetLedgerEntriesResponse{LatestLedger: uint32(len(b.calls))} //nolint:gosec // small
	for _, k := range req.Keys {
		res.Entries = append(res.Entries, protocol.LedgerEntryResult{KeyXDR: k})
	}
	return res, nil
}

// Questions that wait share a call, none is split over two, and no call asks
// for more than 200 keys.
func TestReaderBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		rpc := &batchRPC{gate: make(chan struct{})}
		r := &reader{rpc: rpc, timeout: time.Minute}
		var wg sync.WaitGroup
		ask := func(i int) {
			keys := []string{fmt.Sprint("account", i), fmt.Sprint("nonce", i)}
			got, ledger, err := r.read(t.Context(), keys...)
			if err != nil || len(got) < 2 || got[keys[0]] == nil || got[keys[1]] == nil || ledger == 0 {
				t.Errorf("%d: %v, %v", i, got, err)
			}
		}
		wg.Go(func() { ask(0) })
		synctest.Wait() // its call is on the way, alone
		for i := range 300 {
			wg.Go(func() { ask(1 + i) })
		}
		synctest.Wait() // and now all the others wait
		close(rpc.gate)
		wg.Wait()
		if want := []int{2, 200, 200, 200}; !slices.Equal(rpc.calls, want) {
			t.Errorf("calls of %v keys, want %v", rpc.calls, want)
		}
	})
}

type entryRPC struct {
	Ledgers
	entries []protocol.LedgerEntryResult
}

func (e entryRPC) GetLedgerEntries(context.Context, protocol.GetLedgerEntriesRequest) (protocol.GetLedgerEntriesResponse, error) {
	return protocol.GetLedgerEntriesResponse{LatestLedger: 100, Entries: e.entries}, nil
}

// A nonce entry that has ended does not exist, even if the server hands it out.
func TestLookIgnoresEndedNonce(t *testing.T) {
	t.Parallel()
	for until, exists := range map[uint32]bool{99: false, 100: true, 101: true} {
		s := &Submitter{reader: &reader{timeout: time.Minute, rpc: entryRPC{entries: []protocol.LedgerEntryResult{
			{KeyXDR: "nonce", LastModifiedLedger: 7, LiveUntilLedgerSeq: &until},
		}}}}
		v, err := s.look(t.Context(), "account", "nonce")
		if err != nil || v.nonce != exists || v.ledger != 100 || v.account {
			t.Errorf("until %d: %+v, %v", until, v, err)
		}
	}
	s := &Submitter{reader: &reader{timeout: time.Minute, rpc: entryRPC{entries: []protocol.LedgerEntryResult{
		{KeyXDR: "account", DataXDR: "AAAA"},
	}}}}
	if _, err := s.look(t.Context(), "account", ""); err == nil {
		t.Error("a damaged account entry is accepted")
	}
}

// A stored envelope that is not what its checkpoint says is not touched.
func TestDamagedAttempt(t *testing.T) {
	t.Parallel()
	id := xdr.ContractId{1}
	tx := xdr.Transaction{
		SourceAccount: xdr.MustMuxedAddress(keypair.Root("p").Address()), SeqNum: 7,
		Operations: []xdr.Operation{{Body: xdr.OperationBody{
			Type: xdr.OperationTypeInvokeHostFunction,
			InvokeHostFunctionOp: &xdr.InvokeHostFunctionOp{HostFunction: xdr.HostFunction{
				Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract,
				InvokeContract: &xdr.InvokeContractArgs{
					ContractAddress: xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &id}, FunctionName: "f",
				},
			}},
		}}},
	}
	raw, err := xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx}}.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	hash, err := network.HashTransaction(tx, "p")
	if err != nil {
		t.Fatal(err)
	}
	id32 := network.ID("p")
	good := Attempt{
		Number: 1, Envelope: raw, Hash: hex.EncodeToString(hash[:]), Sequence: 7, MaxLedger: 9, Network: hex.EncodeToString(id32[:]),
	}
	if _, err := good.transaction("p"); err != nil {
		t.Fatal(err)
	}
	if _, err := good.transaction("q"); !errors.Is(err, ErrWrongNetwork) {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Attempt){
		"envelope": func(a *Attempt) { a.Envelope = raw[:9] },
		"hash":     func(a *Attempt) { a.Hash = a.Network },
		"sequence": func(a *Attempt) { a.Sequence++ },
		"ledger":   func(a *Attempt) { a.MaxLedger = 0 },
	} {
		a := good
		spoil(&a)
		if _, err := a.transaction("p"); err == nil {
			t.Errorf("a damaged %s is accepted", name)
		}
	}
}

type wrongSigner struct{ Signer }

func (wrongSigner) Sign(context.Context, [32]byte) ([]byte, error) { return make([]byte, 64), nil }

func TestSignatureIsChecked(t *testing.T) {
	t.Parallel()
	s := keySigner{keypair.Root("p")}
	if _, err := signed(t.Context(), s, [32]byte{1}); err != nil {
		t.Error(err)
	}
	if _, err := signed(t.Context(), wrongSigner{s}, [32]byte{1}); err == nil {
		t.Error("a signature of nobody is accepted")
	}
}

func contractEvent(topic string, e xdr.ScError) string {
	sym := xdr.ScSymbol(topic)
	s, _ := xdr.MarshalBase64(xdr.DiagnosticEvent{Event: xdr.ContractEvent{
		Type: xdr.ContractEventTypeDiagnostic,
		Body: xdr.ContractEventBody{V0: &xdr.ContractEventV0{
			Topics: []xdr.ScVal{
				{Type: xdr.ScValTypeScvSymbol, Sym: &sym},
				{Type: xdr.ScValTypeScvError, Error: &e},
			},
			Data: xdr.ScVal{Type: xdr.ScValTypeScvVoid},
		}},
	}})
	return s
}

func TestRejection(t *testing.T) {
	t.Parallel()
	seven, eight := xdr.Uint32(7), xdr.Uint32(8)
	trap := xdr.ScErrorCodeScecInvalidAction
	events := []string{
		"not XDR",
		contractEvent("error", xdr.ScError{Type: xdr.ScErrorTypeSceContract, ContractCode: &seven}),
		contractEvent("error", xdr.ScError{Type: xdr.ScErrorTypeSceContract, ContractCode: &eight}),
		contractEvent("error", xdr.ScError{Type: xdr.ScErrorTypeSceWasmVm, Code: &trap}),
		contractEvent("log", xdr.ScError{Type: xdr.ScErrorTypeSceContract, ContractCode: &seven}),
	}
	for _, c := range []struct {
		text    string
		events  []string
		code    uint32
		hasCode bool
	}{
		{"HostError: Error(Contract, #3)\n\nEvent log (newest first):\n Error(Contract, #4)", events, 3, true},
		{"host invocation failed\n\nCaused by:\n    HostError: Error(Contract, #0)", nil, 0, true},
		{"HostError: Error(WasmVm, InvalidAction)", events, 8, true},
		{"HostError: Error(Auth, ExistingValue)", nil, 0, false},
		{"Error(Contract, #99999999999)", nil, 0, false},
		{"Error(Contract, #4294967296)", nil, 0, false},
		{"anything", nil, 0, false},
	} {
		got := rejection(&protocol.SimulateTransactionResponse{Error: c.text, EventsXDR: c.events})
		if got.Code != c.code || got.HasCode != c.hasCode || got.Message != c.text {
			t.Errorf("%q: %+v", c.text, got)
		}
	}
	if got := snake("InvokeHostFunctionResultCodeInvokeHostFunctionResourceLimitExceeded",
		"InvokeHostFunctionResultCodeInvokeHostFunction"); got != "resource_limit_exceeded" {
		t.Error(got)
	}
}
