package soroban_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

const (
	xlm       = 10_000_000
	kind      = "mint"
	amount    = 250
	recipient = "GAAZI4TCR3TY5OJHCTJC2A4QSY6CJWJH5IAJTGKIN2ER7LBNVKOCCWN7"
)

// world is a chain that closes a ledger every second of fake time, and what
// has been seen of everybody who sends to it.
type world struct {
	*testing.T
	chain    *devchain.Chain
	channels []soroban.Signer

	mu     sync.Mutex
	stores []*memstore.Store
	sent   map[string]sentTx // by the transaction's hash
	// envelopes that were sent, by the hash of the transaction inside
	envelopes map[string][][]byte
	slots     map[string]map[string]bool // channel and sequence → hashes
	sendCount int
}

type sentTx struct {
	seq int64
	max uint32
}

// inWorld runs test in a bubble of fake time.
func inWorld(t *testing.T, channels int, test func(w *world)) {
	t.Helper()
	inWorldOf(t, devchain.Config{}, channels, test)
}

func inWorldOf(t *testing.T, cfg devchain.Config, channels int, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		chain, err := devchain.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, chain: chain, sent: map[string]sentTx{}, envelopes: map[string][][]byte{}, slots: map[string]map[string]bool{}}
		if w.channels, err = soroban.DeriveChannels([]byte("0123456789abcdef"), channels); err != nil {
			t.Fatal(err)
		}
		for _, c := range w.channels {
			if err := chain.Fund(c.Address(), 1000*xlm); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = chain.Run(ctx) }()
		test(w)
		cancel()
		<-done
		_ = chain.Close()
		synctest.Wait()
	})
}

// pass lets fake time go by.
func (w *world) pass(d time.Duration) { <-time.After(max(d, 1)) }

// process is one Engine and Submitter. It can die at any call that leaves it:
// from then on none of its calls has an effect.
type process struct {
	w     *world
	store *memstore.Store
	eng   *onceward.Engine
	sub   *soroban.Submitter

	mu      sync.Mutex
	calls   int
	dieAt   int  // the call to die at, counted from 1; 0 is never
	after   bool // its effect still happens
	dead    bool
	trail   []string
	reply   func(method string, body []byte) []byte // changes answers, if set
	storeFn func(name string) error                 // before a store call, if set
	bodies  map[string][]byte                       // the latest answer of each method
	// swapSimulation lets the server simulate, and ask to sign, a larger mint.
	swapSimulation bool
	// mute loses every envelope that is sent.
	mute atomic.Bool
}

// tweak changes a configuration.
type tweak func(*soroban.Config)

func (w *world) store() *memstore.Store {
	s := memstore.New()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stores = append(w.stores, s)
	return s
}

func (w *world) process(store *memstore.Store, tweaks ...tweak) *process {
	w.Helper()
	p := &process{w: w, store: store, bodies: map[string][]byte{}}
	admin, err := soroban.NewSigner(devchain.DevAdminSeed)
	if err != nil {
		w.Fatal(err)
	}
	rpc, err := soroban.NewClient(soroban.ClientConfig{HTTP: p}, "http://chain.test/")
	if err != nil {
		w.Fatal(err)
	}
	cfg := soroban.Config{
		RPC: rpc, Passphrase: w.chain.Passphrase(), Store: &mortalStore{store, p}, Channels: w.channels,
		Signers: map[string]soroban.Signer{"minter": admin}, NonceSecret: []byte("a secret of at least 16"),
		Render: render, LedgerWindow: 8,
	}
	for _, f := range tweaks {
		f(&cfg)
	}
	if p.sub, err = soroban.New(cfg); err != nil {
		w.Fatal(err)
	}
	if p.eng, err = onceward.New(&mortalStore{store, p}, onceward.Config{}); err != nil {
		w.Fatal(err)
	}
	if err := p.eng.Register(kind, p.sub.Reconcile); err != nil {
		w.Fatal(err)
	}
	return p
}

func render(r soroban.Result) onceward.Response {
	value, err := xdr.MarshalBase64(r.Value)
	if err != nil {
		value = err.Error()
	}
	status := http.StatusOK
	if r.Status != soroban.Succeeded {
		status = http.StatusUnprocessableEntity
	}
	return onceward.Response{Status: status, Body: fmt.Appendf(nil, "%s %s %d %s", r.Status, r.TxHash, r.Ledger, value)}
}

var errDead = errors.New("the process is dead")

// leave counts a call; run is its effect.
func (p *process) leave(name string, run func() error) error {
	p.mu.Lock()
	if p.dead {
		p.mu.Unlock()
		return errDead
	}
	p.calls++
	p.trail = append(p.trail, name)
	dies := p.calls == p.dieAt
	p.dead = dies
	p.mu.Unlock()
	if dies && !p.after {
		return errDead
	}
	err := run()
	if dies {
		return errDead
	}
	return err
}

// RoundTrip answers from the chain, without a network.
// made lists the calls that left the process so far.
func (p *process) made() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.trail)
}

