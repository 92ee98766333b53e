package conformance_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"modernc.org/sqlite"

	"github.com/onceward/onceward/sqlitestore"
)

// watched is the driver with somebody looking over its shoulder: hook sees
// every statement that is executed outside a prepared one, on its connection.
type watched struct {
	inner driver.Driver
	dsn   string
	mu    sync.Mutex
	hook  func(c *watchedConn, query string)
}

func (d *watched) Connect(context.Context) (driver.Conn, error) {
	c, err := d.inner.Open(d.dsn)
	if err != nil {
		return nil, err
	}
	full, ok := c.(fullConn)
	if !ok {
		return nil, errors.Join(errors.New("the driver has changed its interfaces"), c.Close())
	}
	return &watchedConn{full, d}, nil
}

// Driver implements driver.Connector.
func (d *watched) Driver() driver.Driver { return d.inner }

func (d *watched) set(hook func(c *watchedConn, query string)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = hook
}

// fullConn is what the driver's connections can do.
type fullConn interface {
	driver.Conn
	driver.ExecerContext
	driver.QueryerContext
	driver.ConnPrepareContext
	driver.ConnBeginTx
	driver.SessionResetter
	driver.Validator
}

type watchedConn struct {
	fullConn
	d *watched
}

// ExecContext implements driver.ExecerContext.
func (c *watchedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	c.d.mu.Lock()
	hook := c.d.hook
	c.d.mu.Unlock()
	if hook != nil {
		hook(c, query)
	}
	return c.fullConn.ExecContext(ctx, query, args)
}

// ask returns the first column of a query's first row, on this connection.
func (c *watchedConn) ask(query string) string {
	rows, err := c.QueryContext(context.Background(), query, nil)
	if err != nil {
		return err.Error()
	}
	defer rows.Close()
	row := make([]driver.Value, len(rows.Columns()))
	if err := rows.Next(row); err != nil {
		return err.Error()
	}
	return fmt.Sprint(row[0])
}

// file is one database file, for several stores and for looking at it.
type file struct {
	path string
	db   *sql.DB
	d    *watched
}

// newFile returns a watched pool on a new file; params go to the driver.
func newFile(t *testing.T, params string) *file {
	t.Helper()
	return openFile(t, filepath.Join(t.TempDir(), "once.db"), params)
}

func openFile(t *testing.T, path, params string) *file {
	t.Helper()
	d := &watched{inner: &sqlite.Driver{}, dsn: "file:" + path + params}
	db := sql.OpenDB(d)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return &file{path, db, d}
}

func (f *file) open(t *testing.T, cfg sqlitestore.Config) *sqlitestore.Store {
	t.Helper()
	s, err := sqlitestore.Open(t.Context(), f.db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}

// exec runs SQL beside the store, as an operator's tool would.
func (f *file) exec(t *testing.T, query string, args ...any) {
	t.Helper()
	if _, err := f.db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func (f *file) ask(t *testing.T, query string, args ...any) string {
	t.Helper()
	rows, err := f.db.QueryContext(t.Context(), query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	cols, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for rows.Next() {
		row := make([]any, len(cols))
		to := make([]any, len(cols))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		out = append(out, fmt.Sprint(row[len(row)-1]))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return strings.Join(out, "\n")
}
