package pgtest_test

import (
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/onceward/onceward/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

func answer(t *testing.T, dsn, sql string) (out string) {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if err := conn.QueryRow(t.Context(), sql).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	a, b := pgtest.Database(t), pgtest.Database(t)
	if a == b || answer(t, a, "SELECT current_database()") == answer(t, b, "SELECT current_database()") {
		t.Fatalf("%s and %s are one database", a, b)
	}
	role := pgtest.Role(t)
	if got := answer(t, pgtest.As(t, a, role), "SELECT current_user"); got != role {
		t.Fatalf("connected as %s, want %s", got, role)
	}
}

func TestBouncerLeadsThrough(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	through := pgtest.Bouncer(t, dsn)
	if dsn == through || answer(t, dsn, "SELECT current_database()") != answer(t, through, "SELECT current_database()") {
		t.Fatalf("%s does not lead to %s", through, dsn)
	}
}

func TestStandbyReplicatesAndIsPromoted(t *testing.T) {
	t.Parallel()
	primary, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer primary.Close()
	if err := primary.Exec(t.Context(), "postgres", "CREATE TABLE kept (x text); INSERT INTO kept VALUES ('here')"); err != nil {
		t.Fatal(err)
	}
	standby, err := primary.Standby(t.Context(), "s1", pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close()
	if err := primary.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, standby.DSN("postgres"), "SELECT x FROM kept"); got != "here" {
		t.Fatalf("the standby has %q", got)
	}
	if err := primary.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := answer(t, primary.DSN("postgres"), "SELECT x FROM kept"); got != "here" {
		t.Fatalf("after the crash there is %q", got)
	}
}

func TestProcessorTimeOutlivesSessions(t *testing.T) {
	t.Parallel()
	s, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	before, err := s.CPU()
	if err != nil {
		t.Fatal(err)
	}
	// A session that works, and is gone when it is counted.
	if got := answer(t, s.DSN("postgres"), "SELECT count(*)::text FROM generate_series(1, 3000000)"); got != "3000000" {
		t.Fatal(got)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		after, err := s.CPU()
		if err != nil {
			t.Fatal(err)
		}
		if after-before >= 50*time.Millisecond {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("it used %v, and %v after three million rows", before, after)
		}
	}
}
