package postgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// order is a handler that writes a business row.
func order(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
	tx, err := postgres.Tx(ctx)
	if err != nil {
		return onceward.Response{}, err
	}
	if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES ('pen')"); err != nil {
		return onceward.Response{}, err
	}
	return onceward.Response{Status: 201}, nil
}

func orderRequest() onceward.Request {
	return onceward.Request{Key: onceward.Key{Scope: "s", Value: "order"}, Fingerprint: []byte("f"), InTx: true}
}

func orders(t *testing.T, pool *pgxpool.Pool) int {
	t.Helper()
	return query[int](t, pool, "SELECT count(*) FROM orders")[0]
}

// runChild is this binary as a process that will be killed.
func runChild() {
	dsn, point := os.Getenv("ONCEWARD_TEST_DSN"), os.Getenv("ONCEWARD_TEST_POINT")
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, dsn)
	fail(err)
	s, err := postgres.Open(ctx, pool, postgres.Config{})
	fail(err)
	e, err := onceward.New(s, onceward.Config{Lease: 2 * time.Second})
	fail(err)
	reached := func() {
		fmt.Fprintln(os.Stdout, "reached")
		select {} // until killed
	}
	_, err = e.Do(ctx, orderRequest(), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		resp, err := order(ctx, op)
		if point == "before commit" {
			reached()
		}
		return resp, err
	})
	fail(err)
	reached()
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stdout, "failed:", err)
		os.Exit(1)
	}
}

// TestAProcessKilledAroundItsCommit: killed before it nothing has happened and
// the retry runs; killed after it the retry replays.
func TestAProcessKilledAroundItsCommit(t *testing.T) {
	t.Parallel()
	for point, replayed := range map[string]bool{"before commit": false, "after commit": true} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			pool := database(t)
			execSQL(t, pool, "CREATE TABLE orders (item text)")
			child := exec.Command(os.Args[0], "-test.run=^$") //nolint:noctx // killed below
			child.Env = append(os.Environ(), "ONCEWARD_TEST_DSN="+pool.Config().ConnString(), "ONCEWARD_TEST_POINT="+point)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err := errors.Join(err, child.Process.Kill()); err != nil || strings.TrimSpace(line) != "reached" {
				t.Fatalf("the process said %q, %v", line, err)
			}
			_ = child.Wait() // it was killed
			want := 0
			if replayed {
				want = 1
			}
			if got := orders(t, pool); got != want {
				t.Fatalf("%d orders of the killed process, want %d", got, want)
			}
			req := orderRequest()
			req.Wait = 60 * time.Second // for the lease of the dead
			res, err := engine(t, open(t, pool, postgres.Config{})).Do(t.Context(), req, order)
			if err != nil || res.Replayed != replayed || res.Response.Status != 201 {
				t.Errorf("the retry: %+v, %v", res, err)
			}
			if got := orders(t, pool); got != 1 {
				t.Errorf("%d orders in the end", got)
			}
		})
	}
}

func TestTransactionRollsBackWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	pool := database(t)
	execSQL(t, pool, "CREATE TABLE orders (item text)")
	e := engine(t, open(t, pool, postgres.Config{}))
	errNo := errors.New("no")
	for name, h := range map[string]onceward.Handler{
		"an error": func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			_, err := order(ctx, op)
			return onceward.Response{}, errors.Join(err, errNo)
		},
		"a refusal": func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			_, err := order(ctx, op)
			return onceward.Response{Status: 422}, err
		},
		"a failed statement that was ignored": func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			resp, err := order(ctx, op)
			tx, txErr := postgres.Tx(ctx)
			if txErr == nil {
				_, _ = tx.Exec(ctx, "SELECT 1/0")
			}
			return resp, errors.Join(err, txErr)
		},
		"a broken connection": func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			resp, err := order(ctx, op)
			tx, txErr := postgres.Tx(ctx)
			if txErr == nil {
				_, _ = pool.Exec(ctx, "SELECT pg_terminate_backend($1)", tx.Conn().PgConn().PID())
			}
			return resp, errors.Join(err, txErr)
		},
	} {
		if out, err := e.Do(t.Context(), orderRequest(), h); out.Kept {
			t.Errorf("%s: kept, %v", name, err)
		}
		if got := orders(t, pool); got != 0 {
			t.Errorf("%s: %d orders", name, got)
		}
	}
	if out, err := e.Do(t.Context(), orderRequest(), order); err != nil || !out.Kept || orders(t, pool) != 1 {
		t.Errorf("then: %+v, %v, %d orders", out, err, orders(t, pool))
	}
}

// TestAStaleTransactionIsRolledBack: its owner was too slow, and another has
// taken over.
func TestAStaleTransactionIsRolledBack(t *testing.T) {
	t.Parallel()
	pool := database(t)
	execSQL(t, pool, "CREATE TABLE orders (item text)")
	s := open(t, pool, postgres.Config{})
	e := engine(t, s)
	_, err := e.Do(t.Context(), orderRequest(), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		resp, err := order(ctx, op)
		later := claimOf("order")
		later.Now = op.Record().LeaseUntil.Add(time.Second)
		later.LeaseUntil = later.Now.Add(time.Hour)
		if res, claimErr := s.Claim(ctx, later); claimErr != nil || !res.TookOver {
			t.Errorf("takeover: %+v, %v", res, claimErr)
		}
		return resp, err
	})
	if err == nil || orders(t, pool) != 0 {
		t.Errorf("the stale owner: %v, %d orders", err, orders(t, pool))
	}
}

func TestATransactionIsNotTheHandlersToEnd(t *testing.T) {
	t.Parallel()
	pool := database(t)
	execSQL(t, pool, "CREATE TABLE orders (item text)")
	e := engine(t, open(t, pool, postgres.Config{}))
	_, err := e.Do(t.Context(), orderRequest(), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		resp, err := order(ctx, op)
		tx, txErr := postgres.Tx(ctx)
		if err := errors.Join(err, txErr); err != nil {
			return resp, err
		}
		if tx.Commit(ctx) == nil || tx.Rollback(ctx) == nil {
			t.Error("the handler may end it")
		}
		_, err = tx.Exec(ctx, "COMMIT") // by force
		return resp, err
	})
	if onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
		t.Errorf("a transaction that was ended by force: %v, want it held", err)
	}
}

// TestATransactionsCommitBreaks: it has happened, and the client gets its answer.
func TestATransactionsCommitBreaks(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	direct := connect(t, dsn)
	if err := postgres.Migrate(t.Context(), direct, postgres.MigrateConfig{}); err != nil {
		t.Fatal(err)
	}
	execSQL(t, direct, "CREATE TABLE orders (item text)")
	pool, proxy := through(t, direct)
	e := engine(t, open(t, pool, postgres.Config{}))
	out, err := e.Do(t.Context(), orderRequest(), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		resp, err := order(ctx, op)
		proxy.cut.Store(1)
		return resp, err
	})
	if err != nil || !out.Kept || proxy.cuts.Load() != 1 || orders(t, direct) != 1 {
		t.Errorf("%+v, %v, %d cuts, %d orders", out, err, proxy.cuts.Load(), orders(t, direct))
	}
}
