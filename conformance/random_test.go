package conformance_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
	"github.com/onceward/onceward/sqlitestore"
)

// Several stores, one random sequence, equal histories. The memory store is the
// specification.
func TestMetamorphic(t *testing.T) {
	t.Parallel()
	for range 2 {
		oncetest.Metamorphic(t, 0, 600,
			func(*testing.T) onceward.Store { return memstore.New() },
			func(t *testing.T) onceward.Store { return openSQLite(t, sqlitestore.Config{}) },
		)
	}
}

// The same with PostgreSQL: one table, partitions, and two databases.
func TestMetamorphicPostgres(t *testing.T) {
	t.Parallel()
	oncetest.Metamorphic(t, 0, 300,
		func(*testing.T) onceward.Store { return memstore.New() },
		func(t *testing.T) onceward.Store { return openSQLite(t, sqlitestore.Config{}) },
		onTables(postgres.MigrateConfig{}),
		onTables(postgres.MigrateConfig{Partition: true}),
		func(t *testing.T) onceward.Store {
			low, high := halves(t)
			return &swept{routed(t, low, high), []*pgxpool.Pool{low, high}}
		},
	)
}

func onTables(cfg postgres.MigrateConfig) func(t *testing.T) onceward.Store {
	return func(t *testing.T) onceward.Store {
		t.Helper()
		pool := tables(t, pgtest.Database(t), cfg)
		return &swept{openPostgres(t, pool), []*pgxpool.Pool{pool}}
	}
}
