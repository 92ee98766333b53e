package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/openapi"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/cmd/onceward/internal/quota"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// byBearer knows two that cannot be known.
func byBearer(r *http.Request) (*expr.Principal, error) {
	switch r.Header.Get("Authorization") {
	case "Bearer nobody":
		return nil, auth.ErrNone
	case "Bearer untold":
		return nil, &auth.UnavailableError{Err: errors.New("the issuer is down")}
	}
	return gateway.Bearer(r)
}

// serveGateway serves a gateway within the test, with its description.
func serveGateway(t *testing.T, cfg gateway.Config, doc openapi.Config) *server {
	t.Helper()
	doc.Problems, doc.Quotas, doc.Security = serving.Problems(), cfg.Quota != nil, []openapi.Scheme{openapi.BearerToken}
	raw, err := openapi.Document(doc)
	must(t, err)
	cfg.Description, err = openapi.Handler(raw)
	must(t, err)
	cfg.Problems, cfg.Log = serving.Problems(), slog.New(slog.DiscardHandler)
	cfg.Authenticate = byBearer
	g, err := gateway.New(cfg)
	must(t, err)
	srv := httptest.NewServer(g)
	t.Cleanup(func() { srv.Close(); g.Wait() })
	return served(t, srv.URL)
}

// served is a server of this process.
func served(t *testing.T, url string) *server {
	t.Helper()
	s := &server{t: t, api: url, log: &lockedBuffer{}}
	s.describe()
	t.Cleanup(s.judge)
	return s
}

// fronted is a gateway with one proxy route, POST /orders. A backend that
// plays no part may be nil.
type fronted struct {
	engine  onceward.Config
	keys    oncehttp.Options
	backend http.HandlerFunc
	url     string // instead of backend
	timeout time.Duration
	status  string
	plan    func(oncetest.Op, int) oncetest.Fault
	allow   string
	limits  quota.Limits
}

func (f fronted) serve(t *testing.T) *server {
	t.Helper()
	if f.backend != nil {
		f.url = localBackend(t, f.backend).URL
	}
	if f.url == "" {
		f.url = "http://127.0.0.1:1"
	}
	if f.plan == nil {
		f.plan = func(oncetest.Op, int) oncetest.Fault { return oncetest.Pass }
	}
	eng, err := onceward.New(oncetest.NewFaulty(memstore.New(), f.plan), f.engine)
	must(t, err)
	f.keys.Scope, f.keys.Kind, f.keys.Methods = gateway.ScopeOf, "orders", []string{http.MethodPost}
	p, err := proxy.New(proxy.Config{
		Engine: eng, Keys: f.keys, Backend: f.url, Timeout: f.timeout, StatusURL: f.status,
		Around: func(h http.Handler) http.Handler { return h },
	})
	must(t, err)
	t.Cleanup(p.Close)
	route := gateway.Route{Pattern: "POST /orders", Kind: "orders", Handler: p, Options: p.Options(), Published: true, Problems: proxy.Problems()}
	if f.allow != "" {
		route.Allow, err = expr.Compile(f.allow, expr.Bool, expr.VarRequest)
		must(t, err)
	}
	cfg := gateway.Config{Engine: eng, Routes: []gateway.Route{route}}
	if f.limits != (quota.Limits{}) {
		q, err := quota.New(quota.Config{Default: f.limits})
		must(t, err)
		cfg.Quota = func(o oncehttp.Options) func(http.Handler) http.Handler {
			return q.Middleware(gateway.ScopeOf, quota.Keys{Header: o.Header, Strict: o.StrictKeys, Methods: o.Methods})
		}
	}
	return serveGateway(t, cfg, openapi.Config{Proxies: []openapi.Proxy{{
		Pattern: route.Pattern, Options: route.Options, Problems: proxy.Problems(), Guarded: true,
	}}})
}

// chained is a gateway with contract routes and a relay, on a chain of its
// own that can be made to fail.
type chained struct {
	*server
	w       *wallet
	channel string
	down    atomic.Bool             // the chain does not answer
	outcome atomic.Bool             // outcomes cannot be announced
	sends   atomic.Pointer[barrier] // what transactions wait for
}

// barrier lets nobody through before all have come.
type barrier struct {
	waiting sync.WaitGroup
	left    atomic.Int32
}

func newBarrier(n int32) *barrier {
	b := &barrier{}
	b.left.Store(n)
	b.waiting.Add(int(n))
	return b
}

