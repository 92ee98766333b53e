package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// TestContractBehindPgBouncer: in transaction mode, where a session is no session
// and every transaction may get another connection.
func TestContractBehindPgBouncer(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"cache_describe", "exec"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			pool := connect(t, pgtest.Bouncer(t, pgtest.Database(t))+"&default_query_exec_mode="+mode)
			oncetest.Run(t, func(t *testing.T) onceward.Store { return fresh(t, pool, postgres.MigrateConfig{}) }, oncetest.Everything()...)
		})
	}
}

func TestMigrateBehindPgBouncerFromManyInstances(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Bouncer(t, pgtest.Database(t)) + "&default_query_exec_mode=exec"
	var wg sync.WaitGroup
	for range 4 {
		pool := connect(t, dsn)
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	works(t, open(t, connect(t, dsn), postgres.Config{}))
}

// TestTransactionsBehindPgBouncer: a handler's rows and its record.
func TestTransactionsBehindPgBouncer(t *testing.T) {
	t.Parallel()
	direct := database(t)
	execSQL(t, direct, "CREATE TABLE orders (item text)")
	dsn := pgtest.Bouncer(t, direct.Config().ConnString()) + "&default_query_exec_mode=cache_describe"
	e := engine(t, open(t, connect(t, dsn), postgres.Config{}))
	for _, replayed := range []bool{false, true} {
		out, err := e.Do(t.Context(), orderRequest(), order)
		if err != nil || out.Replayed != replayed {
			t.Errorf("replayed %v: %+v, %v", replayed, out, err)
		}
	}
	if got := orders(t, direct); got != 1 {
		t.Errorf("%d orders", got)
	}
}

func TestModesThatCannotWorkAreRefused(t *testing.T) {
	t.Parallel()
	dsn := migrated(t)
	for _, mode := range []string{"simple_protocol", "describe_exec"} {
		pool := connect(t, dsn+"&default_query_exec_mode="+mode)
		if _, err := postgres.Open(t.Context(), pool, postgres.Config{}); err == nil || !strings.Contains(err.Error(), "cache_describe") {
			t.Errorf("%s: %v; want an error that says what to use", mode, err)
		}
	}
}

// TestSeveralHosts: the store finds the primary among them, and a standby alone
// is refused.
func TestSeveralHosts(t *testing.T) {
	t.Parallel()
	primary, _ := server(t)
	standby, err := primary.Standby(t.Context(), "s1", pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer standby.Close()
	both := fmt.Sprintf("host=127.0.0.1,127.0.0.1 port=%d,%d user=%s dbname=postgres sslmode=disable target_session_attrs=read-write",
		standby.Port, primary.Port, pgtest.User)
	works(t, open(t, connect(t, both), postgres.Config{}))
	_, err = postgres.Open(context.WithoutCancel(t.Context()), connect(t, standby.DSN("postgres")), postgres.Config{})
	if !errors.Is(err, postgres.ErrReadOnly) {
		t.Errorf("on a standby: %v", err)
	}
}
