package postgres

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

func newStore(t *testing.T) (*Store, *pgxpool.Pool) {
	t.Helper()
	pool := newDatabase(t)
	if err := Migrate(t.Context(), pool, MigrateConfig{Buckets: 1}); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), pool, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s, pool
}

func claimAt(now time.Time, token int64) onceward.ClaimRequest {
	return onceward.ClaimRequest{
		Key: onceward.Key{Value: "k"}, Owner: onceward.NewOwner(), Token: token, Policy: onceward.Hold,
		Now: now, LeaseUntil: now.Add(time.Minute), ExpiresAt: onceward.Never, Retention: time.Hour,
	}
}

// TestACheckpointFromABrokenConnectionComesLate: it may not undo the ones that
// the same claim has made since.
func TestACheckpointFromABrokenConnectionComesLate(t *testing.T) {
	t.Parallel()
	s, pool := newStore(t)
	res, err := s.Claim(t.Context(), claimAt(time.Now(), 1))
	if err != nil {
		t.Fatal(err)
	}
	late := s.writer.clock.next()
	both := []onceward.Checkpoint{{Name: "a"}, {Name: "b"}}
	if err := s.Checkpoint(t.Context(), onceward.CheckpointRequest{Claim: res.Record.Claim(), Checkpoints: both}); err != nil {
		t.Fatal(err)
	}
	ct, err := pool.Exec(t.Context(), s.sql.checkpoint, int16(0), []pgtype.UUID{pgUUID(res.Record.Key.ID())}, []int64{res.Record.Token},
		[]pgtype.UUID{pgUUID(res.Record.Owner)}, [][]byte{codec.EncodeCheckpoints(both[:1])}, []int64{late})
	if err != nil || ct.RowsAffected() != 0 {
		t.Errorf("the late statement changed %d rows, %v", ct.RowsAffected(), err)
	}
	rec, err := s.Get(t.Context(), onceward.GetRequest{Key: res.Record.Key, Now: time.Now()})
	if err != nil || len(rec.Checkpoints) != 2 {
		t.Errorf("%d checkpoints are left, %v", len(rec.Checkpoints), err)
	}
}

// TestAClaimMeetsASweep: the claim waits for the row that a sweep is deleting,
// and its proposed token, of a clock that is wrong, is below the one deleted.
func TestAClaimMeetsASweep(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"of a store at work": false, "as a store's first": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			claimMeetsSweep(t, first)
		})
	}
}

// claimMeetsSweep claims with a store that has written before, or with another.
func claimMeetsSweep(t *testing.T, first bool) {
	t.Helper()
	s, pool := newStore(t)
	const high = math.MaxInt64 - 1000
	old := claimAt(time.Now(), high)
	old.ExpiresAt = old.LeaseUntil
	if _, err := s.Claim(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	claimant := s
	if first {
		var err error
		if claimant, err = Open(t.Context(), pool, Config{}); err != nil {
			t.Fatal(err)
		}
		defer claimant.Close(t.Context())
	}
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	now := old.ExpiresAt.Add(time.Minute)
	w := window{bucket: 0, high: now, now: now, limit: 10, last: true}
	claimed := make(chan onceward.ClaimResult, 1)
	// The sweep has deleted, and has not committed.
	deleted, err := s.deleteWindow(t.Context(), conn.Conn(), &w, func() {
		go func() {
			res, err := claimant.Claim(t.Context(), claimAt(now, 1))
			if err != nil {
				t.Error(err)
			}
			claimed <- res
		}()
		awaitLock(t, pool)
	})
	if err != nil || deleted != 1 {
		t.Fatalf("swept %d, %v", deleted, err)
	}
	res := <-claimed
	if !res.Won || res.Record.Token <= high {
		t.Errorf("won %v with token %d after %d was swept", res.Won, res.Record.Token, int64(high))
	}
}

func awaitLock(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	for waits := false; !waits; {
		err := pool.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
			pgx.QueryExecModeExec).Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWave: no key twice in a transaction, except where one answer tells the
// other, and never too much at once.
func TestWave(t *testing.T) {
	t.Parallel()
	id := func(b byte) onceward.ID { return onceward.ID{b} }
	ops := []*op{
		{kind: kindRead, id: id(9)},
		{kind: kindClaim, id: id(5)},
		{kind: kindClaim, id: id(5)},
		{kind: kindRead, id: id(9)},
		{kind: kindComplete, id: id(5)},
		{kind: kindClaim, id: id(5)}, // not before the completion
		{kind: kindComplete, id: id(1), bytes: maxBatchBytes},
		{kind: kindComplete, id: id(2), bytes: 1},
		{kind: kindRenew, id: id(2)}, // not before its completion
	}
	var sizes [][2]int
	for rest := ops; len(rest) > 0; {
		now, followers, left := wave(rest)
		seen := map[onceward.ID]bool{}
		for _, o := range now {
			if seen[o.id] {
				t.Fatalf("%v twice in a transaction", o.id)
			}
			seen[o.id] = true
		}
		for _, o := range followers {
			if o.leader == nil || !seen[o.id] {
				t.Fatalf("%v follows what is not in the transaction", o.id)
			}
		}
		sizes = append(sizes, [2]int{len(now), len(followers)})
		rest = left
	}
	want := [][2]int{{3, 2}, {2, 0}, {2, 0}}
	if len(sizes) != len(want) || sizes[0] != want[0] || sizes[1] != want[1] || sizes[2] != want[2] {
		t.Errorf("waves of %v, want %v", sizes, want)
	}
}
