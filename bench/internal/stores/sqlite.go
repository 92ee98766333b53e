package stores

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // the driver of the binary

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
	"github.com/onceward/onceward/sqlitestore"
)

func openSQLite(ctx context.Context, address string, opt Options) (*Opened, error) {
	remove := func() error { return nil }
	_, path, _ := strings.Cut(address, ":")
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
		Size:  func(context.Context) (Size, error) { return filesOf(path) },
		Load: func(ctx context.Context, n int64, record func(int64) onceward.Record) error {
			return loadFile(ctx, db, n, record)
		},
	}, nil
}

// filesOf is the size of a database with its log.
func filesOf(path string) (size Size, err error) {
	for _, suffix := range []string{"", "-wal", "-shm"} {
		info, err := os.Stat(path + suffix)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return size, err
		}
		size.Table += info.Size()
	}
	return size, nil
}

const insertSQLite = `INSERT INTO onceward_keys
  (id, scope, key, status, token, owner, attempt, kind, policy, fingerprint, retention_ns,
   claimed_at, lease_until, completed_at, expires_at, resp_status, resp_header, resp_body)
VALUES (?,?,?,?,?,?,1,?,?,?,?,?,?,?,?,?,?,?)`

// perCommit is how many rows are loaded in one transaction.
const perCommit = 50_000

// loadFile inserts on a connection of its own, that does not wait for the disk
// and is not given back.
func loadFile(ctx context.Context, db *sql.DB, n int64, record func(int64) onceward.Record) (err error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}()
	for _, pragma := range []string{"synchronous = OFF", "cache_size = -262144", "busy_timeout = 60000"} {
		if _, err := conn.ExecContext(ctx, "PRAGMA "+pragma); err != nil {
			return err
		}
	}
	for from := int64(0); from < n; from += perCommit {
		if err := loadSome(ctx, conn, from, min(from+perCommit, n), record); err != nil {
			return err
		}
	}
	return nil
}

func loadSome(ctx context.Context, conn *sql.Conn, from, to int64, record func(int64) onceward.Record) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // the first error says more
	insert, err := tx.PrepareContext(ctx, insertSQLite)
	if err != nil {
		return err
	}
	defer insert.Close()
	for i := from; i < to; i++ {
		r := record(i)
		id := r.Key.ID()
		_, err := insert.ExecContext(ctx, id[:], r.Key.Scope, r.Key.Value, string(r.Status), r.Token, r.Owner[:], r.Kind, string(r.Policy),
			r.Fingerprint, int64(r.Retention), r.ClaimedAt.UnixMicro(), r.LeaseUntil.UnixMicro(), r.CompletedAt.UnixMicro(),
			r.ExpiresAt.UnixMicro(), r.Response.Status, codec.EncodeHeader(r.Response.Header), r.Response.Body)
		if err != nil {
			return err
		}
	}
	return tx.Commit()
}
