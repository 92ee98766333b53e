// Package storage opens the store that a DSN names.
//
// The part of a DSN before its colon selects the driver. A store that Open
// returns has the tables it needs: an outdated or missing schema is an error
// that says how to migrate, never an upgrade by surprise.
//
// Several PostgreSQL databases that keep some of the keys each are one DSN, too:
// theirs, divided by spaces.
package storage

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/onceward/onceward"
)

// Handle is an open store.
type Handle struct {
	Store onceward.Store
	// Ready reports whether the store answers and has the schema that this
	// program needs.
	Ready func(context.Context) error
	// Warnings say how acknowledged writes could be lost, and what to set.
	Warnings []string
	// Losses returns what was noticed of acknowledged writes that are gone, and
	// Acknowledge lets the store write again. Nil when the store cannot notice.
	Losses      func(context.Context) ([]Loss, error)
	Acknowledge func(context.Context, []Loss) error
	// Close finishes the writes under way, for as long as the context lasts.
	Close func(context.Context) error
}

// OpenOptions of a store.
type OpenOptions struct {
	// DespiteLosses writes although a loss of writes is not acknowledged yet, so
	// that it can be written down who acknowledges it.
	DespiteLosses bool
}

// MigrateOptions are fixed when the tables are made. Later on the zero value
// leaves them as they are.
type MigrateOptions struct {
	Buckets    int    // parts of the table, a power of two
	Partition  bool   // a partition for each of them
	Distribute bool   // distributed by them, on Citus
	Grant      string // role that may use the tables
}

// Driver knows one kind of store.
type Driver struct {
	// Open opens a store whose schema is up to date; otherwise its error wraps
	// ErrSchema.
	Open func(ctx context.Context, dsn string, opts OpenOptions) (*Handle, error)
	// Migrate creates or upgrades the schema, and says what it did in a line.
	Migrate func(ctx context.Context, dsn string, opts MigrateOptions) (string, error)
	// Schema returns the SQL that Migrate runs on an empty database.
	Schema func(ctx context.Context, dsn string, opts MigrateOptions) (string, error)
}

// drivers by the scheme of their DSN. A further store is one more line.
var drivers = map[string]Driver{
	"sqlite":     {Open: openSQLite, Migrate: migrateSQLite, Schema: schemaSQLite},
	"postgres":   {Open: openPostgres, Migrate: migratePostgres, Schema: schemaPostgres},
	"postgresql": {Open: openPostgres, Migrate: migratePostgres, Schema: schemaPostgres},
}

// Errors of a database whose schema is not the one that this program needs.
var (
	ErrSchema    = errors.New("the schema is not up to date")
	ErrNewSchema = errors.New("the schema is newer than this program")
)

// Lookup returns the driver of a DSN.
func Lookup(dsn string) (Driver, error) {
	scheme, rest, ok := strings.Cut(dsn, ":")
	known := strings.Join(slices.Sorted(maps.Keys(drivers)), ", ")
	if !ok || rest == "" {
		// The DSN may hold a password: it is not repeated.
		return Driver{}, fmt.Errorf("the store's DSN has no scheme; it begins with one of %s and a colon", known)
	}
	d, ok := drivers[scheme]
	if !ok {
		return Driver{}, fmt.Errorf("this binary has no store %q; it has %s", scheme, known)
	}
	return d, nil
}

// Create opens the store of a DSN, and creates or upgrades its schema first.
func Create(ctx context.Context, dsn string) (*Handle, error) {
	d, err := Lookup(dsn)
	if err != nil {
		return nil, err
	}
	if _, err := d.Migrate(ctx, dsn, MigrateOptions{}); err != nil {
		return nil, err
	}
	return d.Open(ctx, dsn, OpenOptions{})
}

// Open opens the store of a DSN, whose schema must be up to date.
func Open(ctx context.Context, dsn string) (*Handle, error) {
	return OpenWith(ctx, dsn, OpenOptions{})
}

// OpenWith is Open with options.
func OpenWith(ctx context.Context, dsn string, opts OpenOptions) (*Handle, error) {
	d, err := Lookup(dsn)
	if err != nil {
		return nil, err
	}
	h, err := d.Open(ctx, dsn, opts)
	if errors.Is(err, ErrSchema) {
		return nil, fmt.Errorf("%w; run \"onceward migrate\" with the same configuration first", err)
	}
	return h, err
}
