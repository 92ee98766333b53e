package postgres

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Config of a Store. The zero value means the defaults.
type Config struct {
	// Schema holds the tables. Default "public".
	Schema string
	// Writers is how many batches may be committed at the same time, each on
	// a connection of its own. Default 4.
	Writers int
	// MaxBatch is the most operations in one commit. Default 256; 1 commits
	// every operation by itself.
	MaxBatch int
	// MaxPending is the most operations that may wait or be committed at the
	// same time; those above wait until their context ends, and fail with
	// ErrBusy. Default 4096.
	MaxPending int
	// WriteTimeout is how long the server may take to commit a batch before
	// its connection is given up and the outcome counts as unknown. It doubles
	// while that goes on, up to ten times: a server that waits for lost
	// standbys must not be flooded with connections. Default 1 min.
	WriteTimeout time.Duration
	// CacheBytes bounds the memory for completed records that answer replays
	// without a query. Default 64 MiB; negative turns the cache off.
	CacheBytes int
	// SweepRate is the most records that this store deletes per second.
	// Default 20,000; negative means no limit.
	SweepRate int
	// Listen says where to listen for wake-ups while requests wait for another
	// process. It must be a connection to the server itself: behind PgBouncer
	// in transaction mode there are no notifications. Default: where the pool
	// connects. Without wake-ups waiting requests poll.
	Listen *pgx.ConnConfig
	// DespiteLosses writes although others have noticed a loss of writes that
	// nobody has acknowledged. It is for the program with which an operator does
	// that, and writes down who and why; never for one that runs operations.
	DespiteLosses bool
	// NoWakeups neither listens for nor sends wake-ups.
	NoWakeups bool
}

func (c Config) withDefaults() Config {
	c.Schema = cmp.Or(c.Schema, defaultSchema)
	c.Writers = cmp.Or(c.Writers, 4)
	c.MaxBatch = cmp.Or(c.MaxBatch, 256)
	c.MaxPending = cmp.Or(c.MaxPending, 4096)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, time.Minute)
	c.CacheBytes = cmp.Or(c.CacheBytes, 64<<20)
	c.SweepRate = cmp.Or(c.SweepRate, 20_000)
	return c
}

func (c Config) validate() error {
	if c.Writers < 0 || c.MaxBatch < 0 || c.MaxPending < 0 || c.WriteTimeout < 0 {
		return errors.New("postgres: Writers, MaxBatch, MaxPending and WriteTimeout may not be negative")
	}
	if c.Writers > maxWriters || c.MaxBatch > maxBatch {
		return fmt.Errorf("postgres: at most %d Writers and a MaxBatch of %d", maxWriters, maxBatch)
	}
	return validSchema(c.Schema)
}

const (
	defaultSchema = "public"
	maxWriters    = 64
	maxBatch      = 10_000
	// maxBatchBytes bounds what one statement carries; PostgreSQL's own limit
	// is 1 GiB.
	maxBatchBytes = 8 << 20
)

// validSchema keeps to names that need no thought in any tool.
func validSchema(name string) error {
	if name == "" || len(name) > 48 {
		return errors.New("postgres: the name of a schema has 1 to 48 bytes")
	}
	for i, c := range name {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return fmt.Errorf("postgres: schema %q: use lower-case letters, digits and _", name)
		}
	}
	return nil
}
