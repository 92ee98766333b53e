package conformance_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/sqlitestore"
)

// The disk is full: what did not fit is refused by that name, what was
// acknowledged stays, and the store goes on when there is room.
func TestSQLiteDiskFull(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{})
	kept := claim(t, s, 0)
	pages := f.ask(t, "PRAGMA page_count")
	full := true
	f.d.set(func(c *watchedConn, query string) {
		switch {
		case query != "BEGIN IMMEDIATE":
		case full:
			c.ask("PRAGMA max_page_count = " + pages)
		default:
			c.ask("PRAGMA max_page_count = 1000000")
		}
	})
	large := completion(kept.Claim())
	large.Response.Body = make([]byte, 100_000)
	for range 3 {
		if err := s.Complete(t.Context(), large); !errors.Is(err, sqlitestore.ErrDiskFull) || !strings.Contains(err.Error(), "free disk space") {
			t.Fatalf("got %v, want ErrDiskFull", err)
		}
	}
	if got, err := s.Get(t.Context(), onceward.GetRequest{Key: kept.Key, Now: epoch}); err != nil || got.Status != onceward.StatusStarted {
		t.Fatalf("after the refusal: %s, %v", got.Status, err)
	}
	full = false
	if err := s.Complete(t.Context(), large); err != nil {
		t.Fatalf("with room again: %v", err)
	}
	claim(t, s, 1)
}

// Another process holds the write lock: for a while, and for too long.
func TestSQLiteBusy(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{BusyTimeout: 50 * time.Millisecond})
	waiting := openFile(t, f.path, "")
	patient := waiting.open(t, sqlitestore.Config{BusyTimeout: time.Minute})
	other := openFile(t, f.path, "")
	conn, err := other.db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	exec := func(query string) {
		t.Helper()
		if _, err := conn.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	exec("BEGIN IMMEDIATE")
	if _, err := s.Claim(t.Context(), request(1)); !errors.Is(err, sqlitestore.ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if _, err := s.Get(t.Context(), onceward.GetRequest{Key: request(1).Key, Now: epoch}); !errors.Is(err, onceward.ErrNotFound) {
		t.Errorf("readers wait for nobody, and nothing was written: %v", err)
	}
	asked, won := make(chan struct{}), make(chan error, 1)
	var once sync.Once
	waiting.d.set(func(_ *watchedConn, query string) {
		if query == "BEGIN IMMEDIATE" {
			once.Do(func() { close(asked) })
		}
	})
	go func() {
		res, err := patient.Claim(t.Context(), request(1))
		if err == nil && !res.Won {
			err = errors.New("lost a free key")
		}
		won <- err
	}()
	<-asked
	exec("ROLLBACK")
	if err := <-won; err != nil {
		t.Errorf("who waited: %v", err)
	}
	claim(t, s, 2)
}

func openError(t *testing.T, db *sql.DB, cfg sqlitestore.Config) error {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), db, cfg)
	if err == nil {
		err = errors.Join(errors.New("it opened"), s.Close(context.WithoutCancel(t.Context())))
	}
	return err
}

// What cannot be opened says why, and what to do.
func TestSQLiteRefusesToOpen(t *testing.T) {
	t.Parallel()
	upgraded := func(t *testing.T, change string) *sql.DB {
		f := newFile(t, "")
		if err := f.open(t, sqlitestore.Config{}).Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.exec(t, change)
		return f.db
	}
	written := func(t *testing.T, content string) *sql.DB {
		path := filepath.Join(t.TempDir(), "once.db")
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return openFile(t, path, "").db
	}
	for name, c := range map[string]struct {
		db   func(t *testing.T) *sql.DB
		cfg  sqlitestore.Config
		want error
		says string
	}{
		"a newer schema": {
			db:   func(t *testing.T) *sql.DB { return upgraded(t, "UPDATE onceward_schema SET version = 99") },
			want: sqlitestore.ErrSchema, says: "run the newer program",
		},
		"a schema without a version": {
			db:   func(t *testing.T) *sql.DB { return upgraded(t, "DELETE FROM onceward_schema") },
			want: sqlitestore.ErrSchema, says: "restore it from a backup",
		},
		"an empty database that may not be migrated": {
			db:  func(t *testing.T) *sql.DB { return newFile(t, "").db },
			cfg: sqlitestore.Config{CheckMigrated: true}, want: sqlitestore.ErrSchema, says: "open it once without",
		},
		"no database": {
			db:   func(t *testing.T) *sql.DB { return written(t, strings.Repeat("this is a shopping list\n", 500)) },
			want: sqlitestore.ErrCorrupt, says: "restore it from a backup",
		},
		"a read-only database": {
			db: func(t *testing.T) *sql.DB {
				f := newFile(t, "")
				if err := f.open(t, sqlitestore.Config{}).Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				return openFile(t, f.path, "?mode=ro").db
			},
			want: sqlitestore.ErrReadOnly, says: "check the owner and mode",
		},
		"a database in memory": {db: func(t *testing.T) *sql.DB { return openFile(t, ":memory:", "").db }, says: "use package memstore"},
		"a pool of one connection": {
			db: func(t *testing.T) *sql.DB {
				f := newFile(t, "")
				f.db.SetMaxOpenConns(1)
				return f.db
			},
			says: "SetMaxOpenConns(0)",
		},
		"no pool":            {db: func(*testing.T) *sql.DB { return nil }, says: "needs a *sql.DB"},
		"a negative timeout": {db: func(t *testing.T) *sql.DB { return newFile(t, "").db }, cfg: sqlitestore.Config{BusyTimeout: -1}, says: "negative"},
		"no such directory": {
			db:   func(t *testing.T) *sql.DB { return openFile(t, filepath.Join(t.TempDir(), "gone", "once.db"), "").db },
			says: "unable to open database file",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := openError(t, c.db(t), c.cfg)
			if c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v; want %v, which says %q", err, c.want, c.says)
			}
		})
	}
}

