package conformance_test

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/sqlitestore"
)

// order is a handler that writes a business row.
func order(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
	tx, err := sqlitestore.Tx(ctx)
	if err != nil {
		return onceward.Response{}, err
	}
	_, err = tx.ExecContext(ctx, "INSERT INTO orders VALUES ('pen')")
	return onceward.Response{Status: 201}, err
}

func orderRequest() onceward.Request {
	return onceward.Request{Key: onceward.Key{Scope: "s", Value: "order"}, Fingerprint: []byte("f"), InTx: true}
}

// openOrders opens a file that has records and orders in it.
func openOrders(ctx context.Context, file string) (*sql.DB, *onceward.Engine, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, nil, err
	}
	s, err := sqlitestore.Open(ctx, db, sqlitestore.Config{})
	if err != nil {
		return nil, nil, err
	}
	if _, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS orders (item TEXT)"); err != nil {
		return nil, nil, err
	}
	e, err := onceward.New(s, onceward.Config{Lease: 2 * time.Second, StoreTimeout: 30 * time.Second})
	return db, e, err
}

// orderUntilKilled is this binary as a process that will be killed.
func orderUntilKilled() {
	ctx := context.Background()
	reached := func(err error) {
		fmt.Fprintln(os.Stdout, "reached", err)
		select {} // until killed
	}
	_, e, err := openOrders(ctx, os.Getenv("ONCEWARD_TEST_FILE"))
	if err != nil {
		reached(err)
	}
	_, err = e.Do(ctx, orderRequest(), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		resp, err := order(ctx, op)
		if os.Getenv(orderEnv) == "before commit" {
			reached(err)
		}
		return resp, err
	})
	reached(err)
}

// TestSQLiteProcessKilledAroundItsCommit: killed before it nothing has happened
// and the retry runs; killed after it the retry replays.
func TestSQLiteProcessKilledAroundItsCommit(t *testing.T) {
	t.Parallel()
	for point, replayed := range map[string]bool{"before commit": false, "after commit": true} {
		t.Run(point, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "once.db")
			child := exec.Command(os.Args[0], "-test.run=^$") //nolint:noctx // killed below
			child.Env = append(os.Environ(), "ONCEWARD_TEST_FILE="+file, orderEnv+"="+point)
			out, err := child.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := child.Start(); err != nil {
				t.Fatal(err)
			}
			line, err := bufio.NewReader(out).ReadString('\n')
			if err := errors.Join(err, child.Process.Kill()); err != nil || strings.TrimSpace(line) != "reached <nil>" {
				t.Fatalf("the process said %q, %v", line, err)
			}
			_ = child.Wait() // it was killed
			db, e, err := openOrders(t.Context(), file)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			counts := func(want int) {
				t.Helper()
				var got int
				if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM orders").Scan(&got); err != nil || got != want {
					t.Fatalf("%d orders, %v; want %d", got, err, want)
				}
			}
			if replayed {
				counts(1)
			} else {
				counts(0)
			}
			req := orderRequest()
			req.Wait = 60 * time.Second // for the lease of the dead
			res, err := e.Do(t.Context(), req, order)
			if err != nil || res.Replayed != replayed || res.Response.Status != 201 {
				t.Errorf("the retry: %+v, %v", res, err)
			}
			counts(1)
		})
	}
}

func TestSQLiteTransactionRollsBackWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	db, e, err := openOrders(t.Context(), filepath.Join(t.TempDir(), "once.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
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
	} {
		if out, err := e.Do(t.Context(), orderRequest(), h); out.Kept {
			t.Errorf("%s: kept, %v", name, err)
		}
	}
	if out, err := e.Do(t.Context(), orderRequest(), order); err != nil || !out.Kept {
		t.Errorf("then: %+v, %v", out, err)
	}
	var orders int
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM orders").Scan(&orders); err != nil || orders != 1 {
		t.Errorf("%d orders, %v", orders, err)
	}
	req := orderRequest()
	req.Key.Value = "ended"
	_, err = e.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		resp, err := order(ctx, op)
		tx, txErr := sqlitestore.Tx(ctx)
		if txErr == nil {
			txErr = tx.Commit()
		}
		return resp, errors.Join(err, txErr)
	})
	if onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
		t.Errorf("a handler that committed by itself: %v, want it held", err)
	}
}

// An order and the record of its request in one SQLite file, in one transaction.
func Example_sqliteTransaction() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "once")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	db, eng, err := openOrders(ctx, filepath.Join(dir, "once.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()
	for range 2 {
		out, err := eng.Do(ctx, onceward.Request{
			Key: onceward.Key{Scope: "customer-7", Value: "order-1"}, Fingerprint: []byte("a pen"), InTx: true,
		}, func(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
			tx, err := sqlitestore.Tx(ctx)
			if err != nil {
				return onceward.Response{}, err
			}
			if _, err := tx.ExecContext(ctx, "INSERT INTO orders VALUES ('a pen')"); err != nil {
				return onceward.Response{}, err
			}
			return onceward.Response{Status: 201}, nil
		})
		fmt.Println(out.Response.Status, out.Replayed, err)
	}
	var orders int
	err = db.QueryRowContext(ctx, "SELECT count(*) FROM orders").Scan(&orders)
	fmt.Println(orders, err)
	// Output:
	// 201 false <nil>
	// 201 true <nil>
	// 1 <nil>
}
