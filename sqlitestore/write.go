package sqlitestore

import (
	"bytes"
	"context"
	"errors"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

// What an operation keeps of its request it has copied: its caller may be gone
// by the time it is applied.

// update is a write by the owner of a started record: one statement, which
// changes one row or finds that the claim is not the record's.
type update struct {
	decided
	name string
	args []any
}

func (u *update) apply(w *writer) error {
	changed, err := w.change(u.name, u.args)
	if err == nil && !changed {
		u.decide(onceward.ErrFenced)
	}
	return err
}

// change runs a prepared UPDATE and reports whether there was a row for it.
func (w *writer) change(name string, args []any) (bool, error) {
	res, err := w.stmts[name].ExecContext(context.Background(), args...)
	if err != nil {
		return false, err
	}
	n, err := res.RowsAffected()
	return n > 0, err
}

// ownedBy returns the parameters that begin every update.
func ownedBy(c onceward.Claim, more ...any) []any {
	id := c.Key.ID()
	return append([]any{id[:], c.Token, c.Owner[:]}, more...)
}

// Renew implements onceward.Store.
func (s *Store) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return s.do(ctx, &update{name: sqlRenew, args: ownedBy(req.Claim, micros(req.LeaseUntil))})
}

// Checkpoint implements onceward.Store.
func (s *Store) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	return s.do(ctx, &update{name: sqlCheckpoint, args: ownedBy(req.Claim, codec.EncodeCheckpoints(req.Checkpoints))})
}

// Release implements onceward.Store.
func (s *Store) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return s.do(ctx, &update{name: sqlRelease, args: ownedBy(req.Claim)})
}

// complete is an update that may be repeated.
type complete struct{ update }

func (c *complete) apply(w *writer) error {
	if err := c.update.apply(w); err != nil || c.verdict() == nil {
		return err
	}
	var ended int
	row := w.stmts[sqlCompleted].QueryRowContext(context.Background(), c.args[:4]...)
	if err := row.Scan(&ended); err != nil {
		return err
	}
	if ended > 0 {
		c.decide(nil)
	}
	return nil
}

// Complete implements onceward.Store.
func (s *Store) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	args, err := completion(req)
	if err != nil {
		return err
	}
	return s.do(ctx, &complete{update{name: sqlComplete, args: args}})
}

// completion returns the parameters of complete.sql.
func completion(req onceward.CompleteRequest) ([]any, error) {
	if req.Status != onceward.StatusCompleted && req.Status != onceward.StatusHeld {
		return nil, errors.New("sqlitestore: Complete needs the status COMPLETED or HELD")
	}
	args := ownedBy(req.Claim, string(req.Status), req.Reason, micros(req.Now), micros(req.ExpiresAt))
	if r := req.Response; r != nil {
		return append(args, r.Status, r.Tombstone, codec.EncodeHeader(r.Header), bytes.Clone(r.Body)), nil
	}
	return append(args, nil, false, nil, nil), nil
}

// sweep deletes what has expired, and remembers its highest token.
type sweep struct {
	decided
	now     int64
	limit   int
	deleted int
}

func (o *sweep) apply(w *writer) error {
	rows, err := w.stmts[sqlSweep].QueryContext(context.Background(), o.now, o.limit)
	if err != nil {
		return err
	}
	defer rows.Close()
	o.deleted = 0
	var floor int64
	for rows.Next() {
		var token int64
		if err := rows.Scan(&token); err != nil {
			return err
		}
		floor = max(floor, token)
		o.deleted++
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil || o.deleted == 0 {
		return err
	}
	_, err = w.change(sqlFloor, []any{floor})
	return err
}

// Sweep implements onceward.Sweeper.
func (s *Store) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	if req.Limit <= 0 {
		return onceward.SweepResult{}, errors.New("sqlitestore: Sweep needs a positive limit")
	}
	op := &sweep{now: micros(req.Now), limit: req.Limit}
	if err := s.do(ctx, op); err != nil {
		return onceward.SweepResult{}, err
	}
	return onceward.SweepResult{Deleted: op.deleted, More: op.deleted == req.Limit}, nil
}
