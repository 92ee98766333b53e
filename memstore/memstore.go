// Package memstore keeps records in memory. It is the readable specification
// of onceward.Store, and what tests and examples run on.
//
// It guarantees everything that onceward.Store demands, except durability:
// the records end with the process. Use it where losing them is harmless, and
// never for effects that must not happen twice. It holds every record until
// Sweep deletes it, so run Engine.Run beside it.
package memstore

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/onceward/onceward"
)

// Store is an in-memory onceward.Store. Use New.
type Store struct {
	mu   sync.Mutex
	rows map[onceward.ID]*row
	// floor is the highest token of a record that was swept: no later token
	// may be lower.
	floor int64
	seq   int64
}

type row struct {
	onceward.Record
	seq int64 // order of first claims, for List
}

// New returns an empty Store.
func New() *Store { return &Store{rows: make(map[onceward.ID]*row)} }

// Claim implements onceward.Store.
func (s *Store) Claim(_ context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := req.Key.ID()
	r := s.rows[id]
	switch {
	case r == nil:
		r = &row{}
		s.rows[id] = r
		s.begin(r, req, max(req.Token, s.floor+1))
		return onceward.ClaimResult{Won: true, Record: clone(&r.Record)}, nil
	case r.Expired(req.Now):
		s.begin(r, req, max(req.Token, r.Token+1))
		return onceward.ClaimResult{Won: true, Record: clone(&r.Record)}, nil
	case r.Status == onceward.StatusStarted && r.Owner == req.Owner:
		return onceward.ClaimResult{Won: true, TookOver: r.Attempt > 1, Record: clone(&r.Record)}, nil
	case !takable(&r.Record, &req):
		return onceward.ClaimResult{Record: clone(&r.Record)}, nil
	}
	if r.Status == onceward.StatusHeld {
		r.Policy = req.Policy
	}
	r.Status, r.Reason, r.CompletedAt = onceward.StatusStarted, "", time.Time{}
	r.Token = max(req.Token, r.Token+1)
	r.Attempt++
	r.Owner, r.LeaseUntil = req.Owner, req.LeaseUntil
	if r.ExpiresAt.Before(req.ExpiresAt) {
		r.ExpiresAt = req.ExpiresAt
	}
	return onceward.ClaimResult{Won: true, TookOver: true, Record: clone(&r.Record)}, nil
}

// takable reports whether a standing record may change hands.
func takable(r *onceward.Record, req *onceward.ClaimRequest) bool {
	if !bytes.Equal(r.Fingerprint, req.Fingerprint) {
		return false
	}
	return r.Lapsed(req.Now) || req.TakeHeld && r.Status == onceward.StatusHeld
}

// begin makes r the first claim of an operation.
func (s *Store) begin(r *row, req onceward.ClaimRequest, token int64) {
	s.seq++
	*r = row{seq: s.seq, Record: onceward.Record{
		Key: req.Key, Status: onceward.StatusStarted,
		Token: token, Owner: req.Owner, Attempt: 1,
		Kind: req.Kind, Policy: req.Policy, Retention: req.Retention,
		Fingerprint: bytes.Clone(req.Fingerprint), Detail: bytes.Clone(req.Detail),
		ClaimedAt: req.Now, LeaseUntil: req.LeaseUntil, ExpiresAt: req.ExpiresAt,
	}}
}

// owned returns the record that c owns, or ErrFenced.
func (s *Store) owned(c onceward.Claim) (*row, error) {
	r := s.rows[c.Key.ID()]
	if r == nil || r.Status != onceward.StatusStarted || r.Token != c.Token || r.Owner != c.Owner {
		return nil, onceward.ErrFenced
	}
	return r, nil
}

// Renew implements onceward.Store.
func (s *Store) Renew(_ context.Context, req onceward.RenewRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.owned(req.Claim)
	if err != nil {
		return err
	}
	r.LeaseUntil = req.LeaseUntil
	if r.ExpiresAt.Before(r.LeaseUntil) {
		r.ExpiresAt = r.LeaseUntil
	}
	return nil
}

// Checkpoint implements onceward.Store.
func (s *Store) Checkpoint(_ context.Context, req onceward.CheckpointRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.owned(req.Claim)
	if err != nil {
		return err
	}
	r.Checkpoints = cloneCheckpoints(req.Checkpoints)
	return nil
}

