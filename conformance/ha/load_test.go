package ha_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

func claimOf(value string) onceward.ClaimRequest {
	now := time.Now()
	return onceward.ClaimRequest{
		Key: onceward.Key{Scope: "s", Value: value}, Owner: onceward.NewOwner(), Token: now.UnixMicro(),
		Policy: onceward.Hold, Fingerprint: []byte("f"), Retention: time.Hour,
		Now: now, LeaseUntil: now.Add(time.Hour), ExpiresAt: onceward.Never,
	}
}

func completionOf(c onceward.Claim) onceward.CompleteRequest {
	now := time.Now()
	return onceward.CompleteRequest{
		Claim: c, Now: now, Status: onceward.StatusCompleted, ExpiresAt: now.Add(time.Hour),
		Response: &onceward.Response{Status: 201, Body: []byte(c.Key.Value)},
	}
}

// book is what was acknowledged.
type book struct {
	mu      sync.Mutex
	entries map[string]entry
	acks    atomic.Int64
}

type entry struct {
	claim     onceward.Claim
	completed bool
}

func newBook() *book { return &book{entries: make(map[string]entry)} }

func (b *book) note(c onceward.Claim, completed bool) {
	b.mu.Lock()
	b.entries[c.Key.Value] = entry{c, completed}
	b.mu.Unlock()
	b.acks.Add(1)
}

// once claims and completes a key. Where it gets an error it asks again with the
// same claim, as the engine does, for as long as ctx lasts.
func once(ctx context.Context, s *postgres.Store, b *book, value string) error {
	req := claimOf(value)
	var res onceward.ClaimResult
	err := insist(ctx, func() (err error) {
		res, err = s.Claim(ctx, req)
		return err
	})
	switch {
	case err != nil:
		return err
	case !res.Won || res.Record.Owner != req.Owner:
		return fmt.Errorf("the claim of %s, which nobody else wants, was lost to %+v", value, res.Record)
	}
	c := res.Record.Claim()
	b.note(c, false)
	if err := insist(ctx, func() error { return s.Complete(ctx, completionOf(c)) }); err != nil {
		return err
	}
	b.note(c, true)
	return nil
}

// insist repeats do until it succeeds. What a server that fails cannot cause is
// an error at once.
func insist(ctx context.Context, do func() error) error {
	for {
		err := do()
		if err == nil || errors.Is(err, onceward.ErrFenced) || errors.Is(err, postgres.ErrWritesLost) {
			return err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// load runs callers until it is told to stop; each finishes the key that it has
// begun.
type load struct {
	book    *book
	stop    chan struct{}
	callers sync.WaitGroup
	mu      sync.Mutex
	errs    []error
	done    []atomic.Int64 // keys, by caller
}

func start(ctx context.Context, callers int, stores ...*postgres.Store) *load {
	l := &load{book: newBook(), stop: make(chan struct{}), done: make([]atomic.Int64, callers)}
	for i := range callers {
		l.callers.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-l.stop:
					return
				default:
				}
				if err := once(ctx, stores[i%len(stores)], l.book, fmt.Sprintf("%d-%d", i, n)); err != nil {
					l.mu.Lock()
					l.errs = append(l.errs, err)
					l.mu.Unlock()
					return
				}
				l.done[i].Add(1)
			}
		})
	}
	return l
}

// awaitMore waits until every caller has had n more keys completed.
func (l *load) awaitMore(t *testing.T, n int64) {
	t.Helper()
	before := make([]int64, len(l.done))
	for i := range l.done {
		before[i] = l.done[i].Load()
	}
	until(t, "every caller goes on", func() bool {
		if l.failed() != nil {
			t.Fatal(l.failed())
		}
		for i := range l.done {
			if l.done[i].Load() < before[i]+n {
				return false
			}
		}
		return true
	})
}

func (l *load) failed() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return errors.Join(l.errs...)
}

// end stops the callers and returns what was acknowledged.
func (l *load) end(t *testing.T) *book {
	t.Helper()
	close(l.stop)
	l.callers.Wait()
	if err := l.failed(); err != nil {
		t.Fatal(err)
	}
	return l.book
}

// lost counts the acknowledgements that a server does not stand by. It asks past
// the store: the checker shares nothing with what it checks.
func (b *book) lost(t *testing.T, s *pgtest.Server) (claims, completions int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	type stored struct {
		token  int64
		owner  [16]byte
		status string
		body   []byte
	}
	found := make(map[string]stored)
	rows, err := conn.Query(t.Context(), "SELECT key, token, owner, status, resp_body FROM onceward_keys")
	if err != nil {
		t.Fatal(err)
	}
	var key string
	var r stored
	if _, err := pgx.ForEachRow(rows, []any{&key, &r.token, &r.owner, &r.status, &r.body}, func() error {
		found[key] = r
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, e := range b.entries {
		r, ok := found[key]
		if !ok || r.token != e.claim.Token || onceward.Owner(r.owner) != e.claim.Owner {
			claims++
		}
		if e.completed && (!ok || r.status != string(onceward.StatusCompleted) || string(r.body) != key) {
			completions++
		}
	}
	return claims, completions
}
