// Package storage opens the store that a DSN names, for the commands.
//
// It adds nothing to the store: encryption at rest is package seal's, which
// wraps what Open returns.
package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the driver that the binary uses

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/sqlitestore"
)

// Handle is an open store. Close it.
type Handle struct {
	// Store as it was opened: records are neither encrypted nor decrypted.
	Store onceward.Store

	closers []func(context.Context) error // last opened, first closed
}

// Open opens the store that dsn names:
//
//	sqlite:PATH   one SQLite file, created when it is absent
func Open(ctx context.Context, dsn string) (*Handle, error) {
	kind, rest, ok := strings.Cut(dsn, ":")
	if !ok || rest == "" {
		return nil, fmt.Errorf("the store %q is not of the form sqlite:PATH", dsn)
	}
	switch kind {
	case "sqlite":
		return openSQLite(ctx, rest)
	default: // the rest may hold a password
		return nil, fmt.Errorf("a store of kind %q is not known; use sqlite:PATH", kind)
	}
}

func openSQLite(ctx context.Context, path string) (*Handle, error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	s, err := sqlitestore.Open(ctx, db, sqlitestore.Config{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open %s: %w", path, err), db.Close())
	}
	return &Handle{Store: s, closers: []func(context.Context) error{
		func(context.Context) error { return db.Close() }, s.Close,
	}}, nil
}

// Close finishes the writes under way, for as long as ctx lasts.
func (h *Handle) Close(ctx context.Context) error {
	var errs []error
	for _, closer := range slices.Backward(h.closers) {
		errs = append(errs, closer(ctx))
	}
	return errors.Join(errs...)
}
