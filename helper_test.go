package onceward_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

var errDown = errors.New("the store does not answer")

// spy is a memory store whose calls are counted and can be delayed or failed.
type spy struct {
	*memstore.Store
	mu    sync.Mutex
	calls map[string]int
	hook  hook
}

// A hook stands between the engine and the store: apply makes the call, n
// counts the calls of its op from 1.
type hook func(op string, n int, apply func() error) error

func newSpy() *spy { return on(memstore.New()) }

// on returns a spy of its own on a shared store.
func on(s *memstore.Store) *spy { return &spy{Store: s, calls: make(map[string]int)} }

func (s *spy) set(h hook) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook, s.calls = h, make(map[string]int)
}

func (s *spy) count(ops ...string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, op := range ops {
		n += s.calls[op]
	}
	return n
}

var writes = []string{"Claim", "Renew", "Checkpoint", "Complete", "Release"}

func (s *spy) call(op string, apply func() error) error {
	s.mu.Lock()
	s.calls[op]++
	n, h := s.calls[op], s.hook
	s.mu.Unlock()
	if h == nil {
		return apply()
	}
	return h(op, n, apply)
}

func (s *spy) Claim(ctx context.Context, req onceward.ClaimRequest) (res onceward.ClaimResult, err error) {
	err = s.call("Claim", func() (err error) { res, err = s.Store.Claim(ctx, req); return err })
	return res, err
}

func (s *spy) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return s.call("Renew", func() error { return s.Store.Renew(ctx, req) })
}

func (s *spy) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	return s.call("Checkpoint", func() error { return s.Store.Checkpoint(ctx, req) })
}

func (s *spy) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	return s.call("Complete", func() error { return s.Store.Complete(ctx, req) })
}

func (s *spy) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return s.call("Release", func() error { return s.Store.Release(ctx, req) })
}

func (s *spy) Get(ctx context.Context, req onceward.GetRequest) (rec onceward.Record, err error) {
	err = s.call("Get", func() (err error) { rec, err = s.Store.Get(ctx, req); return err })
	return rec, err
}

func (s *spy) Lapsed(ctx context.Context, req onceward.LapsedRequest) (recs []onceward.Record, err error) {
	err = s.call("Lapsed", func() (err error) { recs, err = s.Store.Lapsed(ctx, req); return err })
	return recs, err
}

// failing fails every call of the ops without making it.
func failing(ops ...string) hook {
	return func(op string, _ int, apply func() error) error {
		if isOneOf(op, ops) {
			return errDown
		}
		return apply()
	}
}

// ambiguous makes the first times calls of op, and then fails them.
func ambiguous(op string, times int) hook {
	return func(called string, n int, apply func() error) error {
		err := apply()
		if called == op && n <= times {
			return errDown
		}
		return err
	}
}

// slow lets every call take d.
func slow(d time.Duration) hook {
	return func(_ string, _ int, apply func() error) error {
		<-time.After(max(d, 1))
		return apply()
	}
}

func isOneOf(op string, ops []string) bool {
	return len(ops) == 0 || slices.Contains(ops, op)
}

func newEngine(tb testing.TB, s onceward.Store, cfg onceward.Config) *onceward.Engine {
	tb.Helper()
	eng, err := onceward.New(s, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return eng
}

// running runs eng.Run until the returned function is called.
func running(tb testing.TB, eng *onceward.Engine) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.Background()) //nolint:usetesting // stopped by the test itself
	done := make(chan error, 1)
	go func() { done <- eng.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			tb.Errorf("Run returned %v; it ends without an error", err)
		}
	}
}

func keyed(value string) onceward.Request {
	return onceward.Request{Key: onceward.Key{Scope: "alice", Value: value}, Fingerprint: []byte("f"), Kind: "pay"}
}

func under(p onceward.CrashPolicy) onceward.Request {
	r := keyed("k")
	r.Policy = p
	return r
}

func body(s string) onceward.Response { return onceward.Response{Status: 201, Body: []byte(s)} }

// answering is a handler that answers at once.
func answering(s string) onceward.Handler {
	return func(context.Context, *onceward.Operation) (onceward.Response, error) { return body(s), nil }
}

// forbidden is a handler that must not run.
func forbidden(tb testing.TB) onceward.Handler {
	return func(context.Context, *onceward.Operation) (onceward.Response, error) {
		tb.Error("the handler ran")
		return onceward.Response{}, nil
	}
}

// crash leaves what a process leaves that dies while running r: a claim that
// nobody renews. It returns the claim.
func crash(tb testing.TB, s onceward.Store, r onceward.Request, checkpoints ...string) onceward.Claim {
	tb.Helper()
	now := time.Now()
	policy := r.Policy
	if policy == "" {
		policy = onceward.Hold
	}
	res, err := s.Claim(tb.Context(), onceward.ClaimRequest{
		Key: r.Key, Owner: onceward.NewOwner(), Token: now.UnixMicro(), Kind: r.Kind, Policy: policy,
		Fingerprint: r.Fingerprint, Retention: 24 * time.Hour,
		Now: now, LeaseUntil: now.Add(30 * time.Second), ExpiresAt: onceward.Never,
	})
	if err != nil || !res.Won {
		tb.Fatalf("the dying process could not claim: %+v, %v", res, err)
	}
	var cps []onceward.Checkpoint
	for _, c := range checkpoints {
		cps = append(cps, onceward.Checkpoint{Name: c, Data: []byte(c), At: now})
	}
	if cps != nil {
		err := s.Checkpoint(tb.Context(), onceward.CheckpointRequest{Claim: res.Record.Claim(), Now: now, Checkpoints: cps})
		if err != nil {
			tb.Fatal(err)
		}
	}
	return res.Record.Claim()
}

func wantCode(tb testing.TB, err error, want onceward.Code) {
	tb.Helper()
	if got := onceward.CodeOf(err); got != want {
		tb.Fatalf("the code is %q (%v), want %q", got, err, want)
	}
}

func wantBody(tb testing.TB, out onceward.Outcome, err error, want string) {
	tb.Helper()
	if err != nil || string(out.Response.Body) != want {
		tb.Fatalf("the answer is %q, %v, want %q", out.Response.Body, err, want)
	}
}

// wantStatus checks the stored status; "" wants the key to be absent.
func wantStatus(tb testing.TB, eng *onceward.Engine, key onceward.Key, want onceward.Status) onceward.Record {
	tb.Helper()
	rec, err := eng.Get(tb.Context(), key)
	if err != nil && !errors.Is(err, onceward.ErrNotFound) {
		tb.Fatal(err)
	}
	if rec.Status != want {
		tb.Fatalf("the record is %q, want %q", rec.Status, want)
	}
	return rec
}

// reply is what one call of Do returned.
type reply struct {
	out onceward.Outcome
	err error
}

func (r reply) String() string {
	if r.err != nil {
		return r.err.Error()
	}
	return fmt.Sprintf("%d %s", r.out.Response.Status, r.out.Response.Body)
}

// async calls Do in a goroutine.
func async(ctx context.Context, eng *onceward.Engine, r onceward.Request, h onceward.Handler) <-chan reply {
	c := make(chan reply, 1)
	go func() {
		out, err := eng.Do(ctx, r, h)
		c <- reply{out, err}
	}()
	return c
}
