package postgres_test

import (
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

func TestContract(t *testing.T) {
	t.Parallel()
	pool := connect(t, pgtest.Database(t))
	oncetest.Run(t, func(t *testing.T) onceward.Store { return fresh(t, pool, postgres.MigrateConfig{}) }, oncetest.Abilities()...)
}
