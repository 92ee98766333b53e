package onceward

import (
	"context"
	"errors"
	"fmt"
)

// ErrTxEnded means that a handler committed or rolled back the transaction in
// which its record was to complete. What it wrote may have happened without the
// record, so the operation is HELD.
var ErrTxEnded = errors.New("onceward: the handler ended the transaction of its operation")

// errNotCommitted means that the transaction of an operation is proven to have
// been rolled back.
var errNotCommitted = errors.New("onceward: the transaction was not committed")

// Transactor is a Store on a database in which handlers keep rows of their own.
// Requests with InTx need it.
type Transactor interface {
	// Begin starts a transaction in which the record of key can complete.
	Begin(ctx context.Context, key Key) (Tx, error)
}

// Tx is the transaction of one operation.
type Tx interface {
	// Driver returns what handlers write with, a pgx.Tx or a *sql.Tx. They may
	// not end it.
	Driver() any
	// Complete is Store.Complete inside of the transaction, followed by its
	// commit: what the handler wrote and the completion happen together, or
	// neither does. After ErrFenced, and after ErrTxEnded as far as the record
	// is concerned, neither did. After any other error the transaction may
	// still be committed, until a Renew by the same claim has succeeded.
	Complete(ctx context.Context, req CompleteRequest) error
	// Rollback undoes everything. After Complete it does nothing.
	Rollback() error
}

// Tx returns the transaction in which the operation will complete, and begins it
// when it is asked for the first time: what the handler writes with it and the
// record of its answer are committed together, or neither is. It is rolled back
// when the operation ends in any other way. The request must say InTx.
//
// The value is the database driver's: see postgres.Tx and sqlitestore.Tx, which
// know its type. Keep it short: it may hold locks that others wait for.
func (op *Operation) Tx(ctx context.Context) (any, error) {
	t, ok := op.eng.store.(Transactor)
	if !ok || !op.inTx {
		return nil, errors.New("onceward: Operation.Tx needs a Request with InTx")
	}
	if err := op.lost(); err != nil { //nolint:contextcheck // an operation outlives its caller and has a context of its own
		return nil, err
	}
	op.writeMu.Lock()
	defer op.writeMu.Unlock()
	if op.Ended() {
		return nil, ErrFenced
	}
	if op.tx == nil {
		tx, err := t.Begin(ctx, op.Key())
		if err != nil {
			return nil, fmt.Errorf("onceward: beginning the transaction: %w", err)
		}
		op.tx = tx
	}
	return op.tx.Driver(), nil
}

// rollback undoes the operation's transaction, if one is open. It must come
// before any other write of the record: that could wait for it.
func (op *Operation) rollback() {
	tx := op.tx
	if op.tx = nil; tx == nil {
		return
	}
	if err := tx.Rollback(); err != nil {
		op.eng.log.Warn("transaction not rolled back; the database will", "operation", op.ID(), "kind", op.Kind(), "err", err)
	}
}

// commit completes the record in the operation's transaction.
func (op *Operation) commit(req *CompleteRequest) error {
	tx := op.tx
	op.tx = nil
	cfg := &op.eng.cfg
	req.Now = cfg.Now()
	req.ExpiresAt = req.Now.Add(op.rec.Retention)
	ctx, cancel := op.eng.storeContext(&op.ctx)
	defer cancel()
	err := tx.Complete(ctx, *req)
	if err == nil || errors.Is(err, ErrFenced) || errors.Is(err, ErrTxEnded) {
		return err
	}
	op.eng.log.Warn("commit unclear; asking the record", "operation", op.ID(), "kind", op.Kind(), "err", err)
	var verdict error
	err = op.eng.retry(new(detached), &op.values, cfg.CompleteTimeout, func(ctx context.Context) (err error) {
		verdict, err = op.committed(ctx, req)
		return err
	})
	return errors.Join(verdict, err)
}

// committed finds out what became of a commit whose outcome is unknown. A
// renewal waits for a transaction that is still open; when it succeeds, that one
// did not commit, and never will.
func (op *Operation) committed(ctx context.Context, req *CompleteRequest) (verdict, err error) {
	now := op.eng.cfg.Now()
	err = op.eng.store.Renew(ctx, RenewRequest{Claim: req.Claim, Now: now, LeaseUntil: now.Add(op.eng.cfg.Lease)})
	if err == nil {
		return errNotCommitted, nil
	}
	if !errors.Is(err, ErrFenced) {
		return nil, err
	}
	rec, err := op.eng.store.Get(ctx, GetRequest{Key: op.Key(), Now: now})
	switch {
	case errors.Is(err, ErrNotFound) || err == nil && rec.Claim() != req.Claim:
		return ErrFenced, nil
	case err != nil:
		return nil, err
	case rec.Status != req.Status:
		return ErrFenced, nil
	default:
		return nil, nil
	}
}
