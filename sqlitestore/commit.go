package sqlitestore

import (
	"context"
	"errors"
)

// operation is one write. It is applied inside a transaction, possibly more
// than once, and only the verdict of the last time counts.
type operation interface {
	// apply returns an error only if the database failed; what the contract
	// calls a failure, such as ErrFenced, is a verdict.
	apply(w *writer) error
	decide(verdict error)
	verdict() error
	// committed comes after the commit, in the order of commits, and before
	// the caller learns of it.
	committed(w *writer)
}

// decided is the part that all operations share.
type decided struct{ err error }

func (d *decided) decide(verdict error) { d.err = verdict }
func (d *decided) verdict() error       { return d.err }
func (d *decided) committed(*writer)    {}

// statementError is a failure of one operation of a batch, after which the
// others may be tried without it.
type statementError struct{ err error }

func (e *statementError) Error() string { return e.err.Error() }
func (e *statementError) Unwrap() error { return e.err }

// commit makes a batch durable. An operation that the database cannot carry
// out must not take the others with it: they are then committed one by one.
func (w *writer) commit(ctx context.Context, ops []operation) error {
	err := w.transact(ctx, ops)
	if _, one := errors.AsType[*statementError](err); !one || len(ops) == 1 || concernsAll(err) {
		return err
	}
	for i, op := range ops {
		if err := w.transact(ctx, ops[i:i+1]); err != nil {
			op.decide(err)
		}
	}
	return nil
}

// transact runs the operations in one transaction. BEGIN IMMEDIATE takes the
// write lock first, so that no operation can fail for want of it.
func (w *writer) transact(ctx context.Context, ops []operation) error {
	if w.conn == nil {
		if err := w.connect(ctx); err != nil {
			return err
		}
	}
	if err := w.retryBusy(ctx, func() error { return w.exec("BEGIN IMMEDIATE") }); err != nil { //nolint:contextcheck // a transaction that has begun is ended, whoever has gone
		if busy(err) {
			return explain("waiting to write", err)
		}
		return errors.Join(explain("beginning a transaction", err), w.drop())
	}
	open := true
	defer func() {
		if open { // failed or panicked
			_ = w.drop() // the reason is already known
		}
	}()
	for _, op := range ops {
		op.decide(nil)
		if err := op.apply(w); err != nil {
			return &statementError{explain("writing", err)}
		}
	}
	if err := w.exec("COMMIT"); err != nil { //nolint:contextcheck // a transaction that has begun is ended, whoever has gone
		return explain("committing, so that the outcome is unknown", err)
	}
	open = false
	for _, op := range ops {
		op.committed(w)
	}
	return nil
}
