package postgres

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// TestConnectionsOutgrow: a store replaces its connections while its table grows
// from nothing, and not for ever.
func TestConnectionsOutgrow(t *testing.T) {
	t.Parallel()
	var g growth
	w := &wire{}
	replaced := 0
	for ops := int64(0); ops < 10*growthEnd; ops += 500 {
		g.ops.Store(ops)
		if g.outgrown(w) {
			w = &wire{born: ops}
			replaced++
		}
	}
	if replaced < 10 || replaced > 20 {
		t.Errorf("a connection was replaced %d times", replaced)
	}
	late := &wire{born: growthEnd}
	if g.outgrown(late) {
		t.Error("replaced although the table is large")
	}
}

// TestPlansUseTheKey: on a table of some size, which nobody has analysed, a
// statement finds its rows by the primary key; in partitions, in that of its
// bucket and no other.
func TestPlansUseTheKey(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		cfg  MigrateConfig
		rows int
	}{
		"of a table":      {MigrateConfig{}, 20_000},
		"of a table soon": {MigrateConfig{}, 500},
		"of a partition":  {MigrateConfig{Partition: true, Buckets: 8}, 20_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			plansUseTheKey(t, c.cfg, c.rows)
		})
	}
}

func plansUseTheKey(t *testing.T, cfg MigrateConfig, rows int) {
	t.Helper()
	pool := newDatabase(t)
	if err := Migrate(t.Context(), pool, cfg); err != nil {
		t.Fatal(err)
	}
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	run := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatal(err)
		}
	}
	table, key := keysTable, keysTable+"_pkey"
	if cfg.Partition {
		table, key = partition(keysTable, 0), partition(keysTable, 0)+"_pkey"
	}
	run("ALTER TABLE " + table + " SET (autovacuum_enabled = off)")
	run(`INSERT INTO onceward_keys (bucket, id, scope, key, status, token, owner, attempt, seq, kind, policy,
		fingerprint, retention_ns, claimed_at, lease_until, expires_at, due, resp_body)
		SELECT n % 8, gen_random_uuid(), '', n::text, 'COMPLETED', n, gen_random_uuid(), 1, n, '', 'hold', '', 0, now(), now(), now(), now(), decode(repeat('00', 500), 'hex')
		FROM generate_series(1, ` + strconv.Itoa(rows) + `) n`)
	if cfg.Partition {
		// Until autovacuum has been there small partitions are read as a whole.
		run("ANALYZE onceward_keys")
	}
	run("SET plan_cache_mode = force_generic_plan")
	sql := newStatements(defaultSchema)
	for name, text := range map[string]string{
		"renew": sql.renew, "checkpoint": sql.checkpoint, "complete": sql.complete, "release": sql.release, "read": sql.read,
	} {
		if name == "read" && rows < 1000 {
			continue // it has no way to know better, and is seldom
		}
		run("PREPARE " + name + " AS " + text)
		params := regexp.MustCompile(`\$\d+`).FindAllString(text, -1)
		seen := map[string]bool{}
		for _, p := range params {
			seen[p] = true
		}
		rows, err := conn.Query(t.Context(), fmt.Sprintf("EXPLAIN EXECUTE %s (0%s)", name, strings.Repeat(", NULL", len(seen)-1)), pgx.QueryExecModeSimpleProtocol)
		if err != nil {
			t.Fatal(err)
		}
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatal(err)
		}
		if text := strings.Join(plan, "\n"); !strings.Contains(text, key) || !strings.Contains(text, " AND (id = ") || strings.Contains(text, "Seq Scan on onceward_keys") ||
			strings.Contains(text, "on "+partition(keysTable, 1)+" ") && !strings.Contains(text, "Subplans Removed: 7") {
			t.Errorf("%s:\n%s", name, text)
		}
	}
}
