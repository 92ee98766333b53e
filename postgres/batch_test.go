package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// tables returns a new database with tables of so many buckets, and a pool.
func tables(t *testing.T, cfg postgres.MigrateConfig) *pgxpool.Pool {
	t.Helper()
	pool := connect(t, pgtest.Database(t))
	if err := postgres.Migrate(t.Context(), pool, cfg); err != nil {
		t.Fatal(err)
	}
	return pool
}

func claimOf(value string) onceward.ClaimRequest {
	now := time.Now()
	return onceward.ClaimRequest{
		Key: onceward.Key{Scope: "s", Value: value}, Owner: onceward.NewOwner(), Token: now.UnixMicro(),
		Policy: onceward.Hold, Fingerprint: []byte("f"), Retention: time.Hour,
		Now: now, LeaseUntil: now.Add(time.Hour), ExpiresAt: onceward.Never,
	}
}

func completionOf(c onceward.Claim) onceward.CompleteRequest {
	return onceward.CompleteRequest{
		Claim: c, Now: time.Now(), Status: onceward.StatusCompleted, ExpiresAt: time.Now().Add(time.Hour),
		Response: &onceward.Response{Status: 201, Body: []byte("made")},
	}
}

func win(t *testing.T, s *postgres.Store, req onceward.ClaimRequest) onceward.Record {
	t.Helper()
	res, err := s.Claim(t.Context(), req)
	if err != nil || !res.Won {
		t.Fatalf("won %v, %v", res.Won, err)
	}
	return res.Record
}

// await polls until a query returns true.
func await(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if query[bool](t, pool, sql, args...)[0] {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never true: %s", sql)
		}
	}
}

// waiting asks for backends of this database that wait for something.
const waiting = "SELECT count(*) >= $2 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = $1"

// blockade keeps everybody from the table until it is lifted.
func blockade(t *testing.T, pool *pgxpool.Pool) (lift func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE onceward_keys IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(t.Context()); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
			t.Error(err)
		}
	}
}

// claimAll starts a claim of each key and returns where their errors come.
func claimAll(ctx context.Context, s *postgres.Store, n int) <-chan error {
	errs := make(chan error, n)
	for i := range n {
		go func() {
			res, err := s.Claim(ctx, claimOf(fmt.Sprint("k", i)))
			if err == nil && !res.Won {
				err = errors.New("a claim of its own key was lost")
			}
			errs <- err
		}()
	}
	return errs
}

func TestWhatWaitsIsCommittedTogether(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{})
	lift := blockade(t, pool)
	const n = 200
	errs := claimAll(t.Context(), s, n)
	await(t, pool, waiting, "Lock", 1)
	for s.Pending() < n {
		<-time.After(time.Millisecond)
	}
	lift()
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	// The first to come, and all others; a store counts its transactions.
	if got := query[int](t, pool, "SELECT sum(batch)::int FROM onceward_marks")[0]; got != 2 {
		t.Errorf("%d transactions for %d claims, want 2", got, n)
	}
}

// TestAFullQueueIsRefused: the bound holds, the caller learns it in time, and
// the engine does not run the handler.
func TestAFullQueueIsRefused(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{MaxPending: 3})
	defer blockade(t, pool)()
	claimAll(t.Context(), s, 3)
	for s.Pending() < 3 {
		<-time.After(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.Claim(ctx, claimOf("late")); !errors.Is(err, postgres.ErrBusy) {
		t.Errorf("a claim too many: %v", err)
	}
	e, err := onceward.New(s, onceward.Config{StoreTimeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	_, err = e.Do(t.Context(), onceward.Request{Key: onceward.Key{Value: "later"}},
		func(context.Context, *onceward.Operation) (onceward.Response, error) {
			t.Error("the handler ran")
			return onceward.Response{}, nil
		})
	if onceward.CodeOf(err) != onceward.CodeStoreUnavailable {
		t.Errorf("the engine says %v", err)
	}
}

// TestACallerThatLeavesDoesNotTakeTheBatchAlong: nor its own operation.
func TestACallerThatLeavesDoesNotTakeTheBatchAlong(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{})
	lift := blockade(t, pool)
	stays := claimAll(t.Context(), s, 5)
	await(t, pool, waiting, "Lock", 1)
	ctx, cancel := context.WithCancel(t.Context())
	left := claimOf("left")
	gone := make(chan error)
	go func() {
		_, err := s.Claim(ctx, left)
		gone <- err
	}()
	for s.Pending() < 6 {
		<-time.After(time.Millisecond)
	}
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("the one who left got %v", err)
	}
	lift()
	for range 5 {
		if err := <-stays; err != nil {
			t.Error(err)
		}
	}
	res, err := s.Claim(t.Context(), left) // only a claim decides
	if err != nil || !res.Won || res.TookOver {
		t.Errorf("asking again: won %v, took over %v, %v", res.Won, res.TookOver, err)
	}
}

// TestOneBadOperationDoesNotSpoilABatch: a token cannot grow beyond its type.
func TestOneBadOperationDoesNotSpoilABatch(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{})
	last := claimOf("last")
	last.Token = math.MaxInt64
	rec := win(t, s, last)
	if err := s.Release(t.Context(), onceward.ReleaseRequest{Claim: rec.Claim(), Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	lift := blockade(t, pool)
	good := claimAll(t.Context(), s, 1)
	await(t, pool, waiting, "Lock", 1)
	bad := make(chan error)
	go func() {
		_, err := s.Claim(t.Context(), claimOf("last"))
		bad <- err
	}()
	for s.Pending() < 2 {
		<-time.After(time.Millisecond)
	}
	more := make(chan error)
	go func() {
		_, err := s.Claim(t.Context(), claimOf("more"))
		more <- err
	}()
	for s.Pending() < 3 {
		<-time.After(time.Millisecond)
	}
	lift()
	if err := errors.Join(<-good, <-more); err != nil {
		t.Error(err)
	}
	if err := <-bad; err == nil {
		t.Error("a token grew beyond its type")
	}
}

// TestDeadlocksAreRetried: somebody else locks the same rows in another order,
// and is more patient than we are.
func TestDeadlocksAreRetried(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	impatient := connect(t, pool.Config().ConnString()+"&options=-c%20deadlock_timeout%3D2s")
	s := open(t, impatient, postgres.Config{})
	a, b := claimOf("a"), claimOf("b")
	if ida, idb := a.Key.ID(), b.Key.ID(); string(ida[:]) > string(idb[:]) {
		a, b = b, a
	}
	first, second := win(t, s, a), win(t, s, b)
	lift := blockade(t, pool)
	errs := make(chan error, 3)
	go func() { // keeps the others together in the next batch
		_, err := s.Claim(t.Context(), claimOf("c"))
		errs <- err
	}()
	await(t, pool, waiting, "Lock", 1)
	for _, rec := range []onceward.Record{first, second} {
		go func() { errs <- s.Complete(t.Context(), completionOf(rec.Claim())) }()
	}
	for s.Pending() < 3 {
		<-time.After(time.Millisecond)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const touch = "UPDATE onceward_keys SET reason = reason WHERE key = $1"
	ready := make(chan error)
	go func() { // queues for the table behind the first batch
		_, err := tx.Exec(t.Context(), "SET LOCAL deadlock_timeout = '60s'")
		if err == nil {
			_, err = tx.Exec(t.Context(), touch, b.Key.Value)
		}
		ready <- err
	}()
	lift()
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	_, err = tx.Exec(t.Context(), touch, a.Key.Value)
	if err := errors.Join(err, tx.Commit(t.Context())); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}
