package storage

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	_ "modernc.org/sqlite" // the pure-Go driver

	"github.com/onceward/onceward/sqlitestore"
)

func openSQLite(ctx context.Context, dsn string, _ OpenOptions) (*Handle, error) {
	return sqliteAt(ctx, dsn, sqlitestore.Config{CheckMigrated: true})
}

func sqliteAt(ctx context.Context, dsn string, cfg sqlitestore.Config) (*Handle, error) {
	path := strings.TrimPrefix(dsn, "sqlite:")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s: %w", path, err)
	}
	store, err := sqlitestore.Open(ctx, db, cfg)
	if err != nil {
		if errors.Is(err, sqlitestore.ErrSchema) {
			err = readySQLite(ctx, db)
		}
		return nil, errors.Join(fmt.Errorf("cannot open %s: %w", path, err), db.Close())
	}
	return &Handle{
		Store: store,
		Ready: func(ctx context.Context) error { return readySQLite(ctx, db) },
		Close: func(ctx context.Context) error { return errors.Join(store.Close(ctx), db.Close()) },
	}, nil
}

// readySQLite compares the schema with the one that this program needs.
func readySQLite(ctx context.Context, db *sql.DB) error {
	const exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'onceward_schema'"
	var tables, version int
	if err := db.QueryRowContext(ctx, exists).Scan(&tables); err != nil {
		return err
	}
	if tables > 0 {
		if err := db.QueryRowContext(ctx, "SELECT version FROM onceward_schema").Scan(&version); err != nil {
			return err
		}
	}
	switch {
	case version > sqlitestore.SchemaVersion:
		return fmt.Errorf("%w: it has version %d and this program knows versions up to %d: run the newer program", ErrNewSchema, version, sqlitestore.SchemaVersion)
	case version < sqlitestore.SchemaVersion:
		return fmt.Errorf("%w: it has version %d and this program needs %d", ErrSchema, version, sqlitestore.SchemaVersion)
	}
	return nil
}

// errPlain is what SQLite says to options of other databases.
var errPlain = errors.New("SQLite knows neither roles nor buckets, partitions or distribution: leave these flags out")

func migrateSQLite(ctx context.Context, dsn string, opts MigrateOptions) (string, error) {
	if opts != (MigrateOptions{}) {
		return "", errPlain
	}
	h, err := sqliteAt(ctx, dsn, sqlitestore.Config{})
	if err != nil {
		return "", err
	}
	if err := h.Close(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s has schema version %d.", strings.TrimPrefix(dsn, "sqlite:"), sqlitestore.SchemaVersion), nil
}

func schemaSQLite(_ context.Context, _ string, opts MigrateOptions) (string, error) {
	if opts != (MigrateOptions{}) {
		return "", errPlain
	}
	return sqlitestore.Schema(), nil
}
