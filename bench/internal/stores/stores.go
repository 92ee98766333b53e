// Package stores opens the stores that can be measured, by address.
//
// Anything that implements onceward.Store can join: add its Open to schemes.
package stores

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	_ "modernc.org/sqlite" // the driver of the binary

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/sqlitestore"
)

// Options of Open.
type Options struct {
	// PerRequest commits every operation by itself.
	PerRequest bool
	// Callers is how many requests there will be at the same time.
	Callers int
}

// Opened is a store that is ready to be measured.
type Opened struct {
	onceward.Store
	// Close gives up what Open has taken, and removes what it has created.
	Close func(ctx context.Context) error
	// ServerCPU is the processor time that the store's server has used so far;
	// nil for a store that runs inside this process, or on another machine.
	ServerCPU func() (time.Duration, error)
}

// Knows reports whether there are stores whose addresses begin with scheme.
func Knows(scheme string) bool {
	_, ok := schemes()[scheme]
	return ok
}

// open of one kind of store. rest is the address after the scheme.
type open func(ctx context.Context, rest string, opt Options) (*Opened, error)

// schemes by what stands before the first colon of an address.
func schemes() map[string]open {
	return map[string]open{
		"memory": openMemory,
		"sqlite": openSQLite,
	}
}

// Open opens the store at address: memory, or sqlite:PATH, where an empty
// path means a new file that Close removes.
func Open(ctx context.Context, address string, opt Options) (*Opened, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	open, ok := schemes()[scheme]
	if !ok {
		known := slices.Sorted(maps.Keys(schemes()))
		return nil, fmt.Errorf("no store is called %q; the address begins with one of %s", scheme, strings.Join(known, ", "))
	}
	s, err := open(ctx, rest, opt)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", scheme, err)
	}
	return s, nil
}

// openMemory ignores PerRequest: nothing is committed.
func openMemory(_ context.Context, rest string, _ Options) (*Opened, error) {
	if rest != "" {
		return nil, fmt.Errorf("nothing may follow: %q", rest)
	}
	return &Opened{Store: memstore.New(), Close: func(context.Context) error { return nil }}, nil
}

func openSQLite(ctx context.Context, path string, opt Options) (*Opened, error) {
	remove := func() error { return nil }
	if path == "" {
		dir, err := os.MkdirTemp("", "onceward-bench-")
		if err != nil {
			return nil, err
		}
		path, remove = filepath.Join(dir, "once.db"), func() error { return os.RemoveAll(dir) }
	}
	s, err := openFile(ctx, path, opt)
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	closeFile := s.Close
	s.Close = func(ctx context.Context) error { return errors.Join(closeFile(ctx), remove()) }
	return s, nil
}

func openFile(ctx context.Context, path string, opt Options) (*Opened, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, err
	}
	cfg := sqlitestore.Config{}
	if opt.PerRequest {
		cfg.MaxBatch = 1
	}
	s, err := sqlitestore.Open(ctx, db, cfg)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &Opened{
		Store: s,
		Close: func(ctx context.Context) error { return errors.Join(s.Close(ctx), db.Close()) },
	}, nil
}
