package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

func execSQL(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func query[T any](t *testing.T, pool *pgxpool.Pool, sql string, args ...any) []T {
	t.Helper()
	rows, err := pool.Query(t.Context(), sql, args...)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[T])
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return out
}

// catalog describes everything that a migration makes.
func catalog(t *testing.T, pool *pgxpool.Pool, schema string) []string {
	t.Helper()
	return query[string](t, pool, `
		SELECT format('%s.%s %s %s %s', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, c.reloptions)
		FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
		WHERE c.relnamespace = $1::regnamespace AND c.relkind = 'r'
		UNION ALL SELECT pg_get_indexdef(indexrelid) || indisvalid FROM pg_index JOIN pg_class c ON c.oid = indrelid
		WHERE c.relnamespace = $1::regnamespace
		UNION ALL SELECT format('%s %s %s %s', version, ready, buckets, slots) FROM `+schema+`.onceward_schema
		UNION ALL SELECT count(*)::text FROM `+schema+`.onceward_buckets
		ORDER BY 1`, schema)
}

func TestMigrateFromManyInstancesAtOnce(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	var wg sync.WaitGroup
	for range 8 {
		pool := connect(t, dsn)
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{Schema: "once"}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	pool := connect(t, dsn)
	before := catalog(t, pool, "once")
	if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{Schema: "once"}); err != nil {
		t.Fatal(err)
	}
	if after := catalog(t, pool, "once"); !slices.Equal(before, after) {
		t.Errorf("migrating again changed\n%s\ninto\n%s", strings.Join(before, "\n"), strings.Join(after, "\n"))
	}
	works(t, open(t, pool, postgres.Config{Schema: "once"}))
}

// works takes one operation through its life.
func works(t *testing.T, s *postgres.Store) {
	t.Helper()
	e := engine(t, s)
	req := onceward.Request{Key: onceward.Key{Scope: "works", Value: onceward.NewOwner().String()}, Fingerprint: []byte("f")}
	for _, replayed := range []bool{false, true} {
		out, err := e.Do(t.Context(), req, func(context.Context, *onceward.Operation) (onceward.Response, error) {
			return onceward.Response{Status: 201, Body: []byte("made")}, nil
		})
		if err != nil || out.Replayed != replayed || string(out.Response.Body) != "made" {
			t.Fatalf("replayed %v: got %+v, %v", replayed, out, err)
		}
	}
	if _, err := e.Sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func engine(t *testing.T, s onceward.Store) *onceward.Engine {
	t.Helper()
	e, err := onceward.New(s, onceward.Config{StoreTimeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// TestPrintedSQLIsWhatMigrateDoes: whoever runs the script by hand gets the same.
func TestPrintedSQLIsWhatMigrateDoes(t *testing.T) {
	t.Parallel()
	for name, partition := range map[string]bool{"a table": false, "partitions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			printedIsMigrated(t, postgres.MigrateConfig{Schema: "once", Buckets: 4, Slots: []int{0, 63}, Partition: partition})
		})
	}
}

func printedIsMigrated(t *testing.T, cfg postgres.MigrateConfig) {
	t.Helper()
	byMigrate, byHand := connect(t, pgtest.Database(t)), connect(t, pgtest.Database(t))
	if err := postgres.Migrate(t.Context(), byMigrate, cfg); err != nil {
		t.Fatal(err)
	}
	script, err := postgres.MigrationSQL(cfg)
	if err != nil {
		t.Fatal(err)
	}
	execSQL(t, byHand, script, pgx.QueryExecModeSimpleProtocol)
	a, b := catalog(t, byMigrate, "once"), catalog(t, byHand, "once")
	if !slices.Equal(a, b) {
		t.Errorf("Migrate made\n%s\nthe script\n%s", strings.Join(a, "\n"), strings.Join(b, "\n"))
	}
	if err := postgres.Migrate(t.Context(), byHand, cfg); err != nil {
		t.Errorf("migrating what the script made: %v", err)
	}
	if err := postgres.Migrate(t.Context(), byHand, postgres.MigrateConfig{Schema: "once"}); err != nil {
		t.Errorf("migrating without saying what was fixed at creation: %v", err)
	}
}

func TestOpenRefusesOtherSchemas(t *testing.T) {
	t.Parallel()
	pool := database(t)
	for _, c := range []struct{ sql, says string }{
		{"UPDATE onceward_schema SET version = 99", "run the newer program"},
		{"UPDATE onceward_schema SET version = 0", "migrate"},
		{"UPDATE onceward_schema SET version = 1, ready = false", "under way"},
		{"UPDATE onceward_schema SET ready = true, buckets = 3", "changed from outside"},
		{"DELETE FROM onceward_schema", "migrate"},
		{"DROP TABLE onceward_schema", "onceward migrate"},
	} {
		execSQL(t, pool, c.sql)
		_, err := postgres.Open(t.Context(), pool, postgres.Config{})
		if !errors.Is(err, postgres.ErrSchema) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("after %s: %v; want ErrSchema that says %q", c.sql, err, c.says)
		}
	}
	_, err := postgres.Open(t.Context(), pool, postgres.Config{Schema: "nowhere"})
	if !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("without a schema: %v", err)
	}
}

