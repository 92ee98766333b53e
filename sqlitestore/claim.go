package sqlitestore

import (
	"bytes"
	"context"
	"database/sql"
	"errors"

	"github.com/onceward/onceward"
)

// claim takes a key or reads the record that stands.
type claim struct {
	decided
	req onceward.ClaimRequest
	id  onceward.ID
	res onceward.ClaimResult
}

// Claim implements onceward.Store. A record that is known to be completed needs
// no query.
func (s *Store) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	id := req.Key.ID()
	if rec, ok := s.writer.cache.Get(id, req.Now); ok && rec.Key == req.Key && !s.closed.Load() {
		return onceward.ClaimResult{Record: rec}, nil
	}
	req.Fingerprint, req.Detail = bytes.Clone(req.Fingerprint), bytes.Clone(req.Detail)
	op := &claim{req: req, id: id}
	if err := s.do(ctx, op); err != nil {
		return onceward.ClaimResult{}, err
	}
	return op.res, nil
}

func (c *claim) apply(w *writer) error {
	token, attempt, err := c.take(w)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return c.lose(w)
	case err != nil:
		return err
	case attempt == 1: // begun afresh: what stands is what was asked for
		c.res = onceward.ClaimResult{Won: true, Record: c.fresh(token)}
		return nil
	}
	rec, err := c.standing(w)
	c.res = onceward.ClaimResult{Won: true, TookOver: true, Record: rec}
	return err
}

// committed remembers an answer, or forgets the one before: whoever claimed by a
// clock that is ahead has begun afresh, for those whose clocks are behind, too.
func (c *claim) committed(w *writer) {
	if c.res.Won {
		w.cache.Drop(c.id)
	} else {
		w.cache.Put(c.id, &c.res.Record)
	}
}

func (c *claim) take(w *writer) (token int64, attempt int, err error) {
	r := &c.req
	fingerprint := r.Fingerprint
	if fingerprint == nil {
		fingerprint = []byte{} // the column holds no NULL
	}
	row := w.stmts[sqlClaim].QueryRowContext(context.Background(),
		c.id[:], r.Key.Scope, r.Key.Value, r.Token, r.Owner[:], r.Kind, string(r.Policy), fingerprint,
		int64(r.Retention), r.Detail, micros(r.Now), micros(r.LeaseUntil), micros(r.ExpiresAt), r.TakeHeld)
	err = row.Scan(&token, &attempt)
	return token, attempt, err
}

// lose reports the record that stands; it may be the same claim's, repeated.
func (c *claim) lose(w *writer) error {
	rec, err := c.standing(w)
	c.res = onceward.ClaimResult{Record: rec}
	if rec.Status == onceward.StatusStarted && rec.Owner == c.req.Owner {
		c.res.Won, c.res.TookOver = true, rec.Attempt > 1
	}
	return err
}

func (c *claim) standing(w *writer) (onceward.Record, error) {
	r, err := scanRow(w.stmts[sqlGet].QueryRowContext(context.Background(), c.id[:]))
	if err != nil {
		return onceward.Record{}, err
	}
	return r.Record, sameKey(r.Key, c.req.Key)
}

func (c *claim) fresh(token int64) onceward.Record {
	r := &c.req
	return onceward.Record{
		Key: r.Key, Status: onceward.StatusStarted,
		Token: token, Owner: r.Owner, Attempt: 1,
		Kind: r.Kind, Policy: r.Policy, Retention: r.Retention,
		Fingerprint: r.Fingerprint, Detail: r.Detail,
		ClaimedAt: cut(r.Now), LeaseUntil: cut(r.LeaseUntil), ExpiresAt: cut(r.ExpiresAt),
	}
}
