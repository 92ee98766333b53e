package sqlitestore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"github.com/onceward/onceward"
)

// Tx returns the transaction of the operation whose handler runs under ctx, see
// onceward.Operation.Tx. It holds the file's write lock from its beginning, so
// that nothing else is written until the handler returns: keep it short. The
// handler may not end it.
func Tx(ctx context.Context) (*sql.Tx, error) {
	op := onceward.FromContext(ctx)
	if op == nil {
		return nil, errors.New("sqlitestore: Tx needs the context of a handler")
	}
	tx, err := op.Tx(ctx)
	if err != nil {
		return nil, err
	}
	t, ok := tx.(*sql.Tx)
	if !ok {
		return nil, errors.New("sqlitestore: the engine runs on another store")
	}
	return t, nil
}

// transaction implements onceward.Tx.
type transaction struct {
	conn *sql.Conn
	tx   *sql.Tx
	key  onceward.Key
	done bool
}

// Begin implements onceward.Transactor.
func (s *Store) Begin(ctx context.Context, key onceward.Key) (onceward.Tx, error) {
	if s.closed.Load() {
		return nil, ErrClosed
	}
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return nil, explain("connecting", err)
	}
	t := &transaction{conn: conn, key: key}
	if err := t.begin(ctx, s); err != nil {
		return nil, errors.Join(err, t.drop())
	}
	return t, nil
}

func (t *transaction) begin(ctx context.Context, s *Store) error {
	// As durable as every other write of the store.
	if _, err := t.conn.ExecContext(ctx, "PRAGMA synchronous = FULL"); err != nil {
		return explain("configuring the connection", err)
	}
	var err error
	// It would be rolled back when ctx ends: the engine decides that.
	if t.tx, err = t.conn.BeginTx(context.WithoutCancel(ctx), nil); err != nil {
		return explain("beginning a transaction", err)
	}
	// The first statement takes the write lock, which could not be had later
	// if somebody else wrote meanwhile.
	return explain("waiting to write", retryBusy(ctx, s.cfg.BusyTimeout, func() error {
		_, err := t.tx.ExecContext(ctx, "UPDATE onceward_floor SET token = token WHERE one = 1")
		return err
	}))
}

// Driver implements onceward.Tx.
func (t *transaction) Driver() any { return t.tx }

// Complete implements onceward.Tx.
func (t *transaction) Complete(_ context.Context, req onceward.CompleteRequest) error {
	args, err := completion(req)
	if err != nil {
		return errors.Join(err, t.Rollback())
	}
	t.done = true
	// Under no context that can end: the outcome must be known.
	res, err := t.tx.ExecContext(context.Background(), statement(sqlComplete), args...) //nolint:contextcheck // see above
	if errors.Is(err, sql.ErrTxDone) {
		return errors.Join(onceward.ErrTxEnded, t.drop())
	}
	if err != nil {
		return errors.Join(explain("completing", err), t.drop())
	}
	n, err := res.RowsAffected()
	if err == nil && n == 0 {
		return errors.Join(onceward.ErrFenced, t.tx.Rollback(), t.conn.Close())
	}
	if err == nil {
		err = t.tx.Commit()
	}
	if err != nil {
		return errors.Join(explain("committing, so that the outcome is unknown", err), t.drop())
	}
	return t.conn.Close()
}

// Rollback implements onceward.Tx.
func (t *transaction) Rollback() error {
	if t.done {
		return nil
	}
	t.done = true
	err := t.tx.Rollback()
	if errors.Is(err, sql.ErrTxDone) {
		err = nil
	}
	if err != nil {
		return errors.Join(err, t.drop())
	}
	return t.conn.Close()
}

// drop gives the connection up, which ends whatever is open on it.
func (t *transaction) drop() error {
	err := t.conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		err = nil
	}
	if closeErr := t.conn.Close(); err == nil && !errors.Is(closeErr, sql.ErrConnDone) {
		err = closeErr
	}
	return err
}
