package postgres_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// group opens a store on new tables that keep some slots.
func group(t *testing.T, pool *pgxpool.Pool, keeps func(slot int) bool) *postgres.Store {
	t.Helper()
	var slots []int
	for slot := range postgres.Slots {
		if keeps(slot) {
			slots = append(slots, slot)
		}
	}
	return fresh(t, pool, postgres.MigrateConfig{Buckets: 4, Slots: slots})
}

func odd(slot int) bool  { return slot%2 == 1 }
func even(slot int) bool { return slot%2 == 0 }

func TestRouterContract(t *testing.T) {
	t.Parallel()
	a, b := connect(t, pgtest.Database(t)), connect(t, pgtest.Database(t))
	oncetest.Run(t, func(t *testing.T) onceward.Store {
		r, err := postgres.NewRouter(group(t, a, odd), group(t, b, even))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}, oncetest.Everything()...)
}

func TestRouterSendsEachKeyToItsDatabase(t *testing.T) {
	t.Parallel()
	pool := connect(t, pgtest.Database(t))
	a, b := group(t, pool, odd), group(t, pool, even)
	r, err := postgres.NewRouter(a, b)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Ready(t.Context()); err != nil {
		t.Error(err)
	}
	for i := range 50 {
		req := claimOf(fmt.Sprint(i))
		home, other := a, b
		if even(postgres.Slot(req.Key.ID())) {
			home, other = b, a
		}
		if _, err := other.Claim(t.Context(), req); !errors.Is(err, postgres.ErrNotHere) {
			t.Fatalf("the wrong database took the key: %v", err)
		}
		res, err := r.Claim(t.Context(), req)
		if err != nil || !res.Won {
			t.Fatal(res.Won, err)
		}
		got, err := home.Get(t.Context(), onceward.GetRequest{Key: req.Key, Now: req.Now})
		if err != nil || got.Owner != req.Owner {
			t.Fatalf("not in its database: %v", err)
		}
	}
}

// TestRouterRefusesGapsAndOverlaps: two instances that route differently would
// run an operation twice.
func TestRouterRefusesGapsAndOverlaps(t *testing.T) {
	t.Parallel()
	pool := connect(t, pgtest.Database(t))
	a, b := group(t, pool, odd), group(t, pool, even)
	all := fresh(t, pool, postgres.MigrateConfig{})
	if _, err := postgres.NewRouter(a); err == nil {
		t.Error("half of the slots are kept by nobody")
	}
	if _, err := postgres.NewRouter(a, b, all); err == nil {
		t.Error("slots are kept twice")
	}
	if _, err := postgres.NewRouter(); err == nil {
		t.Error("no database at all")
	}
}

func migrated(t *testing.T) string {
	t.Helper()
	dsn := pgtest.Database(t)
	if err := postgres.Migrate(t.Context(), connect(t, dsn), postgres.MigrateConfig{}); err != nil {
		t.Fatal(err)
	}
	return dsn
}