func TestMigrateRefuses(t *testing.T) {
	t.Parallel()
	pool := database(t)
	for _, c := range []struct {
		cfg  postgres.MigrateConfig
		says string
	}{
		{postgres.MigrateConfig{Buckets: 16}, "2 buckets"},
		{postgres.MigrateConfig{Buckets: 3}, "power of two"},
		{postgres.MigrateConfig{Buckets: 128}, "power of two"},
		{postgres.MigrateConfig{Distribute: true}, "distributed"},
		{postgres.MigrateConfig{Partition: true}, "partitions"},
		{postgres.MigrateConfig{Partition: true, Distribute: true}, "exclude each other"},
		{postgres.MigrateConfig{Slots: []int{1}}, "slots"},
		{postgres.MigrateConfig{Slots: []int{64}}, "slot 64"},
		{postgres.MigrateConfig{Schema: `x"; DROP TABLE onceward_keys; --`}, "lower-case"},
		{postgres.MigrateConfig{Schema: strings.Repeat("x", 64)}, "48 bytes"},
	} {
		if err := postgres.Migrate(t.Context(), pool, c.cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v: %v; want an error that says %q", c.cfg, err, c.says)
		}
	}
	execSQL(t, pool, "UPDATE onceward_schema SET version = 99")
	if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{}); !errors.Is(err, postgres.ErrSchema) {
		t.Errorf("a newer schema: %v", err)
	}
}

// TestLeastPrivilege: one role migrates, another runs, and neither can do the
// other's work.
func TestLeastPrivilege(t *testing.T) {
	t.Parallel()
	for name, partition := range map[string]bool{"a table": false, "partitions": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			leastPrivilege(t, partition)
		})
	}
}

func leastPrivilege(t *testing.T, partition bool) {
	t.Helper()
	dsn := pgtest.Database(t)
	admin := connect(t, dsn)
	migrates, runs := pgtest.Role(t), pgtest.Role(t)
	execSQL(t, admin, fmt.Sprintf("GRANT CREATE ON DATABASE %s TO %s", admin.Config().ConnConfig.Database, migrates))
	cfg := postgres.MigrateConfig{Schema: "once", Grant: runs, Partition: partition}
	if err := postgres.Migrate(t.Context(), connect(t, pgtest.As(t, dsn, runs)), cfg); err == nil {
		t.Error("the running role can migrate")
	}
	if err := postgres.Migrate(t.Context(), connect(t, pgtest.As(t, dsn, migrates)), cfg); err != nil {
		t.Fatal(err)
	}
	pool := connect(t, pgtest.As(t, dsn, runs))
	works(t, open(t, pool, postgres.Config{Schema: "once"}))
	for _, sql := range []string{
		"DROP TABLE once.onceward_keys",
		"TRUNCATE once.onceward_keys",
		"ALTER TABLE once.onceward_keys ADD COLUMN x int",
		"CREATE TABLE once.x (x int)",
		"UPDATE once.onceward_schema SET version = 2",
		"DELETE FROM once.onceward_buckets",
		"DELETE FROM once.onceward_losses",
		"SELECT FROM once.onceward_migration",
	} {
		if _, err := pool.Exec(t.Context(), sql); err == nil || !strings.Contains(err.Error(), "42501") {
			t.Errorf("the running role may %s: %v", sql, err)
		}
	}
}

// TestTableSettings: what keeps the table small comes with it.
func TestTableSettings(t *testing.T) {
	t.Parallel()
	partitions := tables(t, postgres.MigrateConfig{Partition: true, Buckets: 8})
	for name, pool := range map[string]*pgxpool.Pool{"onceward_keys": database(t), "onceward_keys_0": partitions, "onceward_keys_7": partitions} {
		got := query[string](t, pool, "SELECT unnest(reloptions) FROM pg_class WHERE relname = $1 ORDER BY 1", name)
		for _, want := range []string{"fillfactor=85", "autovacuum_vacuum_scale_factor=0.02", "autovacuum_vacuum_cost_delay=0"} {
			if !slices.Contains(got, want) {
				t.Errorf("%s: no %s in %v", name, want, got)
			}
		}
	}
}
