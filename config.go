package onceward

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Config of an Engine. The zero value is ready to use.
type Config struct {
	// Retention is how long a completed record answers retries, counted from
	// its completion. Default 24 h.
	Retention time.Duration
	// Lease is how long a claim is held without renewal; renewals come every
	// third of it. It bounds how long a crash blocks a key. At least 1 ms.
	// Default 30 s.
	Lease time.Duration
	// OperationTimeout cancels the handler's context, and stops renewing its
	// lease, after this long. Default 15 min.
	OperationTimeout time.Duration
	// StoreTimeout bounds one call of the store. Default 5 s.
	StoreTimeout time.Duration
	// CompleteTimeout bounds the retries of a completion that the store
	// refuses, while the caller waits. Default: Lease, and at least 30 s.
	CompleteTimeout time.Duration
	// MaxResponseBytes is the largest response body that is kept; a larger one
	// leaves a tombstone. Default 1 MiB.
	MaxResponseBytes int
	// MaxCheckpointBytes bounds the data of all checkpoints of one operation
	// together. Default 256 KiB.
	MaxCheckpointBytes int
	// MaxWaiters bounds the requests that wait for another's answer; more are
	// told that the key is in progress. Default 10,000.
	MaxWaiters int
	// MaxInFlightPerScope bounds the operations of one scope that this engine
	// runs at the same time; more get CodeRateLimited. Default 0: no bound.
	MaxInFlightPerScope int
	// AcceptLateKeys turns off the refusal of time-ordered keys (UUIDv7, ULID)
	// that are older than the retention and have no record.
	AcceptLateKeys bool
	// RecoverInterval is how often Run looks for operations whose owner died.
	// Default: a third of Lease.
	RecoverInterval time.Duration
	// RecoverLimit bounds the operations reconciled at the same time.
	// Default 64.
	RecoverLimit int
	// SweepInterval is how often Run deletes expired records. Default 1 min.
	SweepInterval time.Duration
	// SweepBatch bounds the records one statement deletes. Default 1,000.
	SweepBatch int
	// Logger receives what no caller gets to see: lost leases, failed
	// renewals, recoveries. Default: discarded.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const defaultLease = 30 * time.Second

// minLease leaves room for a renewal every third of a lease.
const minLease = time.Millisecond

func (c Config) withDefaults() Config {
	c.Retention = cmp.Or(c.Retention, 24*time.Hour)
	c.Lease = cmp.Or(c.Lease, defaultLease)
	c.OperationTimeout = cmp.Or(c.OperationTimeout, 15*time.Minute)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 5*time.Second)
	c.CompleteTimeout = cmp.Or(c.CompleteTimeout, max(c.Lease, defaultLease))
	c.MaxResponseBytes = cmp.Or(c.MaxResponseBytes, 1<<20)
	c.MaxCheckpointBytes = cmp.Or(c.MaxCheckpointBytes, 256<<10)
	c.MaxWaiters = cmp.Or(c.MaxWaiters, 10_000)
	c.RecoverInterval = cmp.Or(c.RecoverInterval, c.Lease/3)
	c.RecoverLimit = cmp.Or(c.RecoverLimit, 64)
	c.SweepInterval = cmp.Or(c.SweepInterval, time.Minute)
	c.SweepBatch = cmp.Or(c.SweepBatch, 1000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	for _, f := range []struct {
		name string
		v    int64
	}{
		{"Retention", int64(c.Retention)},
		{"Lease", int64(c.Lease)},
		{"OperationTimeout", int64(c.OperationTimeout)},
		{"StoreTimeout", int64(c.StoreTimeout)},
		{"CompleteTimeout", int64(c.CompleteTimeout)},
		{"MaxResponseBytes", int64(c.MaxResponseBytes)},
		{"MaxCheckpointBytes", int64(c.MaxCheckpointBytes)},
		{"MaxWaiters", int64(c.MaxWaiters)},
		{"RecoverInterval", int64(c.RecoverInterval)},
		{"RecoverLimit", int64(c.RecoverLimit)},
		{"SweepInterval", int64(c.SweepInterval)},
		{"SweepBatch", int64(c.SweepBatch)},
	} {
		if f.v < 0 {
			errs = append(errs, fmt.Errorf("onceward: Config.%s is negative; leave it zero for the default", f.name))
		}
	}
	if c.MaxInFlightPerScope < 0 {
		errs = append(errs, errors.New("onceward: Config.MaxInFlightPerScope is negative; zero means no bound"))
	}
	if c.Lease >= 0 && c.Lease < minLease {
		errs = append(errs, fmt.Errorf("onceward: Config.Lease (%v) is shorter than %v", c.Lease, minLease))
	}
	if c.Lease > c.Retention {
		errs = append(errs, fmt.Errorf("onceward: Config.Lease (%v) is longer than Config.Retention (%v)", c.Lease, c.Retention))
	}
	return errors.Join(errs...)
}
