package oncehttp_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

// site is a server with one guarded handler.
type site struct {
	t     testing.TB
	eng   *onceward.Engine
	store *memstore.Store
	url   string
	srv   *httptest.Server
}

// newSite starts a server. The zero options get the scope of a single tenant.
func newSite(t testing.TB, cfg onceward.Config, opts oncehttp.Options, h http.HandlerFunc) *site {
	t.Helper()
	store := memstore.New()
	return newSiteOn(t, store, store, cfg, opts, h)
}

func newSiteOn(
	t testing.TB, store onceward.Store, mem *memstore.Store, cfg onceward.Config, opts oncehttp.Options, h http.HandlerFunc,
) *site {
	t.Helper()
	eng, err := onceward.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, eng: eng, store: mem}
	s.srv = httptest.NewServer(guard(t, eng, opts, h))
	t.Cleanup(s.srv.Close)
	s.url = s.srv.URL
	return s
}

func guard(t testing.TB, eng *onceward.Engine, opts oncehttp.Options, h http.HandlerFunc) http.Handler {
	t.Helper()
	if opts.Scope == nil {
		opts.Scope = oncehttp.SingleTenant
	}
	once, err := oncehttp.New(eng, opts)
	if err != nil {
		t.Fatal(err)
	}
	return once(h)
}

// reply is an answer, read.
type reply struct {
	*http.Response
	body string
}

// call sends one request; headers alternate names and values.
func (s *site) call(method, path, body string, headers ...string) reply {
	s.t.Helper()
	return do(s.t, s.request(method, path, body, headers...))
}

func (s *site) request(method, path, body string, headers ...string) *http.Request {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return req
}

// post sends a JSON body with a key.
func (s *site) post(key, body string, headers ...string) reply {
	s.t.Helper()
	return s.call("POST", "/v1/orders", body, append([]string{"Idempotency-Key", key, "Content-Type", "application/json"}, headers...)...)
}

func do(t testing.TB, req *http.Request) reply {
	t.Helper()
	// A transport of its own: bytes as they were sent, no connection shared.
	transport := &http.Transport{DisableCompression: true}
	defer transport.CloseIdleConnections()
	res, err := transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res, string(body)}
}

func (r reply) replayed() bool { return r.Header.Get(oncehttp.HeaderReplayed) == "true" }

// want checks status and body.
func (r reply) want(t testing.TB, status int, body string) {
	t.Helper()
	if r.StatusCode != status || r.body != body {
		t.Fatalf("got %d %q, want %d %q", r.StatusCode, r.body, status, body)
	}
}

// problem decodes a problem and checks its code.
func (r reply) problem(t testing.TB, status int, code onceward.Code) map[string]any {
	t.Helper()
	var p map[string]any
	if err := json.Unmarshal([]byte(r.body), &p); err != nil {
		t.Fatalf("%d %q: %v", r.StatusCode, r.body, err)
	}
	if r.StatusCode != status || p["code"] != string(code) || p["status"] != float64(status) {
		t.Fatalf("got %d %s, want %d %s", r.StatusCode, r.body, status, code)
	}
	if ct := r.Header.Get("Content-Type"); ct != "application/problem+json" {
		t.Fatalf("content type %q", ct)
	}
	return p
}

// spy is a store whose calls a test can watch and break: the error of before
// is returned instead of the call's result.
type spy struct {
	onceward.Store
	mu     sync.Mutex
	before func(call string) error
	calls  []string
}

func (s *spy) hook(call string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls = append(s.calls, call)
	if s.before == nil {
		return nil
	}
	return s.before(call)
}

func (s *spy) set(before func(call string) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before = before
}

func (s *spy) log() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

func (s *spy) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	if err := s.hook("claim"); err != nil {
		return onceward.ClaimResult{}, err
	}
	return s.Store.Claim(ctx, req)
}

func (s *spy) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if err := s.hook("complete"); err != nil {
		return err
	}
	return s.Store.Complete(ctx, req)
}

func (s *spy) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	if err := s.hook("release"); err != nil {
		return err
	}
	return s.Store.Release(ctx, req)
}

func (s *spy) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	if err := s.hook("get"); err != nil {
		return onceward.Record{}, err
	}
	return s.Store.Get(ctx, req)
}

var errDown = errors.New("the store is down")

// failing makes every call of the named kinds fail.
func failing(calls ...string) func(string) error {
	return func(call string) error {
		if slices.Contains(calls, call) {
			return errDown
		}
		return nil
	}
}

// newSpied starts a site whose store can be watched.
func newSpied(t testing.TB, cfg onceward.Config, opts oncehttp.Options, h http.HandlerFunc) (*site, *spy) {
	t.Helper()
	mem := memstore.New()
	s := &spy{Store: mem}
	return newSiteOn(t, s, mem, cfg, opts, h), s
}

func saying(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func newEngine(t testing.TB) *onceward.Engine {
	t.Helper()
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return eng
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

// keyed is a request for a handler that is called directly.
func keyed(key, body string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), "POST", "/v1/orders", strings.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	r.Header.Set("Content-Type", "application/json")
	return r
}

// discardLog is for servers that are meant to complain.
var discardLog = log.New(io.Discard, "", 0)

func newStore() *memstore.Store { return memstore.New() }
