package postgres

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

// write runs one write by an owner and reports whether the record was his.
func (s *Store) write(ctx context.Context, c onceward.Claim, o *op) error {
	if c.Owner == (onceward.Owner{}) {
		return onceward.ErrFenced // the owner of released records
	}
	o.id, o.by = c.Key.ID(), c
	if err := s.do(ctx, o); err != nil {
		return err
	}
	if !o.done {
		return onceward.ErrFenced
	}
	return nil
}

// Renew implements onceward.Store.
func (s *Store) Renew(ctx context.Context, req onceward.RenewRequest) error {
	if err := validTimes(req.LeaseUntil); err != nil {
		return err
	}
	return s.write(ctx, req.Claim, &op{kind: kindRenew, until: req.LeaseUntil, bytes: 64})
}

// Checkpoint implements onceward.Store.
func (s *Store) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	blob := codec.EncodeCheckpoints(req.Checkpoints)
	return s.write(ctx, req.Claim, &op{kind: kindCheckpoint, blob: blob, bytes: 64 + len(blob)})
}

// Release implements onceward.Store.
func (s *Store) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	if err := validTimes(req.Now); err != nil {
		return err
	}
	o := &op{kind: kindRelease, until: req.Now, bytes: 64}
	err := s.write(ctx, req.Claim, o)
	if !errors.Is(err, onceward.ErrFenced) || !o.unsure {
		return err
	}
	// It was sent more than once: the first time may have been the one.
	r, readErr := s.row(ctx, o.id)
	switch {
	case readErr != nil && !errors.Is(readErr, onceward.ErrNotFound):
		return readErr
	case readErr == nil && r.Token == req.Claim.Token && r.Owner == (onceward.Owner{}):
		return nil
	default:
		return err
	}
}

// Complete implements onceward.Store.
func (s *Store) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	o, err := newCompletion(req)
	if err != nil {
		return err
	}
	err = s.write(ctx, req.Claim, o)
	if !errors.Is(err, onceward.ErrFenced) || req.Claim.Owner == (onceward.Owner{}) {
		return err
	}
	// Maybe this very claim has already ended the record this way.
	r, readErr := s.row(ctx, o.id)
	switch {
	case readErr != nil && !errors.Is(readErr, onceward.ErrNotFound):
		return readErr
	case readErr == nil && r.Status == req.Status && r.Claim() == req.Claim:
		return nil
	default:
		return err
	}
}

func newCompletion(req onceward.CompleteRequest) (*op, error) {
	if err := validEnd(&req); err != nil {
		return nil, err
	}
	o := &op{kind: kindComplete, id: req.Claim.Key.ID(), by: req.Claim, end: req, bytes: 256}
	if r := req.Response; r != nil {
		kept := *r
		kept.Body, kept.Header = bytes.Clone(r.Body), nil
		o.blob, o.end.Response = codec.EncodeHeader(r.Header), &kept
		o.bytes += len(o.blob) + len(kept.Body)
	}
	return o, nil
}

func validEnd(req *onceward.CompleteRequest) error {
	if req.Status != onceward.StatusCompleted && req.Status != onceward.StatusHeld {
		return errors.New("postgres: Complete needs the status COMPLETED or HELD")
	}
	if r := req.Response; r != nil && (r.Status < math.MinInt32 || r.Status > math.MaxInt32) {
		return errors.New("postgres: the response's status is out of range")
	}
	// A reason quotes errors, which may contain anything.
	if !storable(req.Reason) {
		req.Reason = strings.ReplaceAll(strings.ToValidUTF8(req.Reason, "\uFFFD"), "\x00", "\uFFFD")
	}
	return validTimes(req.Now, req.ExpiresAt)
}

// storable reports whether PostgreSQL takes s as text.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }
