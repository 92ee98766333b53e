package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/onceward/onceward/internal/replay"
)

// writer owns the one connection that writes. Only the goroutine that commits
// a batch uses it, and Open and Close before and after all batches.
//
// A connection on which anything but BEGIN failed is given up, which rolls its
// transaction back whatever state it was in; the next batch opens another.
type writer struct {
	db    *sql.DB
	cfg   Config
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
	cache *replay.Cache
}

// lockWait is how long SQLite itself waits for the write lock. Short, because
// its waits grow to a tenth of a second: two busy processes share the file more
// evenly when each asks again at random, see retryBusy.
const lockWait = 5 * time.Millisecond

// settings of the writing connection, and how each proves that it took.
var settings = []struct{ set, ask, want string }{
	{"PRAGMA journal_mode = WAL", "PRAGMA journal_mode", "wal"},
	{"PRAGMA synchronous = FULL", "PRAGMA synchronous", "2"},
	{"PRAGMA foreign_keys = ON", "PRAGMA foreign_keys", "1"},
}

// exec runs a statement that must not be interrupted halfway: the writer's
// statements run under no context that can end.
func (w *writer) exec(query string) error {
	_, err := w.conn.ExecContext(context.Background(), query)
	return err
}

// connect takes a connection out of the pool and prepares it.
func (w *writer) connect(ctx context.Context) error {
	var err error
	if w.conn, err = w.db.Conn(ctx); err != nil {
		return explain("connecting", err)
	}
	if err := w.configure(ctx); err != nil {
		return errors.Join(err, w.drop())
	}
	if err := w.migrate(ctx); err != nil {
		return err
	}
	w.stmts = make(map[string]*sql.Stmt)
	for _, name := range []string{
		sqlClaim, sqlRenew, sqlCheckpoint, sqlComplete, sqlCompleted, sqlRelease, sqlGet, sqlSweep, sqlFloor,
	} {
		if w.stmts[name], err = w.conn.PrepareContext(ctx, single(name)); err != nil { //nolint:sqlclosecheck // drop closes it
			return errors.Join(explain("preparing "+name, err), w.drop())
		}
	}
	return nil
}

func (w *writer) configure(ctx context.Context) error {
	if err := w.exec(fmt.Sprintf("PRAGMA busy_timeout = %d", lockWait.Milliseconds())); err != nil { //nolint:contextcheck // a cancelled PRAGMA would leave the connection half configured
		return explain("configuring the connection", err)
	}
	var file string
	err := w.retryBusy(ctx, func() error {
		return w.conn.QueryRowContext(ctx, "SELECT file FROM pragma_database_list WHERE name = 'main'").Scan(&file)
	})
	if err != nil {
		return explain("opening the database", err)
	}
	if file == "" {
		return errors.New("sqlitestore: an in-memory or temporary database cannot be shared by connections; name a file, or use package memstore")
	}
	for _, s := range settings {
		var got string
		err := w.retryBusy(ctx, func() error {
			if err := w.exec(s.set); err != nil { //nolint:contextcheck // a cancelled PRAGMA would leave the connection half configured
				return err
			}
			return w.conn.QueryRowContext(ctx, s.ask).Scan(&got)
		})
		if err != nil {
			return explain(s.set, err)
		}
		if got != s.want {
			return fmt.Errorf("sqlitestore: %s was refused, the database stays at %q; use a file on a local disk", s.set, got)
		}
	}
	return nil
}

// retryBusy repeats what another process's lock prevented, at random moments,
// until Config.BusyTimeout or ctx ends.
func (w *writer) retryBusy(ctx context.Context, do func() error) error {
	return retryBusy(ctx, w.cfg.BusyTimeout, do)
}

func retryBusy(ctx context.Context, timeout time.Duration, do func() error) error {
	err := do()
	if !busy(err) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	for pause := 500 * time.Microsecond; busy(err); pause = min(2*pause, 20*time.Millisecond) {
		t := time.NewTimer(rand.N(pause)) //nolint:gosec // spreads the attempts, is no secret
		select {
		case <-t.C:
			err = do()
		case <-ctx.Done():
			t.Stop()
			return err
		}
	}
	return err
}

// drop gives the connection up instead of back: whatever transaction is open
// on it ends, and its settings do not leak into the pool.
func (w *writer) drop() error {
	if w.conn == nil {
		return nil
	}
	for _, s := range w.stmts {
		_ = s.Close() // its connection ends with it
	}
	conn := w.conn
	w.conn, w.stmts = nil, nil
	err := conn.Raw(func(any) error { return driver.ErrBadConn })
	if err != nil && !errors.Is(err, driver.ErrBadConn) {
		return explain("closing the connection", err)
	}
	if err := conn.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		return explain("closing the connection", err)
	}
	return nil
}

func (w *writer) close() error { return w.drop() }
