package conformance_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// tables makes those of a store in a database, and returns a pool.
func tables(t *testing.T, dsn string, cfg postgres.MigrateConfig) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := postgres.Migrate(t.Context(), pool, cfg); err != nil {
		t.Fatal(err)
	}
	return pool
}

// openPostgres opens a store that is closed when the test ends. It has no cache:
// that relies on clocks that agree within a minute, and the clocks of random
// clients jump by more.
func openPostgres(t *testing.T, pool *pgxpool.Pool) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), pool, postgres.Config{CacheBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return s
}

// halves are two databases that keep half of the slots each.
func halves(t *testing.T) (low, high *pgxpool.Pool) {
	t.Helper()
	var slots [2][]int
	for slot := range postgres.Slots {
		half := slot * 2 / postgres.Slots
		slots[half] = append(slots[half], slot)
	}
	return tables(t, pgtest.Database(t), postgres.MigrateConfig{Slots: slots[0]}),
		tables(t, pgtest.Database(t), postgres.MigrateConfig{Slots: slots[1]})
}

// routed returns one store on two databases.
func routed(t *testing.T, low, high *pgxpool.Pool) *postgres.Router {
	t.Helper()
	r, err := postgres.NewRouter(openPostgres(t, low), openPostgres(t, high))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// swept is a store on some pools that sweeps with stores that have just been
// opened. One that has swept before relies for an hour on what it saw: a record
// that was claimed with a lease of the past, and expires, may stay for so long,
// and until then its claim may still renew it.
type swept struct {
	once
	pools []*pgxpool.Pool
}

// once is what a random sequence needs of a store.
type once interface {
	onceward.Store
	onceward.Sweeper
	onceward.LapsedLister
	onceward.Finder
	onceward.Lister
}

func (s *swept) Sweep(ctx context.Context, req onceward.SweepRequest) (all onceward.SweepResult, err error) {
	for _, pool := range s.pools {
		other, err := postgres.Open(ctx, pool, postgres.Config{})
		if err != nil {
			return all, err
		}
		res, err := other.Sweep(ctx, req)
		if err := errors.Join(err, other.Close(ctx)); err != nil {
			return all, err
		}
		all.Deleted += res.Deleted
	}
	return all, nil
}
