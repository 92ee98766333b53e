package ha_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

const quorum = "ANY 1 (n2, n3)"

// cluster is a primary and two standbys.
type cluster struct {
	primary, n2, n3 *pgtest.Server
}

// newCluster starts three servers, of which the first waits for standbys as
// synchronous_standby_names says, and makes the tables.
func newCluster(t *testing.T, synchronous string) *cluster {
	t.Helper()
	c := &cluster{}
	keep := func(s *pgtest.Server, err error) *pgtest.Server {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		return s
	}
	opts := pgtest.Options{Settings: map[string]string{
		"synchronous_standby_names":   synchronous,
		"wal_retrieve_retry_interval": "200ms",
		"shared_buffers":              "32MB",
		"max_connections":             "60",
	}}
	c.primary = keep(pgtest.Start(t.Context(), opts))
	c.n2 = keep(c.primary.Standby(t.Context(), "n2", opts))
	c.n3 = keep(c.primary.Standby(t.Context(), "n3", opts))
	await(t, c.primary, "SELECT count(*) = 2 FROM pg_stat_replication WHERE state = 'streaming' AND flush_lsn IS NOT NULL")
	if err := postgres.Migrate(t.Context(), connect(t, c.primary.DSN("postgres")), postgres.MigrateConfig{}); err != nil {
		t.Fatal(err)
	}
	return c
}

// dsn names all three servers, as an application would.
func (c *cluster) dsn() string {
	var hosts []string
	for _, s := range []*pgtest.Server{c.primary, c.n2, c.n3} {
		hosts = append(hosts, fmt.Sprintf("127.0.0.1:%d", s.Port))
	}
	return fmt.Sprintf("postgres://%s@%s/postgres?sslmode=disable&target_session_attrs=read-write", pgtest.User, strings.Join(hosts, ","))
}

// caughtUp waits until both standbys have everything.
func (c *cluster) caughtUp(t *testing.T) {
	t.Helper()
	await(t, c.primary, "SELECT count(*) = 2 FROM pg_stat_replication WHERE replay_lsn = pg_current_wal_lsn()")
}

// elect is what a careful operator does when the primary is gone: no standby
// receives any more, and then the one that has received most is promoted, and
// the other one follows it.
func (c *cluster) elect(t *testing.T) (promoted *pgtest.Server) {
	t.Helper()
	if err := errors.Join(c.n2.CutOff(t.Context()), c.n3.CutOff(t.Context())); err != nil {
		t.Fatal(err)
	}
	received := func(s *pgtest.Server) int64 {
		return query[int64](t, s, "SELECT (pg_last_wal_receive_lsn() - '0/0')::bigint")[0]
	}
	a, b := received(c.n2), received(c.n3)
	t.Logf("n2 has received %d bytes, n3 %d", a, b)
	best, rest, name := c.n2, c.n3, "n3"
	if b > a {
		best, rest, name = c.n3, c.n2, "n2"
	}
	// It starts to wait for its standby when that one has found it.
	if err := errors.Join(best.Promote(t.Context()), rest.Follow(t.Context(), best, name)); err != nil {
		t.Fatal(err)
	}
	return best
}

// promoteAlone makes s a primary that waits for nobody.
func promoteAlone(t *testing.T, s *pgtest.Server) {
	t.Helper()
	if err := errors.Join(s.Set(t.Context(), "synchronous_standby_names", ""), s.Promote(t.Context())); err != nil {
		t.Fatal(err)
	}
}

// connect returns a pool of few connections.
func connect(t *testing.T, dsn string) *pgxpool.Pool {
	t.Helper()
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func open(t *testing.T, pool *pgxpool.Pool, cfg postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), pool, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// patience is how long something may take that an overloaded machine does.
const patience = 2 * time.Minute

// query asks a server, standby or not, past the store.
func query[T any](t *testing.T, s *pgtest.Server, sql string, args ...any) []T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.DSN("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	rows, err := conn.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatal(err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// await asks a server until the answer is true.
func await(t *testing.T, s *pgtest.Server, sql string, args ...any) {
	t.Helper()
	until(t, sql, func() bool { return query[bool](t, s, sql, args...)[0] })
}

// until asks again and again.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		if holds() {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never true: %s", what)
		}
	}
}
