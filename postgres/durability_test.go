package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// server starts a server of the test's own, with the tables in it.
func server(t *testing.T) (*pgtest.Server, *pgxpool.Pool) {
	t.Helper()
	srv, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Error(err)
		}
	})
	pool := connect(t, srv.DSN("postgres"))
	if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{Buckets: 1}); err != nil {
		t.Fatal(err)
	}
	return srv, pool
}

// standbys makes every commit wait for a standby, which there is none of, or not.
func standbys(t *testing.T, srv *pgtest.Server, names string) {
	t.Helper()
	for _, sql := range []string{"ALTER SYSTEM SET synchronous_standby_names = '" + names + "'", "SELECT pg_reload_conf()"} {
		if err := srv.Exec(t.Context(), "postgres", sql); err != nil {
			t.Fatal(err)
		}
	}
}

const waitingForStandbys = "SELECT count(*) = $1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND backend_type = 'client backend'"

// commitsWait returns once commits do wait. It is the checkpointer that tells
// everybody, some time after the setting can be read.
func commitsWait(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for time.Now().Before(deadline) {
		committed := make(chan error, 1)
		go func() {
			_, err := pool.Exec(t.Context(), "SELECT pg_logical_emit_message(true, 'probe', '')")
			committed <- err
		}()
		for ended := false; !ended; {
			select {
			case err := <-committed:
				if err != nil {
					t.Fatal(err)
				}
				ended = true // without waiting
			case <-tick.C:
				if !query[bool](t, pool, waitingForStandbys, 1)[0] {
					continue
				}
				query[bool](t, pool, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
				if err := <-committed; err != nil {
					t.Fatal(err)
				}
				return
			}
		}
	}
	t.Fatal("commits do not wait for standbys")
}

// TestACommitsWaitForStandbysIsNeverCancelled: neither by the caller's context,
// nor does the store believe the server that gave up waiting, nor answer anybody
// from what only that server has.
func TestACommitsWaitForStandbysIsNeverCancelled(t *testing.T) {
	t.Parallel()
	srv, pool := server(t)
	s := open(t, pool, postgres.Config{})
	rec := win(t, s, claimOf("k"))
	other := win(t, s, claimOf("other"))
	standbys(t, srv, "ANY 1 (nobody)")
	commitsWait(t, pool)

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Complete(ctx, completionOf(rec.Claim())) }()
	await(t, pool, waitingForStandbys, 1)
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the caller got %v", err)
	}
	if !query[bool](t, pool, waitingForStandbys, 1)[0] {
		t.Error("the commit does not wait any more")
	}
	const status = "SELECT status FROM onceward_keys WHERE key = $1"
	if got := query[string](t, pool, status, "k")[0]; got != "STARTED" {
		t.Errorf("%s although no standby has it", got)
	}

	// An administrator's cancel publishes what no standby has ...
	const cancelled = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	query[bool](t, pool, cancelled)
	await(t, pool, "SELECT status = 'COMPLETED' FROM onceward_keys WHERE key = 'k'")
	// ... which nobody gets as an answer before a standby has it.
	reader := open(t, pool, postgres.Config{})
	read := make(chan error, 1)
	go func() {
		got, err := reader.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: time.Now()})
		if err == nil && got.Status != onceward.StatusCompleted {
			err = errors.New("it is " + string(got.Status))
		}
		read <- err
	}()
	await(t, pool, waitingForStandbys, 1)
	select {
	case err := <-read:
		t.Errorf("answered from what only the primary has: %v", err)
	default:
	}

	// And the store takes the warning for what it is.
	go func() { done <- s.Complete(t.Context(), completionOf(other.Claim())) }()
	await(t, pool, waitingForStandbys, 2)
	await(t, pool, "SELECT bool_and(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query ILIKE 'commit'")
	if err := <-done; !errors.Is(err, postgres.ErrUnsure) {
		t.Errorf("a commit that gave up waiting for its standbys: %v", err)
	}
	standbys(t, srv, "")
	// The administrator has cancelled the reader's wait, too.
	if err := <-read; err != nil && !errors.Is(err, postgres.ErrUnsure) {
		t.Errorf("the reader got %v", err)
	}
	if err := s.Complete(t.Context(), completionOf(other.Claim())); err != nil {
		t.Errorf("asking again: %v", err)
	}
}

// TestAServerThatDoesNotAnswer: the connection is given up, nothing is cancelled,
// and asking again tells what became of it.
func TestAServerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{WriteTimeout: 5 * time.Second, Writers: 1})
	win(t, s, claimOf("prepared")) // what follows is sent at once
	lift := blockade(t, pool)
	req := claimOf("k")
	if _, err := s.Claim(t.Context(), req); !errors.Is(err, postgres.ErrUnsure) {
		t.Errorf("no answer in time: %v", err)
	}
	if !query[bool](t, pool, waiting, "Lock", 1)[0] {
		t.Error("the statement was cancelled on the server")
	}
	lift()
	await(t, pool, "SELECT count(*) = 2 FROM onceward_keys") // it was carried out all the same
	patient := open(t, pool, postgres.Config{})
	res, err := patient.Claim(t.Context(), req)
	if err != nil || !res.Won || res.TookOver {
		t.Errorf("asking again: won %v, took over %v, %v", res.Won, res.TookOver, err)
	}
}

// TestTheServerRestarts: what was acknowledged stands, and the store goes on.
func TestTheServerRestarts(t *testing.T) {
	t.Parallel()
	srv, pool := server(t)
	s := open(t, pool, postgres.Config{})
	rec := win(t, s, claimOf("k"))
	if err := srv.Kill(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Claim(t.Context(), claimOf("down")); err == nil {
		t.Error("a claim succeeded while the server was down")
	}
	if err := srv.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Complete(t.Context(), completionOf(rec.Claim())); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	works(t, s)
}
