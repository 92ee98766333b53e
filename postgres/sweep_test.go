package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
)

// fill adds completed records that expired a while ago, one a millisecond.
func fill(t *testing.T, pool *pgxpool.Pool, buckets, n int) {
	t.Helper()
	execSQL(t, pool, `INSERT INTO onceward_keys (bucket, id, scope, key, status, token, owner, attempt, seq, kind, policy, fingerprint,
		retention_ns, claimed_at, lease_until, completed_at, expires_at, due)
		SELECT get_byte(uuid_send(u), 15) % $1, u, '', u::text, 'COMPLETED', n, u, 1, n, '', 'hold', '', 0, at, at, at, at, at
		FROM (SELECT gen_random_uuid() AS u, n, now() - interval '1 hour' + n * interval '1 ms' AS at FROM generate_series(1, $2) n) x`,
		buckets, n)
}

// TestManyInstancesSweepAtOnce: together they delete everything once.
func TestManyInstancesSweepAtOnce(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 8})
	const n = 20_000
	fill(t, pool, 8, n)
	live := claimOf("live")
	win(t, open(t, pool, postgres.Config{}), live)
	var deleted atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		s := open(t, pool, postgres.Config{SweepRate: -1})
		wg.Go(func() {
			for {
				res, err := s.Sweep(t.Context(), onceward.SweepRequest{Now: time.Now(), Limit: 1000})
				if err != nil {
					t.Error(err)
					return
				}
				deleted.Add(int64(res.Deleted))
				if b, err := s.Backlog(t.Context(), time.Now()); err != nil || b.Records == 0 {
					if err != nil {
						t.Error(err)
					}
					return
				}
			}
		})
	}
	wg.Wait()
	if deleted.Load() != n {
		t.Errorf("%d deletions of %d records", deleted.Load(), n)
	}
	if got := query[string](t, pool, "SELECT key FROM onceward_keys"); len(got) != 1 || got[0] != "live" {
		t.Errorf("left are %v", got)
	}
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 8})
	s := open(t, pool, postgres.Config{})
	if b, err := s.Backlog(t.Context(), time.Now()); err != nil || b != (postgres.Backlog{}) {
		t.Errorf("of an empty table: %+v, %v", b, err)
	}
	fill(t, pool, 8, 100)
	b, err := s.Backlog(t.Context(), time.Now())
	if err != nil || b.Records != 100 || time.Since(b.Oldest) < 30*time.Minute {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := engine(t, s).Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if b, err := s.Backlog(t.Context(), time.Now()); err != nil || b != (postgres.Backlog{Swept: 100}) {
		t.Errorf("after a sweep: %+v, %v", b, err)
	}
}

// TestSweepRate: no more than a second's worth at once, and then none without
// waiting.
func TestSweepRate(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 8})
	fill(t, pool, 8, 500)
	s := open(t, pool, postgres.Config{SweepRate: 100})
	began := time.Now()
	swept := 0
	for swept < 150 {
		res, err := s.Sweep(t.Context(), onceward.SweepRequest{Now: time.Now(), Limit: 1000})
		if err != nil || !res.More {
			t.Fatal(res, err)
		}
		swept += res.Deleted
		if most := 100 + int(time.Since(began).Seconds()*100) + 1; swept > most {
			t.Fatalf("%d swept after %v at 100 a second", swept, time.Since(began))
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 200 { // until there is nothing left to give
		if _, err := s.Sweep(ctx, onceward.SweepRequest{Now: time.Now(), Limit: 1000}); errors.Is(err, context.Canceled) {
			return
		}
	}
	t.Error("the limit knows no context")
}

// TestSweepGoesOnWhereItWas: the next one does not search where everything was
// deleted, and still finds what comes late.
func TestSweepGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 8})
	s := open(t, pool, postgres.Config{})
	now := time.Now()
	for round := range 3 {
		fill(t, pool, 8, 100) // due an hour ago: below the mark, in later rounds
		rec := win(t, s, claimOf(fmt.Sprint(round)))
		if err := s.Release(t.Context(), onceward.ReleaseRequest{Claim: rec.Claim(), Now: now}); err != nil {
			t.Fatal(err)
		}
		res, err := s.Sweep(t.Context(), onceward.SweepRequest{Now: now, Limit: 1000})
		want := 1
		if round != 1 {
			want += 100
		}
		if round == 2 {
			want += 100 // those of the round before
		}
		if err != nil || res.Deleted != want {
			t.Fatalf("round %d: deleted %d, %v; want %d", round, res.Deleted, err, want)
		}
		if now = now.Add(time.Minute); round == 1 {
			now = now.Add(2 * time.Hour) // it does not trust its mark for ever
		}
	}
}
