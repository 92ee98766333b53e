package postgres

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward/postgres/pgtest"
)

func newDatabase(t *testing.T) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

// TestIndexesAreBuiltConcurrently: a later version adds an index to a table that
// holds rows and is being written to. A transaction that has written, and is
// still open, would block a plain CREATE INDEX, and the index any other writer.
func TestIndexesAreBuiltConcurrently(t *testing.T) {
	t.Parallel()
	for name, partition := range map[string]bool{"on a table": false, "on partitions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			buildConcurrently(t, MigrateConfig{Schema: defaultSchema, Partition: partition})
		})
	}
}

func buildConcurrently(t *testing.T, cfg MigrateConfig) {
	t.Helper()
	pool := newDatabase(t)
	if err := migrate(t.Context(), pool, cfg, migrations); err != nil {
		t.Fatal(err)
	}
	const insert = `INSERT INTO onceward_keys (bucket, id, scope, key, status, token, owner, attempt, seq, kind, policy,
		fingerprint, retention_ns, claimed_at, lease_until, expires_at, due)
		SELECT 0, gen_random_uuid(), '', n::text, 'STARTED', n, gen_random_uuid(), 1, n, '', 'hold', '', 0, now(), now(), now(), now()
		FROM generate_series(1, $1) n`
	if _, err := pool.Exec(t.Context(), insert, 1000); err != nil {
		t.Fatal(err)
	}
	// The leftover of a build that was interrupted.
	leftover, on := "onceward_second", keysTable
	if cfg.Partition {
		leftover, on = partition(leftover, 0), partition(on, 0)
	}
	if _, err := pool.Exec(t.Context(), `CREATE INDEX `+leftover+` ON `+on+` (policy)`); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `UPDATE pg_index SET indisvalid = false WHERE indexrelid = '`+leftover+`'::regclass`); err != nil {
		t.Fatal(err)
	}
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), insert, 1); err != nil {
		t.Fatal(err)
	}
	next := append(slices.Clip(migrations), migration{
		indexes: []index{{"onceward_second", "onceward_keys", "(bucket, kind)"}},
	})
	done := make(chan error, 1)
	go func() { done <- migrate(t.Context(), pool, cfg, next) }()
	awaitBuild(t, pool)
	// It waits for the open transaction, and nobody waits for it.
	if _, err := pool.Exec(t.Context(), insert, 1); err != nil {
		t.Fatal(err)
	}
	if err := tx.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"onceward_second", leftover} {
		var def string
		var valid bool
		err = pool.QueryRow(t.Context(), "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", name).Scan(&def, &valid)
		if err != nil || !valid || !strings.Contains(def, "kind)") {
			t.Errorf("the index is %s, valid %v, %v", def, valid, err)
		}
	}
	l, err := queryLayout(t.Context(), pool, defaultSchema)
	if err != nil || l.version != 2 || !l.ready {
		t.Errorf("layout %+v, %v", l, err)
	}
	if _, err := Open(t.Context(), pool, Config{}); err == nil || !strings.Contains(err.Error(), "newer program") {
		t.Errorf("opened by the older program: %v", err)
	}
}

// awaitBuild waits until an index is being built and waits for somebody.
func awaitBuild(t *testing.T, pool *pgxpool.Pool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		var n int
		err := pool.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "+
			"AND query LIKE '% INDEX %' AND query NOT LIKE '%pg_stat_activity%' AND wait_event_type = 'Lock'",
			pgx.QueryExecModeExec).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("no index waits for the transaction that is open")
		}
	}
}
