package openapi_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/apicheck"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/openapi"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// sample is the gateway of onceward dev with what describes it.
type sample struct {
	gateway http.Handler
	cfg     openapi.Config
}

// newSample runs the sample contracts on a development chain.
func newSample(t *testing.T) *sample {
	t.Helper()
	chain, err := devchain.Open(devchain.Config{LedgerInterval: 50 * time.Millisecond})
	must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = chain.Run(ctx) }()
	srv := httptest.NewServer(chain.Handler())
	t.Cleanup(func() {
		cancel()
		<-done
		_ = chain.Close()
		srv.Close()
	})
	routes := sampleRoutes(t, chain.Passphrase())
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, srv.URL)
	must(t, err)
	contracts, err := gateway.LoadContracts(t.Context(), rpc, routes, nil)
	must(t, err)
	channels, err := soroban.DeriveChannels([]byte("0123456789abcdef"), 1)
	must(t, err)
	must(t, chain.Fund(channels[0].Address(), 1000_0000000))
	minter, err := soroban.NewSigner(devchain.DevAdminSeed)
	must(t, err)
	store := memstore.New()
	eng, err := onceward.New(store, onceward.Config{})
	must(t, err)
	sub, err := soroban.New(soroban.Config{
		RPC: rpc, Passphrase: chain.Passphrase(), Store: store, Channels: channels, PollInterval: 20 * time.Millisecond,
		Signers: map[string]soroban.Signer{"minter": minter}, NonceSecret: []byte("0123456789abcdef"), Render: contracts.Render,
	})
	must(t, err)
	g, err := gateway.New(gateway.Config{
		Engine: eng, Contracts: contracts, Submitter: sub, Routes: routes, Authenticate: gateway.Bearer,
		Log:   slog.New(slog.NewTextHandler(t.Output(), nil)),
		Ready: func(context.Context) map[string]error { return map[string]error{"store": nil} },
	})
	must(t, err)
	for _, r := range routes {
		must(t, eng.Register(r.Kind, sub.Reconcile))
	}
	return &sample{gateway: g, cfg: openapi.Config{
		Routes: routes, Specs: contracts.Specs(), Security: []openapi.Scheme{openapi.BearerToken},
		Relay: &openapi.Relay{Pattern: "POST /v1/transactions"}, Problems: serving.Problems(), Quotas: true,
		Proxies: []openapi.Proxy{
			{Pattern: "POST /shop/id-items"}, // is named as the next but one
			{Pattern: "POST /api/", Options: oncehttp.Options{Optional: true}, Problems: proxy.Problems()},
			{Pattern: "/shop/{id}/items", Options: oncehttp.Options{Header: "X-Key", StrictKeys: true}, Problems: proxy.Problems()},
		},
	}}
}

// validated reads a document with independent eyes.
func validated(t *testing.T, doc []byte) *apicheck.Description {
	t.Helper()
	d, err := apicheck.Parse(doc)
	must(t, err)
	return d
}
