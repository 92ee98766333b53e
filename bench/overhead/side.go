package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

const (
	requestBody   = `{"to":"account-4711","amount":"12.50","currency":"EUR","note":"monthly fee, October"}`
	responseBytes = 512
	// fresh is how many keys a store takes before it is replaced by an empty
	// one, so that its size does not depend on how long the measurement runs.
	fresh = 4096
)

var requestBytes = []byte(requestBody)

// side is something whose cost is measured: do is one request.
type side struct {
	name string
	do   func()
}

// handler is the guarded one: it reads its body and answers.
func handler() http.Handler {
	answer := bytes.Repeat([]byte("x"), responseBytes)
	contentType := []string{"application/json"}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var buf [len(requestBody)]byte
		if _, err := io.ReadFull(r.Body, buf[:]); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		w.Header()["Content-Type"] = contentType
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(answer)
	})
}

// caller calls a handler without a network, and without allocating anything
// itself: what is counted is the handler's.
type caller struct {
	handler http.Handler
	req     *http.Request
	key     []string
	header  http.Header
	body    bytes.Reader
	status  int
	written int
}

func newCaller(h http.Handler) *caller {
	c := &caller{handler: h, header: make(http.Header), key: make([]string, 1)}
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, "http://localhost/v1/payments", http.NoBody)
	if err != nil {
		panic(err) // the URL is a constant
	}
	req.ContentLength = int64(len(requestBody))
	req.Header.Set("Content-Type", "application/json")
	c.req = req
	return c
}

// call sends one request with key, or without when it is empty, and reports
// whether the handler's answer came back.
func (c *caller) call(key string) bool {
	clear(c.header)
	c.status, c.written = 0, 0
	c.body.Reset(requestBytes)
	c.req.Body = c
	delete(c.req.Header, oncehttp.DefaultHeader)
	if key != "" {
		c.key[0] = key
		c.req.Header[oncehttp.DefaultHeader] = c.key
	}
	c.handler.ServeHTTP(c, c.req)
	return c.status == http.StatusCreated && c.written == responseBytes
}

// Header implements http.ResponseWriter.
func (c *caller) Header() http.Header { return c.header }

// WriteHeader implements http.ResponseWriter.
func (c *caller) WriteHeader(status int) { c.status = status }

// Write implements http.ResponseWriter.
func (c *caller) Write(p []byte) (int, error) {
	c.written += len(p)
	return len(p), nil
}

// Read implements io.Reader, of the request's body.
func (c *caller) Read(p []byte) (int, error) { return c.body.Read(p) }

// Close implements io.Closer.
func (c *caller) Close() error { return nil }

// keyNames are made once: making a key is the client's work.
func keyNames() []string {
	names := make([]string, fresh)
	for i := range names {
		names[i] = `"0198f3a2-7c1e-4000-8000-` + strconv.Itoa(1e11+i) + `"`
	}
	return names
}

// guarded returns the handler behind the middleware, on an empty store.
func guarded(store onceward.Store) http.Handler {
	eng, err := onceward.New(store, onceward.Config{})
	if err != nil {
		panic(err) // the configuration is a constant
	}
	once, err := oncehttp.New(eng, oncehttp.Options{Scope: oncehttp.SingleTenant, Optional: true})
	if err != nil {
		panic(err) // the options are a constant
	}
	return once(handler())
}

// must stops a measurement of something that does not work.
func must(ok bool, what string) {
	if !ok {
		panic("overhead: " + what + " was not answered as the handler does")
	}
}

// bare is the handler alone.
func bare() func() {
	c := newCaller(handler())
	key := keyNames()[0]
	return func() { must(c.call(key), "a request") }
}

// keyless is a request without a key, which passes through.
func keyless() func() {
	c := newCaller(guarded(memstore.New()))
	return func() { must(c.call(""), "a request without a key") }
}

// newKey is a request with a key never seen before.
func newKey() func() {
	names, n := keyNames(), 0
	var c *caller
	return func() {
		if n%fresh == 0 {
			c = newCaller(guarded(memstore.New()))
		}
		must(c.call(names[n%fresh]), "a new key")
		n++
	}
}

// replay is a request whose answer is recorded.
func replay() func() {
	names, n := keyNames(), 0
	c := newCaller(guarded(memstore.New()))
	for _, name := range names {
		must(c.call(name), "a new key")
	}
	return func() {
		must(c.call(names[n%fresh]), "a replay")
		n++
	}
}

// nothing is a store that grants every claim and keeps nothing: what is left of
// a guarded request on it is engine and middleware.
type nothing struct{ onceward.Store }

// Claim implements onceward.Store.
func (nothing) Claim(_ context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return onceward.ClaimResult{Won: true, Record: onceward.Record{
		Key: req.Key, Status: onceward.StatusStarted, Token: req.Token, Owner: req.Owner, Attempt: 1,
		Kind: req.Kind, Policy: req.Policy, Retention: req.Retention, Fingerprint: req.Fingerprint, Detail: req.Detail,
		ClaimedAt: req.Now, LeaseUntil: req.LeaseUntil, ExpiresAt: req.ExpiresAt,
	}}, nil
}

// Complete implements onceward.Store.
func (nothing) Complete(context.Context, onceward.CompleteRequest) error { return nil }

// unstored is newKey on a store that does nothing.
func unstored() func() {
	names, n := keyNames(), 0
	c := newCaller(guarded(nothing{}))
	return func() {
		must(c.call(names[n%fresh]), "a new key")
		n++
	}
}

// recording remembers what the engine asks of its store.
type recording struct {
	onceward.Store
	claim    onceward.ClaimRequest
	complete onceward.CompleteRequest
}

// Claim implements onceward.Store.
func (r *recording) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	r.claim = req
	return r.Store.Claim(ctx, req)
}

// Complete implements onceward.Store.
func (r *recording) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	r.complete = req
	return r.Store.Complete(ctx, req)
}

// observed returns what the engine asks of its store for the requests here.
func observed() *recording {
	r := &recording{Store: memstore.New()}
	must(newCaller(guarded(r)).call(keyNames()[0]), "a new key")
	return r
}

// storeNew is the store's own part of newKey: the same claim and completion,
// asked of the store directly.
func storeNew() func() {
	asked, names, n := observed(), keyNames(), 0
	ctx := context.Background()
	var store *memstore.Store
	return func() {
		if n%fresh == 0 {
			store = memstore.New()
		}
		asked.claim.Key.Value = names[n%fresh]
		asked.claim.Now = time.Now()
		res, err := store.Claim(ctx, asked.claim)
		must(err == nil && res.Won, "a claim")
		asked.complete.Claim = res.Record.Claim()
		must(store.Complete(ctx, asked.complete) == nil, "a completion")
		n++
	}
}

// storeReplay is the store's own part of replay: recalling the answer.
func storeReplay() func() {
	asked, names, n := observed(), keyNames(), 0
	ctx := context.Background()
	store := memstore.New()
	for _, name := range names {
		asked.claim.Key.Value = name
		res, err := store.Claim(ctx, asked.claim)
		must(err == nil && res.Won, "a claim")
		asked.complete.Claim = res.Record.Claim()
		must(store.Complete(ctx, asked.complete) == nil, "a completion")
	}
	return func() {
		asked.claim.Key.Value = names[n%fresh]
		rec := store.Recall(asked.claim.Key, time.Now())
		must(rec != nil && rec.Response != nil, "a completed key")
		n++
	}
}
