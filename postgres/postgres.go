package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/groupcommit"
	"github.com/onceward/onceward/internal/replay"
)

// Store is an onceward.Store in PostgreSQL; it is also a Sweeper, a
// LapsedLister, a Finder, a Lister, a Transactor, a Waker and a Recaller. Use Open. It is safe for concurrent use,
// and any number of stores in any number of processes may share the tables.
type Store struct {
	pool    *pgxpool.Pool
	cfg     Config
	sql     *statements
	layout  layout
	writer  *writer
	txs     *pgxpool.Pool // of operations with transactions of their own
	group   *groupcommit.Committer[*op]
	sweeper sweeper
	cache   *replay.Cache
	wakeups *wakeups
	closed  atomic.Bool
}

var _ interface {
	onceward.Store
	onceward.Sweeper
	onceward.LapsedLister
	onceward.Finder
	onceward.Lister
	onceward.Transactor
	onceward.Waker
	onceward.Recaller
} = (*Store)(nil)

// Open makes a Store of a database that Migrate has prepared; it fails with
// ErrSchema if that has another version. After a loss of writes that nobody has
// acknowledged it opens, and refuses to write: see Ready. The caller keeps the pool and closes
// it after the Store.
func Open(ctx context.Context, pool *pgxpool.Pool, cfg Config) (*Store, error) {
	if pool == nil {
		return nil, errors.New("postgres: Open needs a *pgxpool.Pool")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if err := validMode(pool.Config().ConnConfig.DefaultQueryExecMode); err != nil {
		return nil, err
	}
	lay, err := readLayout(ctx, pool, cfg.Schema)
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, cfg: cfg, sql: newStatements(cfg.Schema), layout: lay}
	s.cache = replay.New(cfg.CacheBytes)
	s.sweeper.water, s.sweeper.rate.rate = make([]waterMark, lay.buckets), cfg.SweepRate
	if s.writer, err = newWriter(pool, cfg, s.sql, lay.buckets); err != nil { //nolint:contextcheck // the pool outlives Open
		return nil, err
	}
	s.wakeups = newWakeups(s.writer.pool, cfg)
	s.writer.ended = s.wakeups.ended
	if s.txs, err = newOwnPool(pool, int(pool.Config().MaxConns), s.writer.marks, &s.writer.grown); err != nil { //nolint:contextcheck // the pool outlives Open
		s.writer.pool.Close()
		return nil, err
	}
	s.group, err = groupcommit.NewLanes(s.writer.commit, lay.buckets, func(o *op) int { return o.bucket },
		groupcommit.Config{MaxBatch: cfg.MaxBatch, MaxPending: cfg.MaxPending, Writers: cfg.Writers, Gather: true})
	if err != nil {
		s.writer.pool.Close()
		s.txs.Close()
		return nil, err
	}
	if err := s.Ready(ctx); err != nil && !errors.Is(err, ErrWritesLost) {
		return nil, errors.Join(err, s.Close(ctx))
	}
	return s, nil
}

// validMode refuses how statements cannot be sent.
func validMode(mode pgx.QueryExecMode) error {
	switch mode {
	case pgx.QueryExecModeSimpleProtocol:
		return errors.New("postgres: the simple protocol cannot carry batches; behind PgBouncer use default_query_exec_mode=cache_describe")
	case pgx.QueryExecModeDescribeExec:
		return errors.New("postgres: with describe_exec a pooler can mix up the statements of its clients; use default_query_exec_mode=cache_describe")
	case pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeExec:
	}
	return nil
}

// Close finishes what is being committed, for as long as ctx lasts, and closes
// the store's own connections. The pool stays open; it is the caller's.
func (s *Store) Close(ctx context.Context) error {
	if s.closed.Swap(true) {
		return nil
	}
	err := s.group.Close(ctx)
	if err != nil {
		// What waits for the server is cut off: the pool would wait for it.
		s.writer.cutOff()
		err = fmt.Errorf("postgres: %w", err)
	}
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.wakeups.close()
		s.writer.pool.Close()
		s.txs.Close()
	}()
	select {
	case <-closed:
		return err
	case <-ctx.Done():
		return errors.Join(err, fmt.Errorf("postgres: closed while transactions of operations were open: %w", context.Cause(ctx)))
	}
}

// do runs one operation as part of a batch.
func (s *Store) do(ctx context.Context, o *op) error {
	if err := s.here(o.id); err != nil {
		return err
	}
	o.bucket = bucketOf(o.id, s.layout.buckets)
	err := s.group.Do(ctx, o)
	switch {
	case err == nil:
		return o.err
	case errors.Is(err, groupcommit.ErrClosed):
		return ErrClosed
	case errors.Is(err, groupcommit.ErrFull):
		return fmt.Errorf("%w: %w", ErrBusy, err)
	default:
		return err
	}
}

// Schema returns the name of the schema that holds the tables.
func (s *Store) Schema() string { return s.cfg.Schema }

// Slots returns the slots of keys that the database keeps, in order; all of them
// unless MigrateConfig.Slots said otherwise.
func (s *Store) Slots() (kept []int) {
	for slot := range Slots {
		if s.layout.slots&(1<<slot) != 0 {
			kept = append(kept, slot)
		}
	}
	return kept
}

// here returns an error unless the store may keep the operation.
func (s *Store) here(id onceward.ID) error {
	switch {
	case s.closed.Load():
		return ErrClosed
	case s.layout.slots&(1<<Slot(id)) == 0:
		return fmt.Errorf("%w: slot %d", ErrNotHere, Slot(id))
	default:
		return nil
	}
}

// Pending returns how many operations wait or are being committed: the length of
// the queue that Config.MaxPending bounds.
func (s *Store) Pending() int { return s.group.Pending() }
