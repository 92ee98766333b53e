package postgres_test

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// An order and the record of its request are committed together: a process that
// dies before the commit has ordered nothing, and the retry runs; one that dies
// after it has left the answer.
func ExampleTx() {
	ctx := context.Background()
	server, err := pgtest.Start(ctx, pgtest.Options{}) // in production: yours
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	pool, err := pgxpool.New(ctx, server.DSN("postgres"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer pool.Close()
	if err := postgres.Migrate(ctx, pool, postgres.MigrateConfig{}); err != nil {
		fmt.Println(err)
		return
	}
	store, err := postgres.Open(ctx, pool, postgres.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close(ctx)
	eng, err := onceward.New(store, onceward.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	if _, err := pool.Exec(ctx, "CREATE TABLE orders (item text)"); err != nil {
		fmt.Println(err)
		return
	}

	for range 2 {
		out, err := eng.Do(ctx, onceward.Request{
			Key: onceward.Key{Scope: "customer-7", Value: "order-1"}, Fingerprint: []byte("a pen"), InTx: true,
		}, func(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
			tx, err := postgres.Tx(ctx)
			if err != nil {
				return onceward.Response{}, err
			}
			if _, err := tx.Exec(ctx, "INSERT INTO orders VALUES ('a pen')"); err != nil {
				return onceward.Response{}, err
			}
			return onceward.Response{Status: 201}, nil
		})
		fmt.Println(out.Response.Status, out.Replayed, err)
	}
	var orders int
	err = pool.QueryRow(ctx, "SELECT count(*) FROM orders").Scan(&orders)
	fmt.Println(orders, err)
	// Output:
	// 201 false <nil>
	// 201 true <nil>
	// 1 <nil>
}
