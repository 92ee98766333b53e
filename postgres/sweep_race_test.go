package postgres_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
)

// lockRow keeps everybody from one record until it is released.
func lockRow(t *testing.T, pool *pgxpool.Pool, value string) (release func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }) // a second one does nothing
	var one int
	if err := tx.QueryRow(t.Context(), "SELECT 1 FROM onceward_keys WHERE key = $1 FOR UPDATE", value).Scan(&one); err != nil {
		t.Fatal(err)
	}
	return func() {
		t.Helper()
		if err := tx.Rollback(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestASweepMeetsAClaim: expired records have just been claimed again, in a
// transaction that is still open, when a sweep finds them expired. It waits, and
// must then see that they are not.
func TestASweepMeetsAClaim(t *testing.T) {
	t.Parallel()
	// With fewer than are due at the same moment it sweeps in another way.
	for name, limit := range map[string]int{"a window": 10, "due at the same moment": 1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := tables(t, postgres.MigrateConfig{Buckets: 1})
			s, sweeper := open(t, pool, postgres.Config{Writers: 1}), open(t, pool, postgres.Config{})
			keys := []string{"a", "b", "c"}
			slices.SortFunc(keys, func(a, b string) int {
				x, y := onceward.Key{Scope: "s", Value: a}.ID(), onceward.Key{Scope: "s", Value: b}.ID()
				return bytes.Compare(x[:], y[:])
			})
			past := time.Now().Add(-time.Hour)
			for i, key := range append(keys, "first") {
				req := claimOf(key)
				req.Now, req.LeaseUntil, req.ExpiresAt = past.Add(-time.Hour), past, past
				if i >= 2 { // not for the sweep
					req.LeaseUntil, req.ExpiresAt = time.Now().Add(time.Hour), onceward.Never
				}
				win(t, s, req)
			}
			// A batch of three forms behind another one. It claims the first two
			// and waits for the third.
			releaseFirst, releaseLast := lockRow(t, pool, "first"), lockRow(t, pool, keys[2])
			claims := make(chan error, 4)
			claim := func(key string) {
				_, err := s.Claim(t.Context(), claimOf(key))
				claims <- err
			}
			go claim("first")
			await(t, pool, waiting, "Lock", 1)
			for _, key := range keys {
				go claim(key)
			}
			for s.Pending() < 4 {
				<-time.After(time.Millisecond)
			}
			releaseFirst()
			await(t, pool, "SELECT count(*) = 1 FROM pg_locks l JOIN pg_stat_activity a USING (pid) "+
				"WHERE a.datname = current_database() AND NOT l.granted AND a.query ILIKE '%INSERT INTO%onceward_keys%'")
			await(t, pool, waiting, "Lock", 1)
			swept := make(chan string, 1)
			go func() {
				res, err := sweeper.Sweep(t.Context(), onceward.SweepRequest{Now: time.Now(), Limit: limit})
				swept <- fmt.Sprint(res.Deleted, err)
			}()
			await(t, pool, waiting, "Lock", 2)
			releaseLast()
			for range 4 {
				if err := <-claims; err != nil {
					t.Error(err)
				}
			}
			if got := <-swept; got != "0 <nil>" {
				t.Errorf("the sweep: %s", got)
			}
			rows, err := pool.Query(t.Context(), "SELECT key FROM onceward_keys WHERE status = 'STARTED' AND expires_at > now()")
			if err != nil {
				t.Fatal(err)
			}
			left, err := pgx.CollectRows(rows, pgx.RowTo[string])
			if err != nil || len(left) != 4 {
				t.Errorf("left are the claims of %q, %v", left, err)
			}
		})
	}
}
