package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
)

// Tx returns the transaction of the operation whose handler runs under ctx, see
// onceward.Operation.Tx. The handler may not end it; a transaction begun inside
// of it is a savepoint.
func Tx(ctx context.Context) (pgx.Tx, error) {
	op := onceward.FromContext(ctx)
	if op == nil {
		return nil, errors.New("postgres: Tx needs the context of a handler")
	}
	tx, err := op.Tx(ctx)
	if err != nil {
		return nil, err
	}
	t, ok := tx.(pgx.Tx)
	if !ok {
		return nil, errors.New("postgres: the engine runs on another store")
	}
	return t, nil
}

// handlersTx is what a handler gets.
type handlersTx struct{ pgx.Tx }

var errNotYours = errors.New("postgres: the transaction ends with the handler: return a response to commit it, an error to roll it back")

// Commit refuses.
func (handlersTx) Commit(context.Context) error { return errNotYours }

// Rollback refuses.
func (handlersTx) Rollback(context.Context) error { return errNotYours }

// operationTx implements onceward.Tx.
type operationTx struct {
	s      *Store
	conn   *pgxpool.Conn
	tx     pgx.Tx
	bucket int16
}

// Begin implements onceward.Transactor. The transaction has the isolation level
// that is the default of the database's role.
func (s *Store) Begin(ctx context.Context, key onceward.Key) (onceward.Tx, error) {
	id := key.ID()
	if err := s.here(id); err != nil {
		return nil, err
	}
	if err := s.writer.marks.writable(); err != nil {
		return nil, err
	}
	conn, err := s.txs.Acquire(ctx)
	if err != nil {
		return nil, explain("connecting", err)
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		conn.Release()
		return nil, explain("beginning a transaction", err)
	}
	return &operationTx{s: s, conn: conn, tx: tx, bucket: int16(bucketOf(id, s.layout.buckets))}, nil //nolint:gosec // below Slots
}

// Driver implements onceward.Tx.
func (t *operationTx) Driver() any { return handlersTx{t.tx} }

// Complete implements onceward.Tx.
//
// The record is updated first, and the commit sent only when that has found it:
// from then on a write of the same claim waits for the end of the transaction.
func (t *operationTx) Complete(_ context.Context, req onceward.CompleteRequest) error {
	defer t.Rollback() //nolint:errcheck,contextcheck // the first error says more; undone whoever has gone
	o, err := newCompletion(req)
	if err != nil {
		return err
	}
	conn := t.conn.Conn()
	if conn.PgConn().TxStatus() == 'I' {
		return onceward.ErrTxEnded
	}
	var c completion
	c.add(o)
	args := append([]any{t.bucket, c.ids, c.tokens, c.owners}, c.list()...)
	err = guarded(conn, t.s.cfg.WriteTimeout, func(ctx context.Context) error { //nolint:contextcheck // a commit is not cancelled
		rows, err := t.tx.Query(ctx, t.s.sql.complete, args...)
		if err != nil {
			return err
		}
		done, err := pgx.CollectRows(rows, pgx.RowTo[pgtype.UUID])
		if err != nil {
			return err
		}
		if len(done) == 0 {
			return onceward.ErrFenced
		}
		return t.tx.Commit(ctx)
	})
	if err != nil && !errors.Is(err, onceward.ErrFenced) {
		abandon(conn) //nolint:contextcheck // whoever has gone
		return explain("committing an operation's transaction", err)
	}
	if err == nil {
		t.s.wakeups.ended(o.id)
	}
	return err
}

// Rollback implements onceward.Tx.
func (t *operationTx) Rollback() error {
	if t.conn == nil {
		return nil
	}
	conn := t.conn
	t.conn = nil
	defer conn.Release()
	if conn.Conn().IsClosed() {
		return nil // and so is the transaction
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := t.tx.Rollback(ctx); err != nil && !errors.Is(err, pgx.ErrTxClosed) {
		abandon(conn.Conn())
		return fmt.Errorf("postgres: rolling back: %w", err)
	}
	return nil
}
