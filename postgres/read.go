package postgres

import (
	"context"
	"time"

	"github.com/onceward/onceward"
)

// row reads a record for an answer, expired or not: in a transaction that
// commits before it returns. It may then be
// remembered, because its commit has waited as that of a write does: see read.sql.
func (s *Store) row(ctx context.Context, id onceward.ID) (row, error) {
	o := &op{kind: kindRead, id: id, bytes: 16}
	if err := s.do(ctx, o); err != nil {
		return row{}, err
	}
	if !o.done {
		return row{}, onceward.ErrNotFound
	}
	s.cache.Put(o.rec.id, &o.rec.Record)
	return o.rec, nil
}

// byID returns the row, or ErrNotFound when it is absent or expired.
func (s *Store) byID(ctx context.Context, id onceward.ID, now time.Time) (row, error) {
	if rec, ok := s.cache.Get(id, now); ok && !s.closed.Load() {
		return row{Record: rec, id: id}, nil
	}
	r, err := s.row(ctx, id)
	if err == nil && r.Expired(cut(now)) {
		return row{}, onceward.ErrNotFound
	}
	return r, err
}

// Get implements onceward.Store.
func (s *Store) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	r, err := s.byID(ctx, req.Key.ID(), req.Now)
	if err == nil {
		err = sameKey(r.Key, req.Key)
	}
	if err != nil {
		return onceward.Record{}, err
	}
	return r.Record, nil
}

// Find implements onceward.Finder.
func (s *Store) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	r, err := s.byID(ctx, req.ID, req.Now)
	return r.Record, err
}

// Recall implements onceward.Recaller.
func (s *Store) Recall(key onceward.Key, now time.Time) *onceward.Record {
	rec := s.cache.Shared(key.ID(), now)
	if rec == nil || rec.Key != key || s.closed.Load() {
		return nil
	}
	return rec
}
