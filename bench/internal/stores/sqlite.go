package stores

import (
	"context"
	"database/sql"
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

// perCommit is how many rows are loaded in one transaction: few enough that
// others get their turn.
const perCommit = 5000

func loadFile(ctx context.Context, db *sql.DB, n int64, record func(int64) onceward.Record) error {
	for from := int64(0); from < n; from += perCommit {
		if err := loadSome(ctx, db, from, min(from+perCommit, n), record); err != nil {
			return err
		}
	}
	return nil
}

func loadSome(ctx context.Context, db *sql.DB, from, to int64, record func(int64) onceward.Record) error {
	tx, err := db.BeginTx(ctx, nil)
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
