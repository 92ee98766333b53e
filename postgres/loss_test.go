package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

func complete(ctx context.Context, s *postgres.Store, value string) error {
	res, err := s.Claim(ctx, claimOf(value))
	if err != nil {
		return err
	}
	return s.Complete(ctx, completionOf(res.Record.Claim()))
}

// TestALossIsNoticed: a standby that lacks acknowledged writes is promoted. The
// control, a standby that has them all, is not mistaken for one.
func TestALossIsNoticed(t *testing.T) {
	t.Parallel()
	for name, stalled := range map[string]bool{"a stalled standby": true, "a standby that has everything": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			primary, direct := server(t)
			standby, err := primary.Standby(t.Context(), "s1", pgtest.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := standby.Close(); err != nil {
					t.Error(err)
				}
			})
			dsn := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=%s dbname=postgres sslmode=disable target_session_attrs=read-write",
				primary.Port, standby.Port, pgtest.User)
			pool := connect(t, dsn)
			s := open(t, pool, postgres.Config{})
			if err := complete(t.Context(), s, "before"); err != nil {
				t.Fatal(err)
			}
			await(t, direct, "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()")
			if stalled {
				if err := standby.CutOff(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			if err := complete(t.Context(), s, "after"); err != nil {
				t.Fatal(err)
			}
			if !stalled {
				await(t, direct, "SELECT count(*) = 1 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()")
			}
			if err := s.Ready(t.Context()); err != nil {
				t.Errorf("before the failover: %v", err)
			}
			if err := errors.Join(primary.Kill(), standby.Promote(t.Context())); err != nil {
				t.Fatal(err)
			}
			err = complete(t.Context(), s, "next")
			if !stalled {
				if err := errors.Join(err, s.Ready(t.Context())); err != nil {
					t.Errorf("after a failover without a loss: %v", err)
				}
				return
			}
			if !errors.Is(err, postgres.ErrWritesLost) || !strings.Contains(err.Error(), "batches") {
				t.Fatalf("after a loss: %v", err)
			}
			afterALoss(t, s, pool.Config().ConnString())
		})
	}
}

// afterALoss: nobody writes until somebody has acknowledged it.
func afterALoss(t *testing.T, s *postgres.Store, dsn string) {
	t.Helper()
	pool := connect(t, dsn)
	other := open(t, pool, postgres.Config{}) // as after a restart
	for _, s := range []*postgres.Store{s, other} {
		if err := s.Ready(t.Context()); !errors.Is(err, postgres.ErrWritesLost) {
			t.Errorf("Ready: %v", err)
		}
		if err := complete(t.Context(), s, "next"); !errors.Is(err, postgres.ErrWritesLost) {
			t.Errorf("a write: %v", err)
		}
		if _, err := s.Sweep(t.Context(), onceward.SweepRequest{Now: time.Now(), Limit: 1}); !errors.Is(err, postgres.ErrWritesLost) {
			t.Errorf("a sweep: %v", err)
		}
		if tx, err := s.Begin(t.Context(), onceward.Key{Value: "k"}); !errors.Is(err, postgres.ErrWritesLost) {
			t.Fatalf("a transaction: %v, %v", err, tx.Rollback())
		}
	}
	losses, err := postgres.Losses(t.Context(), pool, "")
	if err != nil || len(losses) != 1 || !losses[0].Acknowledged.IsZero() || !strings.Contains(losses[0].Detail, "acknowledged from") {
		t.Fatalf("losses %+v, %v", losses, err)
	}
	if n, err := postgres.AcknowledgeLosses(t.Context(), pool, "", onceward.NewOwner()); err != nil || n != 0 {
		t.Fatalf("acknowledged %d of a name that is none, %v", n, err)
	}
	// Only the program with which an operator does so writes before.
	tool := open(t, pool, postgres.Config{DespiteLosses: true})
	if err := errors.Join(tool.Ready(t.Context()), complete(t.Context(), tool, "audit")); err != nil {
		t.Errorf("the operator's program: %v", err)
	}
	if err := s.Ready(t.Context()); !errors.Is(err, postgres.ErrWritesLost) || !strings.Contains(err.Error(), "onceward losses list") {
		t.Errorf("Ready says no more what to do: %v", err)
	}
	if n, err := postgres.AcknowledgeLosses(t.Context(), pool, "", losses[0].ID); err != nil || n != 1 {
		t.Fatalf("acknowledged %d, %v", n, err)
	}
	for i, s := range []*postgres.Store{s, other} {
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("Ready after the acknowledgement: %v", err)
		}
		if err := complete(t.Context(), s, fmt.Sprint("again", i)); err != nil {
			t.Errorf("a write after the acknowledgement: %v", err)
		}
	}
}

// TestALossIsNoticedOnAConnectionThatStays: behind a pooler the server changes
// and the connection does not.
func TestALossIsNoticedOnAConnectionThatStays(t *testing.T) {
	t.Parallel()
	for _, sql := range []string{
		"UPDATE onceward_marks SET batch = batch - 1",
		"DELETE FROM onceward_marks",
	} {
		t.Run(sql, func(t *testing.T) {
			t.Parallel()
			pool := tables(t, postgres.MigrateConfig{Buckets: 1})
			s := open(t, pool, postgres.Config{Writers: 1, NoWakeups: true}) // no other connection is made
			if err := complete(t.Context(), s, "k"); err != nil {
				t.Fatal(err)
			}
			execSQL(t, pool, sql)
			if err := complete(t.Context(), s, "next"); !errors.Is(err, postgres.ErrWritesLost) {
				t.Errorf("a write: %v", err)
			}
			afterALoss(t, s, pool.Config().ConnString())
		})
	}
}

// TestAnotherStoresLoss: a store that lost nothing itself learns of it when it is
// asked whether it is ready.
func TestAnotherStoresLoss(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s, other := open(t, pool, postgres.Config{}), open(t, pool, postgres.Config{})
	if err := complete(t.Context(), s, "k"); err != nil {
		t.Fatal(err)
	}
	execSQL(t, pool, "DELETE FROM onceward_marks")
	if err := s.Ready(t.Context()); !errors.Is(err, postgres.ErrWritesLost) {
		t.Errorf("the one who lost: %v", err)
	}
	if err := other.Ready(t.Context()); !errors.Is(err, postgres.ErrWritesLost) {
		t.Errorf("the other: %v", err)
	}
}
