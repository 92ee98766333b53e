// Package stores opens the stores that can be measured, by address.
//
// Anything that implements onceward.Store can join: add its Open to schemes.
package stores

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// Options of Open.
type Options struct {
	// PerRequest commits every operation by itself.
	PerRequest bool
	// Buckets of the tables in PostgreSQL. Default: the store's.
	Buckets int
	// SweepRate is the most records that a sweep deletes per second, where the
	// store has such a limit. Default: the store's; negative: no limit.
	SweepRate int
}

// Opened is a store that is ready to be measured.
type Opened struct {
	onceward.Store
	// Close gives up what Open has taken, and removes what it has created.
	Close func(ctx context.Context) error
	// Size is what the store takes on the disk; nil where it keeps nothing
	// there.
	Size func(ctx context.Context) (Size, error)
	// Load stores n completed records by the shortest way there is; record
	// returns the i-th, from 0. Nobody else uses the store meanwhile.
	Load func(ctx context.Context, n int64, record func(i int64) onceward.Record) error
	// ServerCPU is the processor time that the store's server has used so far;
	// nil for a store that runs inside this process, or on another machine.
	ServerCPU func() (time.Duration, error)
	// Postgres is the database of a store in PostgreSQL; nil for others.
	Postgres *Postgres
}

// Size in bytes. Where the two cannot be told apart all is in Table.
type Size struct{ Table, Indexes int64 }

// Total of both, in MiB.
func (s Size) Total() float64 { return MiB(s.Table + s.Indexes) }

// MiB are bytes in mebibytes.
func MiB(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// open one kind of store by its whole address.
type open func(ctx context.Context, address string, opt Options) (*Opened, error)

// schemes by what stands before the first colon of an address.
func schemes() map[string]open {
	return map[string]open{
		"memory":     openMemory,
		"sqlite":     openSQLite,
		"postgres":   openPostgres,
		"postgresql": openPostgres,
	}
}

// Usage of addresses, for the commands' help.
const Usage = "`address` of the store: memory, sqlite:PATH (an empty path: a temporary file), " +
	"postgres://... (in a schema of its own, dropped at the end), or postgres: for a server that is started for it"

// Serve starts the server of an address that asks for one, postgres:, and
// returns the address of that. Other addresses come back as they are.
func Serve(ctx context.Context, address string) (served string, stop func() error, err error) {
	if address == "postgres:" || address == "postgresql:" {
		return servePostgres(ctx)
	}
	return address, func() error { return nil }, nil
}

// Open opens the store at an address, see Usage.
func Open(ctx context.Context, address string, opt Options) (*Opened, error) {
	scheme, _, _ := strings.Cut(address, ":")
	open, ok := schemes()[scheme]
	if !ok {
		known := slices.Sorted(maps.Keys(schemes()))
		return nil, fmt.Errorf("no store is called %q; the address begins with one of %s", scheme, strings.Join(known, ", "))
	}
	s, err := open(ctx, address, opt)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", scheme, err)
	}
	return s, nil
}

// Start opens the store at an address, with the server that it may ask for;
// Close ends both.
func Start(ctx context.Context, address string, opt Options) (*Opened, error) {
	served, stop, err := Serve(ctx, address)
	if err != nil {
		return nil, err
	}
	s, err := Open(ctx, served, opt)
	if err != nil {
		return nil, errors.Join(err, stop())
	}
	closeStore := s.Close
	s.Close = func(ctx context.Context) error { return errors.Join(closeStore(ctx), stop()) }
	return s, nil
}

// openMemory ignores PerRequest: nothing is committed.
func openMemory(_ context.Context, address string, _ Options) (*Opened, error) {
	if address != "memory" && address != "memory:" {
		return nil, fmt.Errorf("nothing may follow: %q", address)
	}
	s := memstore.New()
	return &Opened{
		Store: s,
		Close: func(context.Context) error { return nil },
		Load: func(ctx context.Context, n int64, record func(int64) onceward.Record) error {
			return loadThrough(ctx, s, n, record)
		},
	}, nil
}

// loadThrough is a Load that claims and completes like everybody.
func loadThrough(ctx context.Context, s onceward.Store, n int64, record func(int64) onceward.Record) error {
	for i := range n {
		r := record(i)
		res, err := s.Claim(ctx, onceward.ClaimRequest{
			Key: r.Key, Owner: r.Owner, Token: r.Token, Kind: r.Kind, Policy: r.Policy, Fingerprint: r.Fingerprint,
			Retention: r.Retention, Now: r.ClaimedAt, LeaseUntil: r.LeaseUntil, ExpiresAt: onceward.Never,
		})
		if err == nil && !res.Won {
			err = fmt.Errorf("the key %q is there already", r.Key.Value)
		}
		if err != nil {
			return err
		}
		err = s.Complete(ctx, onceward.CompleteRequest{
			Claim: res.Record.Claim(), Now: r.CompletedAt, Status: r.Status, Response: r.Response, ExpiresAt: r.ExpiresAt,
		})
		if err != nil {
			return err
		}
	}
	return nil
}