// A pool of two is enough: one to write, one to read.
func TestSQLitePoolOfTwo(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	f.db.SetMaxOpenConns(2)
	s := f.open(t, sqlitestore.Config{})
	for i := range 20 {
		rec := claim(t, s, i)
		if _, err := s.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: epoch}); err != nil {
			t.Fatal(err)
		}
		if _, err := s.List(t.Context(), onceward.ListRequest{Now: epoch, Limit: 5}); err != nil {
			t.Fatal(err)
		}
	}
}

// Damage inside is reported as damage: by SQLite for its pages, by the store
// for its own columns. It is never taken for an absent record.
func TestSQLiteDamage(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		want   error
	}{
		"header":      {"UPDATE onceward_keys SET resp_header = x'ff'", sqlitestore.ErrCorrupt},
		"checkpoints": {"UPDATE onceward_keys SET checkpoints = x'05'", sqlitestore.ErrCorrupt},
		"key":         {"UPDATE onceward_keys SET key = 'another'", nil},
	} {
		f := newFile(t, "")
		s := f.open(t, sqlitestore.Config{})
		rec := claim(t, s, 1)
		if err := s.Complete(t.Context(), completion(rec.Claim())); err != nil {
			t.Fatal(err)
		}
		f.exec(t, c.change)
		_, getErr := s.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: epoch})
		_, claimErr := s.Claim(t.Context(), request(1))
		for _, err := range []error{getErr, claimErr} {
			if err == nil || errors.Is(err, onceward.ErrNotFound) || errors.Is(err, onceward.ErrFenced) || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
		}
		claim(t, s, 2) // the others are not concerned
	}
}

// damaged returns a file of 200 records in which the root page of a table or an
// index is overwritten.
func damaged(t *testing.T, object string) *file {
	t.Helper()
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{})
	for i := range 200 {
		claim(t, s, i)
	}
	root, err := strconv.Atoi(f.ask(t, "SELECT rootpage FROM sqlite_schema WHERE name = ?", object))
	if err != nil {
		t.Fatal(err)
	}
	f.exec(t, "PRAGMA wal_checkpoint(TRUNCATE)")
	if err := errors.Join(s.Close(t.Context()), f.db.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(f.path)
	if err != nil {
		t.Fatal(err)
	}
	copy(data[(root-1)*4096:], bytes.Repeat([]byte{0xa5}, 4096))
	if err := os.WriteFile(f.path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return openFile(t, f.path, "")
}

func TestSQLiteDamagedPages(t *testing.T) {
	t.Parallel()
	if err := openError(t, damaged(t, "onceward_schema").db, sqlitestore.Config{}); !errors.Is(err, sqlitestore.ErrCorrupt) {
		t.Errorf("got %v, want ErrCorrupt", err)
	}
	s := damaged(t, "sqlite_autoindex_onceward_keys_1").open(t, sqlitestore.Config{}) // that page is not needed for it
	for _, i := range []int{0, 100, 199, 1000} {
		if _, err := s.Get(t.Context(), onceward.GetRequest{Key: request(i).Key, Now: epoch}); !errors.Is(err, sqlitestore.ErrCorrupt) {
			t.Errorf("record %d: got %v, want ErrCorrupt", i, err)
		}
		if _, err := s.Claim(t.Context(), request(i)); !errors.Is(err, sqlitestore.ErrCorrupt) {
			t.Errorf("claim %d: got %v, want ErrCorrupt", i, err)
		}
	}
}

// After Close nothing is written or read, and closing again is harmless.
func TestSQLiteClosed(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{})
	rec := claim(t, s, 1)
	for range 2 {
		if err := s.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	_, claimErr := s.Claim(t.Context(), request(2))
	_, getErr := s.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: epoch})
	for _, err := range []error{claimErr, getErr, s.Complete(t.Context(), completion(rec.Claim()))} {
		if !errors.Is(err, sqlitestore.ErrClosed) {
			t.Errorf("got %v, want ErrClosed", err)
		}
	}
	if n := f.ask(t, "SELECT count(*) FROM onceward_keys"); n != "1" {
		t.Errorf("%s rows", n)
	}
}
