package sqlitestore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/groupcommit"
	"github.com/onceward/onceward/internal/replay"
)

// Config of a Store. The zero value means the defaults.
type Config struct {
	// BusyTimeout is how long a write waits for another process's write lock
	// before it fails with ErrBusy. Default 5 s.
	BusyTimeout time.Duration
	// MaxBatch is the most operations in one commit. Default 256; 1 commits
	// every operation by itself.
	MaxBatch int
	// MaxPending is the most writes that may wait at the same time; those
	// above wait until their context ends. Default 4096.
	MaxPending int
	// CacheBytes bounds the memory for completed records that answer replays
	// without a query. Default 32 MiB; negative turns the cache off.
	CacheBytes int
	// CheckMigrated makes Open fail with ErrSchema instead of creating or
	// upgrading the tables.
	CheckMigrated bool
}

func (c Config) withDefaults() Config {
	c.BusyTimeout = cmp.Or(c.BusyTimeout, 5*time.Second)
	c.MaxBatch = cmp.Or(c.MaxBatch, 256)
	c.MaxPending = cmp.Or(c.MaxPending, 4096)
	c.CacheBytes = cmp.Or(c.CacheBytes, 32<<20)
	return c
}

func (c Config) validate() error {
	if c.BusyTimeout < 0 || c.MaxBatch < 0 || c.MaxPending < 0 {
		return errors.New("sqlitestore: BusyTimeout, MaxBatch and MaxPending may not be negative")
	}
	return nil
}

// Store is an onceward.Store in an SQLite file; it is also a Sweeper, a
// LapsedLister, a Finder, a Lister, a Transactor and a Recaller. Use Open. It is safe for
// concurrent use.
type Store struct {
	db     *sql.DB
	cfg    Config
	get    *sql.Stmt
	writer *writer
	group  *groupcommit.Committer[operation]
	closed atomic.Bool
}

var _ interface {
	onceward.Store
	onceward.Sweeper
	onceward.LapsedLister
	onceward.Finder
	onceward.Lister
	onceward.Transactor
	onceward.Recaller
} = (*Store)(nil)

// Open makes a Store of the database, and creates or upgrades its tables
// (see Schema). The caller keeps db and closes it after the Store.
func Open(ctx context.Context, db *sql.DB, cfg Config) (*Store, error) {
	if db == nil {
		return nil, errors.New("sqlitestore: Open needs a *sql.DB")
	}
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if db.Stats().MaxOpenConnections == 1 {
		return nil, errors.New("sqlitestore: the pool allows one connection, and the store needs one to write and others to read: call db.SetMaxOpenConns(0)")
	}
	s := &Store{db: db, cfg: cfg, writer: &writer{db: db, cfg: cfg, cache: replay.New(cfg.CacheBytes)}}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.writer.close())
	}
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	if err := s.writer.connect(ctx); err != nil {
		return err
	}
	err := retryBusy(ctx, s.cfg.BusyTimeout, func() (err error) {
		s.get, err = s.db.PrepareContext(ctx, single(sqlGet))
		return err
	})
	if err != nil {
		return explain("preparing to read", err)
	}
	s.group, err = groupcommit.New(s.writer.commit, groupcommit.Config{
		MaxBatch: s.cfg.MaxBatch, MaxPending: s.cfg.MaxPending,
	})
	return err
}

// Close finishes the writes under way, for as long as ctx lasts, and gives the
// writing connection up. The *sql.DB stays open; it is the caller's.
func (s *Store) Close(ctx context.Context) error {
	s.closed.Store(true)
	if err := s.group.Close(ctx); err != nil {
		return fmt.Errorf("sqlitestore: %w", err)
	}
	return errors.Join(s.get.Close(), s.writer.close())
}

// do runs one write as part of a batch.
func (s *Store) do(ctx context.Context, op operation) error {
	err := s.group.Do(ctx, op)
	switch {
	case err == nil:
		return op.verdict()
	case errors.Is(err, groupcommit.ErrClosed):
		return ErrClosed
	default:
		return err
	}
}