func (p *process) RoundTrip(req *http.Request) (resp *http.Response, err error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var call struct {
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, err
	}
	err = p.leave(call.Method, func() error {
		if call.Method == "sendTransaction" {
			p.w.spy(call.Params)
		}
		if call.Method == "simulateTransaction" && p.swapSimulation {
			body = swapped(body)
		}
		if p.mute.Load() && call.Method == "sendTransaction" {
			return errors.New("connection cut")
		}
		if resp, err = p.w.serve(req, body); err != nil { //nolint:bodyclose // handed on below
			return err
		}
		raw, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		p.mu.Lock()
		p.bodies[call.Method] = raw
		reply := p.reply
		p.mu.Unlock()
		if reply != nil {
			raw = reply(call.Method, raw)
		}
		resp.Body = io.NopCloser(bytes.NewReader(raw))
		return nil
	})
	if err != nil {
		return nil, err
	}
	return resp, nil
}

func (w *world) serve(req *http.Request, body []byte) (resp *http.Response, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errors.New("connection cut")
		}
	}()
	rec := httptest.NewRecorder()
	req = req.Clone(req.Context())
	req.Body = io.NopCloser(bytes.NewReader(body))
	w.chain.Handler().ServeHTTP(rec, req)
	if err := req.Context().Err(); err != nil {
		return nil, err
	}
	return rec.Result(), nil
}

// mint asks for one mint under key and returns the whole answer.
func (p *process) mint(key string) (onceward.Outcome, error) {
	return p.do(key, p.w.invocation("reward", "mint", address(p.w, recipient), i128(amount)))
}

func (p *process) do(key string, inv soroban.Invocation) (onceward.Outcome, error) {
	return p.eng.Do(p.w.Context(), onceward.Request{
		Key: onceward.Key{Scope: "alice", Value: key}, Kind: kind, Policy: onceward.Reconcile, Fingerprint: []byte("f"),
	}, p.handler(inv))
}

func (p *process) handler(inv soroban.Invocation) onceward.Handler {
	return func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		return p.sub.Do(ctx, op, inv)
	}
}

func (w *world) invocation(contract, function string, args ...xdr.ScVal) soroban.Invocation {
	return soroban.Invocation{Contract: w.chain.Contract(contract), Function: function, Args: args, Signer: "minter"}
}

func (p *process) must(key string) string {
	p.w.Helper()
	out, err := p.mint(key)
	if err != nil {
		p.w.Fatalf("minting under %q: %v", key, err)
	}
	return string(out.Response.Body)
}

func (p *process) record(key string) onceward.Record {
	p.w.Helper()
	rec, err := p.store.Get(p.w.Context(), onceward.GetRequest{Key: onceward.Key{Scope: "alice", Value: key}, Now: time.Now()})
	if err != nil {
		p.w.Fatal(err)
	}
	return rec
}

func (p *process) trailOf(key string) soroban.Trail {
	p.w.Helper()
	t, err := soroban.ReadTrail(p.record(key))
	if err != nil {
		p.w.Fatal(err)
	}
	return t
}

func address(t testing.TB, s string) xdr.ScVal {
	t.Helper()
	a, err := host.ParseAddress(s)
	if err != nil {
		t.Fatal(err)
	}
	return host.Address(a)
}

func i128(n int64) xdr.ScVal {
	v, _ := host.I128(big.NewInt(n))
	return v
}

// supply is what the reward contract says was ever minted.
func (w *world) supply() int64 {
	w.Helper()
	p := &process{w: w, bodies: map[string][]byte{}}
	rpc, err := soroban.NewClient(soroban.ClientConfig{HTTP: p}, "http://chain.test/")
	if err != nil {
		w.Fatal(err)
	}
	source := xdr.MustMuxedAddress(w.channels[0].Address())
	id, err := host.ParseAddress(w.chain.Contract("reward"))
	if err != nil {
		w.Fatal(err)
	}
	env, err := xdr.MarshalBase64(xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{
		Tx: xdr.Transaction{SourceAccount: source, Operations: []xdr.Operation{{Body: xdr.OperationBody{
			Type: xdr.OperationTypeInvokeHostFunction,
			InvokeHostFunctionOp: &xdr.InvokeHostFunctionOp{HostFunction: xdr.HostFunction{
				Type:           xdr.HostFunctionTypeHostFunctionTypeInvokeContract,
				InvokeContract: &xdr.InvokeContractArgs{ContractAddress: id, FunctionName: "total_supply"},
			}},
		}}}},
	}})
	if err != nil {
		w.Fatal(err)
	}
	res, err := rpc.SimulateTransaction(w.Context(), protocol.SimulateTransactionRequest{Transaction: env})
	if err != nil || res.Error != "" {
		w.Fatal(err, res.Error)
	}
	var out xdr.ScVal
	if err := xdr.SafeUnmarshalBase64(*res.Results[0].ReturnValueXDR, &out); err != nil {
		w.Fatal(err)
	}
	return host.BigI128(out).Int64()
}

func want[V comparable](t testing.TB, what string, got, expected V) {
	t.Helper()
	if got != expected {
		t.Errorf("%s: got %v, want %v", what, got, expected)
	}
}

// wantUnavailable wants an error that says, with this word, why it cannot be done now.
func wantUnavailable(t testing.TB, err error, word string) {
	t.Helper()
	if e, ok := errors.AsType[*soroban.UnavailableError](err); !ok || !strings.Contains(e.Reason, word) {
		t.Errorf("got %v, want an UnavailableError with %q", err, word)
	}
}

func mintArgs(to string, n int64) []xdr.ScVal {
	id, err := host.ParseAddress(to)
	if err != nil {
		return nil
	}
	return []xdr.ScVal{host.Address(id), i128(n)}
}

// unspied reaches the chain without being held against the stores.
type unspied struct{ w *world }

func (u unspied) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	return u.w.serve(req, body)
}
