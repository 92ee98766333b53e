package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// gatewayOn serves one mint route with limits, on a chain of its own.
func gatewayOn(t *testing.T, limits ...gateway.Limit) *httptest.Server {
	t.Helper()
	srv, _ := gatewayWith(t, memstore.New(), onceward.Config{}, slog.New(slog.DiscardHandler), limits...)
	return srv
}

// gatewayWith serves it with a store of the caller's.
func gatewayWith(
	t *testing.T, store onceward.Store, cfg onceward.Config, log *slog.Logger, limits ...gateway.Limit,
) (*httptest.Server, *onceward.Engine) {
	t.Helper()
	chain, err := devchain.Open(devchain.Config{LedgerInterval: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); _ = chain.Run(ctx) }()
	rpcServer := httptest.NewServer(chain.Handler())
	t.Cleanup(func() { cancel(); <-done; rpcServer.Close(); _ = chain.Close() })
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, rpcServer.URL)
	if err != nil {
		t.Fatal(err)
	}
	channels, err := soroban.DeriveChannels(make([]byte, 32), 2)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range channels {
		if err := chain.Fund(c.Address(), 1_000_0000000); err != nil {
			t.Fatal(err)
		}
	}
	minter, err := soroban.NewSigner(devchain.DevAdminSeed)
	if err != nil {
		t.Fatal(err)
	}
	routes := []gateway.Route{{
		Pattern: "POST /v1/rewards", Kind: "rewards", Contract: chain.Contract("reward"), Function: "mint",
		Args: map[string]*expr.Program{"to": compiled(t, "body.to"), "amount": compiled(t, "body.amount")}, Signer: "minter",
		Limits: limits, SyncTimeout: time.Minute, Options: oncehttp.Options{MaxBodyBytes: 64 << 10},
	}}
	contracts, err := gateway.LoadContracts(t.Context(), rpc, routes, nil)
	if err != nil {
		t.Fatal(err)
	}
	sub, err := soroban.New(soroban.Config{
		RPC: rpc, Passphrase: chain.Passphrase(), Store: store, Channels: channels, PollInterval: 20 * time.Millisecond,
		Signers: map[string]soroban.Signer{"minter": minter}, NonceSecret: make([]byte, 32), Render: contracts.Render,
	})
	if err != nil {
		t.Fatal(err)
	}
	eng, err := onceward.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Register("rewards", sub.Reconcile); err != nil {
		t.Fatal(err)
	}
	g, err := gateway.New(gateway.Config{
		Engine: eng, Contracts: contracts, Submitter: sub, Routes: routes, Authenticate: gateway.Bearer,
		Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(g)
	t.Cleanup(srv.Close)
	return srv, eng
}

// compiled is an expression over the body.
func compiled(t *testing.T, source string) *expr.Program {
	t.Helper()
	p, err := expr.Compile(source, expr.JSON, expr.VarBody)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func post(t *testing.T, srv *httptest.Server, key string, amount int) (int, string, http.Header) {
	t.Helper()
	body := fmt.Sprintf(`{"to":%q,"amount":"%d"}`, keypair.Master("somebody").Address(), amount)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/v1/rewards", bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	out, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(out), res.Header
}

func budget(t *testing.T, limit int64) *soroban.Budget {
	t.Helper()
	b, err := soroban.NewBudget(soroban.BudgetConfig{Name: "b", Limit: big.NewInt(limit), Window: 1000 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The sum of an argument and the number of calls are bounded; a replay and a
// refusal by the contract count for nothing.
func TestRouteLimits(t *testing.T) {
	t.Parallel()
	srv := gatewayOn(t, gateway.Limit{Param: "amount", Budget: budget(t, 100)}, gateway.Limit{Budget: budget(t, 3)})
	for _, tc := range []struct {
		key    string
		amount int
		status int
	}{
		{"a", 60, http.StatusOK},
		{"a", 60, http.StatusOK},                  // replayed
		{"b", 41, http.StatusTooManyRequests},     // beyond the sum
		{"c", 0, http.StatusUnprocessableEntity},  // refused by the contract
		{"c2", 0, http.StatusUnprocessableEntity}, // so this one still fits
		{"b", 30, http.StatusOK},                  // the key is free
		{"d", 10, http.StatusOK},
		{"e", 0, http.StatusTooManyRequests}, // the fourth call
		{"a", 60, http.StatusOK},
	} {
		status, body, header := post(t, srv, tc.key, tc.amount)
		if status != tc.status {
			t.Fatalf("%+v: %d %s", tc, status, body)
		}
		if status == http.StatusTooManyRequests && (!strings.Contains(body, `"rate-limited"`) || header.Get("Retry-After") == "") {
			t.Errorf("%+v: %s %v", tc, body, header)
		}
	}
}
