package soroban_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

const relayKind = "relay"

// gate is one process that relays, and the RPC as it sees it.
type gate struct {
	w     *world
	store *memstore.Store
	eng   *onceward.Engine
	sub   *soroban.Submitter
	relay *soroban.Relay
	rpc   *soroban.Client

	mute  atomic.Bool // loses what is sent
	sends atomic.Int64
	last  atomic.Value // the latest envelope that was sent, base64
}

func (w *world) gate(store *memstore.Store, tweaks ...func(*soroban.RelayPolicy)) *gate {
	w.Helper()
	return w.gateWith(store, nil, tweaks...)
}

// gateWith is gate with another configuration of the Submitter.
func (w *world) gateWith(store *memstore.Store, configs []tweak, tweaks ...func(*soroban.RelayPolicy)) *gate {
	w.Helper()
	g := &gate{w: w, store: store}
	var err error
	if g.rpc, err = soroban.NewClient(soroban.ClientConfig{HTTP: g}, "http://chain.test/"); err != nil {
		w.Fatal(err)
	}
	payer, err := soroban.NewSigner(keypair.Master("the payer of " + w.chain.Passphrase()).(*keypair.Full).Seed())
	if err != nil {
		w.Fatal(err)
	}
	if err := w.chain.Fund(payer.Address(), 1000*xlm); err != nil {
		w.Fatal(err)
	}
	admin, err := soroban.NewSigner(devchain.DevAdminSeed)
	if err != nil {
		w.Fatal(err)
	}
	cfg := soroban.Config{
		RPC: g.rpc, Passphrase: w.chain.Passphrase(), Store: store, Channels: w.channels,
		Signers: map[string]soroban.Signer{"payer": payer, "minter": admin}, NonceSecret: []byte("a secret of at least 16"),
		Render: render, LedgerWindow: 8,
	}
	for _, f := range configs {
		f(&cfg)
	}
	if g.sub, err = soroban.New(cfg); err != nil {
		w.Fatal(err)
	}
	policy := soroban.RelayPolicy{Allow: []soroban.Allowed{{Contract: w.chain.Contract("votes"), Function: "cast"}}}
	for _, f := range tweaks {
		f(&policy)
	}
	if g.relay, err = g.sub.NewRelay(policy); err != nil {
		w.Fatal(err)
	}
	if g.eng, err = onceward.New(store, onceward.Config{}); err != nil {
		w.Fatal(err)
	}
	if err := g.eng.Register(relayKind, g.relay.Reconcile); err != nil {
		w.Fatal(err)
	}
	return g
}

// RoundTrip answers from the chain and holds what is sent against the store.
func (g *gate) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	var call struct {
		Method string                          `json:"method"`
		Params protocol.SendTransactionRequest `json:"params"`
	}
	if err := json.Unmarshal(body, &call); err != nil {
		return nil, err
	}
	if call.Method == "sendTransaction" {
		g.sends.Add(1)
		g.last.Store(call.Params.Transaction)
		g.mustBeStored(call.Params.Transaction)
		if g.mute.Load() {
			return nil, errors.New("connection cut")
		}
	}
	return g.w.serve(req, body)
}

// mustBeStored is invariant 2: no bytes are sent that are not stored.
func (g *gate) mustBeStored(encoded string) {
	page, err := g.store.List(context.WithoutCancel(g.w.Context()), onceward.ListRequest{Now: time.Now(), Limit: 100})
	if err != nil {
		g.w.Error(err)
		return
	}
	for _, row := range page.Records {
		rec, err := g.store.Get(context.WithoutCancel(g.w.Context()), onceward.GetRequest{Key: row.Key, Now: time.Now()})
		if err != nil {
			continue
		}
		attempt := false
		held := false
		for _, c := range rec.Checkpoints {
			attempt = attempt || c.Name == "attempt/1"
			held = held || bytes.Contains(c.Data, []byte(encoded))
		}
		if attempt && held {
			return
		}
	}
	g.w.Errorf("invariant 2: sent and not stored: %.60s…", encoded)
}

func (g *gate) do(key string, x *soroban.Relayed) (onceward.Outcome, error) {
	return g.eng.Do(g.w.Context(), onceward.Request{
		Key: onceward.Key{Scope: "alice", Value: key}, Kind: relayKind, Policy: onceward.Reconcile, Fingerprint: []byte("f"),
	}, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		return g.relay.Do(ctx, op, x)
	})
}

func (g *gate) trail(key string) soroban.Trail {
	g.w.Helper()
	rec, err := g.store.Get(g.w.Context(), onceward.GetRequest{Key: onceward.Key{Scope: "alice", Value: key}, Now: time.Now()})
	if err != nil {
		g.w.Fatal(err)
	}
	t, err := soroban.ReadTrail(rec)
	if err != nil {
		g.w.Fatal(err)
	}
	return t
}

func (g *gate) released(key string) bool {
	_, err := g.store.Get(g.w.Context(), onceward.GetRequest{Key: onceward.Key{Scope: "alice", Value: key}, Now: time.Now()})
	return errors.Is(err, onceward.ErrNotFound)
}