// Complete implements onceward.Store.
func (s *Store) Complete(_ context.Context, req onceward.CompleteRequest) error {
	if req.Status != onceward.StatusCompleted && req.Status != onceward.StatusHeld {
		return errors.New("memstore: Complete needs the status COMPLETED or HELD")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.owned(req.Claim)
	if err != nil {
		r := s.rows[req.Claim.Key.ID()]
		if r != nil && r.Status == req.Status && r.Token == req.Claim.Token && r.Owner == req.Claim.Owner {
			return nil // repeated
		}
		return err
	}
	r.Status, r.Reason, r.Response = req.Status, req.Reason, cloneResponse(req.Response)
	r.CompletedAt, r.ExpiresAt = req.Now, req.ExpiresAt
	return nil
}

// Release implements onceward.Store. The record stays, expired and without an
// owner, so that the next claim continues its tokens.
func (s *Store) Release(_ context.Context, req onceward.ReleaseRequest) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.owned(req.Claim)
	if err != nil {
		return err
	}
	r.Owner, r.Checkpoints, r.Detail = onceward.Owner{}, nil, nil
	r.LeaseUntil, r.ExpiresAt = time.Time{}, time.Time{} // absent by every clock
	return nil
}

// Get implements onceward.Store.
func (s *Store) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	return s.Find(ctx, onceward.FindRequest{ID: req.Key.ID(), Now: req.Now})
}

// Recall implements onceward.Recaller.
func (s *Store) Recall(key onceward.Key, now time.Time) *onceward.Record {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[key.ID()]
	if r == nil || r.Status != onceward.StatusCompleted || r.Expired(now) {
		return nil
	}
	rec := r.Record // what it points to is replaced, and never changed
	return &rec
}

// Find implements onceward.Finder.
func (s *Store) Find(_ context.Context, req onceward.FindRequest) (onceward.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[req.ID]
	if r == nil || r.Expired(req.Now) {
		return onceward.Record{}, onceward.ErrNotFound
	}
	return clone(&r.Record), nil
}

// Sweep implements onceward.Sweeper.
func (s *Store) Sweep(_ context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var res onceward.SweepResult
	for id, r := range s.rows {
		if !r.Expired(req.Now) {
			continue
		}
		if res.Deleted == req.Limit {
			res.More = true
			break
		}
		s.floor = max(s.floor, r.Token)
		delete(s.rows, id)
		res.Deleted++
	}
	return res, nil
}

// Lapsed implements onceward.LapsedLister.
func (s *Store) Lapsed(_ context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []onceward.Record
	for _, r := range s.rows {
		if r.Lapsed(req.Now) && !r.Expired(req.Now) && r.Policy == req.Policy &&
			(req.Kinds == nil || slices.Contains(req.Kinds, r.Kind)) {
			out = append(out, clone(&r.Record))
		}
	}
	slices.SortFunc(out, func(a, b onceward.Record) int { return a.LeaseUntil.Compare(b.LeaseUntil) })
	return out[:min(len(out), req.Limit)], nil
}

// List implements onceward.Lister.
func (s *Store) List(_ context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	before, err := parseCursor(req.Cursor)
	if err != nil {
		return onceward.ListResult{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var rows []*row
	for _, r := range s.rows {
		if listed(r, &req) && (before == 0 || r.seq < before) {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(a, b *row) int { return cmp.Compare(b.seq, a.seq) })
	var res onceward.ListResult
	if len(rows) > req.Limit {
		rows = rows[:req.Limit]
		if req.Limit > 0 {
			res.Next = formatCursor(rows[req.Limit-1].seq)
		}
	}
	for _, r := range rows {
		rec := clone(&r.Record)
		rec.Detail, rec.Checkpoints = nil, nil
		if rec.Response != nil {
			rec.Response.Body = nil
		}
		res.Records = append(res.Records, rec)
	}
	return res, nil
}

func listed(r *row, req *onceward.ListRequest) bool {
	return !r.Expired(req.Now) &&
		(req.Status == "" || r.Status == req.Status) &&
		(req.Kind == "" || r.Kind == req.Kind) &&
		(req.Scope == nil || r.Key.Scope == *req.Scope)
}

func formatCursor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt(nil, seq, 10))
}

func parseCursor(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		return 0, errors.New("memstore: the cursor is not one that List returned")
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if err != nil || n <= 0 {
		return 0, errors.New("memstore: the cursor is not one that List returned")
	}
	return n, nil
}

func clone(r *onceward.Record) onceward.Record {
	c := *r
	c.Fingerprint, c.Detail = bytes.Clone(r.Fingerprint), bytes.Clone(r.Detail)
	c.Checkpoints = cloneCheckpoints(r.Checkpoints)
	c.Response = cloneResponse(r.Response)
	return c
}

func cloneCheckpoints(in []onceward.Checkpoint) []onceward.Checkpoint {
	out := slices.Clone(in)
	for i := range out {
		out[i].Data = bytes.Clone(out[i].Data)
	}
	return out
}

func cloneResponse(in *onceward.Response) *onceward.Response {
	if in == nil {
		return nil
	}
	out := *in
	out.Body = bytes.Clone(in.Body)
	out.Header = maps.Clone(in.Header)
	for k, v := range out.Header {
		out.Header[k] = slices.Clone(v)
	}
	return &out
}
