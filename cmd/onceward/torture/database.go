package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver of the processes

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/sqlitestore"
)

// records is what the campaign reads of a store, beside the processes.
type records interface {
	onceward.Store
	onceward.Finder
	onceward.Lister
}

// database is what the processes share.
type database interface {
	// dsn names it for one process.
	dsn(process int) string
	// open reads it for the judge, who meets no faults.
	open(ctx context.Context) (r records, closeIt func() error, err error)
	// backup copies it under a number; restore puts that copy in its place,
	// while nobody uses it.
	backup(ctx context.Context, n int) error
	restore(ctx context.Context, n int) error
	// disturb breaks the connections of one process until ctx ends.
	disturb(ctx context.Context, process int) error
	close() error
}

// openDatabase makes an empty one of the kind that -store names, with what it
// needs in the folder dir.
func openDatabase(ctx context.Context, c *campaign, dir string) (database, error) {
	if c.cfg.store == storeSQLite {
		return &sqliteDatabase{dir: dir}, nil
	}
	return newPostgres(ctx, c, dir)
}

// sqliteDatabase is a file.
type sqliteDatabase struct{ dir string }

func (d *sqliteDatabase) path() string { return filepath.Join(d.dir, "onceward.db") }
func (d *sqliteDatabase) copyOf(n int) string {
	return filepath.Join(d.dir, fmt.Sprintf("copy-%d.db", n))
}
func (d *sqliteDatabase) dsn(int) string { return "sqlite:" + d.path() }
func (d *sqliteDatabase) close() error   { return nil }

// disturb does nothing: there are no connections.
func (d *sqliteDatabase) disturb(context.Context, int) error { return nil }

func (d *sqliteDatabase) open(ctx context.Context) (records, func() error, error) {
	db, err := sql.Open("sqlite", d.path())
	if err != nil {
		return nil, nil, err
	}
	store, err := sqlitestore.Open(ctx, db, sqlitestore.Config{CheckMigrated: true})
	if err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	return store, func() error { return errors.Join(store.Close(context.Background()), db.Close()) }, nil //nolint:contextcheck // closing is not cut short
}

func (d *sqliteDatabase) backup(ctx context.Context, n int) error {
	db, err := sql.Open("sqlite", d.path())
	if err != nil {
		return err
	}
	quoted := "'" + strings.ReplaceAll(d.copyOf(n), "'", "''") + "'"
	_, err = db.ExecContext(ctx, "VACUUM INTO "+quoted) //nolint:gosec // a path of our own, quoted
	return errors.Join(err, db.Close())
}

func (d *sqliteDatabase) restore(_ context.Context, n int) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(d.path() + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(d.copyOf(n), d.path())
}
