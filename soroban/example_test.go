package soroban_test

import (
	"context"
	"fmt"
	"net/http/httptest"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// A mint under an idempotency key, asked for twice.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	chain, err := devchain.Open(devchain.Config{LedgerInterval: 20_000_000}) // 20 ms
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { _ = chain.Run(ctx) }()
	server := httptest.NewServer(chain.Handler())
	defer server.Close()

	eng, err := mintOnce(ctx, chain, server.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 2 {
		out, err := eng(ctx, onceward.Key{Scope: "alice", Value: "order-17"})
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Printf("%s replayed=%v\n", out.Response.Body, out.Replayed)
	}
	// Output:
	// SUCCEEDED after 1 attempt(s) replayed=false
	// SUCCEEDED after 1 attempt(s) replayed=true
}

// mintOnce wires an Engine to a Submitter and returns the operation.
func mintOnce(ctx context.Context, chain *devchain.Chain, url string) (func(context.Context, onceward.Key) (onceward.Outcome, error), error) {
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, url)
	if err != nil {
		return nil, err
	}
	minter, err := soroban.NewSigner(devchain.DevAdminSeed)
	if err != nil {
		return nil, err
	}
	channels, err := soroban.DeriveChannels([]byte("a secret seed of 16 bytes or more"), 4)
	if err != nil {
		return nil, err
	}
	fund := func(_ context.Context, address string) error { return chain.Fund(address, 1000*xlm) }
	if err := soroban.EnsureChannels(ctx, rpc, channels, fund); err != nil {
		return nil, err
	}
	store := memstore.New()
	sub, err := soroban.New(soroban.Config{
		RPC: rpc, Passphrase: chain.Passphrase(), Store: store, Channels: channels,
		Signers:      map[string]soroban.Signer{"minter": minter},
		NonceSecret:  []byte("another secret, kept for ever"),
		PollInterval: 10_000_000, // 10 ms
		Render: func(r soroban.Result) onceward.Response {
			return onceward.Response{Body: fmt.Appendf(nil, "%s after %d attempt(s)", r.Status, r.Attempts)}
		},
	})
	if err != nil {
		return nil, err
	}
	eng, err := onceward.New(store, onceward.Config{})
	if err != nil {
		return nil, err
	}
	if err := eng.Register("mint", sub.Reconcile); err != nil {
		return nil, err
	}
	inv := soroban.Invocation{Contract: chain.Contract("reward"), Function: "mint", Signer: "minter"}
	return func(ctx context.Context, key onceward.Key) (onceward.Outcome, error) {
		return eng.Do(ctx, onceward.Request{Key: key, Kind: "mint", Policy: onceward.Reconcile},
			func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
				inv.Args = mintArgs(recipient, amount)
				return sub.Do(ctx, op, inv)
			})
	}, nil
}