func (b *barrier) wait() {
	if b != nil && b.left.Add(-1) >= 0 {
		b.waiting.Done()
		b.waiting.Wait()
	}
}

// front stands between the gateway and the chain.
func (c *chained) front(t *testing.T, chain string) string {
	t.Helper()
	to, err := url.Parse(chain)
	must(t, err)
	pass := httputil.NewSingleHostReverseProxy(to)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || c.down.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if bytes.Contains(body, []byte(`"sendTransaction"`)) {
			c.sends.Load().wait()
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func newChained(t *testing.T) *chained {
	t.Helper()
	chain, url := chainURL(t)
	c := &chained{}
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, c.front(t, url))
	must(t, err)
	pass := func(name string) *expr.Program {
		p, err := expr.Compile("body."+name, expr.JSON, expr.VarBody)
		must(t, err)
		return p
	}
	route := func(kind, contract, function string, members ...string) gateway.Route {
		r := gateway.Route{
			Pattern: "POST /v1/" + kind, Kind: kind, Contract: chain.Contract(contract), Function: function, Signer: "minter",
			SyncTimeout: patience, Args: make(map[string]*expr.Program), Options: oncehttp.Options{MaxBodyBytes: 64 << 10},
		}
		for _, m := range members {
			r.Args[m] = pass(m)
		}
		return r
	}
	routes := []gateway.Route{
		route("content", "content", "submit_for", "author", "content_hash", "uri"),
		route("rewards", "reward", "mint", "to", "amount"),
	}
	routes[1].Options.BodyKey = "key"
	contracts, err := gateway.LoadContracts(t.Context(), rpc, routes, nil)
	must(t, err)
	channels, err := soroban.DeriveChannels(make([]byte, 32), 4)
	must(t, err)
	for _, ch := range channels {
		must(t, chain.Fund(ch.Address(), 1_000_0000000))
	}
	c.channel = channels[0].Address()
	minter, err := soroban.NewSigner(devchain.DevAdminSeed)
	must(t, err)
	store := memstore.New()
	sub, err := soroban.New(soroban.Config{
		RPC: rpc, Passphrase: chain.Passphrase(), Store: store, Channels: channels, PollInterval: 20 * time.Millisecond,
		Signers: map[string]soroban.Signer{"minter": minter}, NonceSecret: make([]byte, 32), Render: contracts.Render,
		OnOutcome: func(context.Context, *onceward.Operation, soroban.Result, onceward.Response) error {
			if c.outcome.Load() {
				return errors.New("nobody listens")
			}
			return nil
		},
	})
	must(t, err)
	t.Cleanup(sub.Stop)
	eng, err := onceward.New(store, onceward.Config{})
	must(t, err)
	for _, r := range routes {
		must(t, eng.Register(r.Kind, sub.Reconcile))
	}
	relay, err := sub.NewRelay(soroban.RelayPolicy{Allow: []soroban.Allowed{{Contract: chain.Contract("votes"), Function: "cast"}}})
	must(t, err)
	must(t, eng.Register("relay", relay.Reconcile))
	cfg := gateway.Config{
		Engine: eng, Contracts: contracts, Submitter: sub, Routes: routes,
		Relay: &gateway.RelayRoute{Pattern: "POST /v1/transactions", Kind: "relay", Relay: relay},
		Around: func(h http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("X-Panic") != "" {
					panic("as was asked for")
				}
				h.ServeHTTP(w, r)
			})
		},
	}
	c.server = serveGateway(t, cfg, openapi.Config{
		Routes: routes, Specs: contracts.Specs(), Relay: &openapi.Relay{Pattern: cfg.Relay.Pattern},
	})
	c.rpc = url
	c.w = newWallet(t, c.server)
	return c
}

// problem is the JSON of an answer.
func (a answer) problem(t *testing.T) map[string]any {
	t.Helper()
	out := make(map[string]any)
	if err := json.Unmarshal([]byte(a.body), &out); err != nil || !strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
		t.Fatalf("no problem: %d %v %s", a.status, a.header, a.body)
	}
	return out
}

// listed is every code that the gateway describes.
func listed() map[onceward.Code]oncehttp.ProblemType {
	out := make(map[onceward.Code]oncehttp.ProblemType)
	for _, list := range [][]oncehttp.ProblemType{
		oncehttp.Problems(), gateway.Problems(), gateway.RelayProblems(), proxy.Problems(), serving.Problems(),
	} {
		for _, p := range list {
			out[p.Code] = p
		}
	}
	return maps.Clone(out)
}
