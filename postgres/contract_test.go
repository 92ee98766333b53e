package postgres_test

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// fresh opens a store on tables of its own, in a new schema of the database.
func fresh(t *testing.T, pool *pgxpool.Pool, cfg postgres.MigrateConfig) *postgres.Store {
	t.Helper()
	cfg.Schema = "s" + strings.ReplaceAll(onceward.NewOwner().String(), "-", "")
	if err := postgres.Migrate(t.Context(), pool, cfg); err != nil {
		t.Fatal(err)
	}
	return open(t, pool, postgres.Config{Schema: cfg.Schema, Writers: 2})
}

// TestContract runs on a throwaway server, or where ONCEWARD_DSN says: on plain
// and on partitioned tables, and where Citus is installed on distributed ones.
func TestContract(t *testing.T) {
	t.Parallel()
	dsn := os.Getenv("ONCEWARD_DSN")
	if dsn == "" {
		dsn = pgtest.Database(t)
	}
	pool := connect(t, dsn)
	modes := map[string]postgres.MigrateConfig{"plain": {}, "partitioned": {Partition: true, Buckets: 4}}
	if query[bool](t, pool, "SELECT count(*) > 0 FROM pg_extension WHERE extname = 'citus'")[0] {
		modes = map[string]postgres.MigrateConfig{"distributed": {Distribute: true}}
	}
	for name, cfg := range modes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			oncetest.Run(t, func(t *testing.T) onceward.Store {
				s := fresh(t, pool, cfg)
				t.Cleanup(func() { dropSchema(t, pool, s.Schema()) })
				return s
			}, oncetest.Everything()...)
		})
	}
}

// dropSchema leaves nothing behind on a server that is not ours.
func dropSchema(t *testing.T, pool *pgxpool.Pool, schema string) {
	t.Helper()
	if _, err := pool.Exec(context.WithoutCancel(t.Context()), "DROP SCHEMA "+schema+" CASCADE"); err != nil {
		t.Error(err)
	}
}
