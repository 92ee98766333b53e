//go:build torture

package crashpoint

import (
	"context"
	"errors"
	"strings"

	"github.com/onceward/onceward"
)

// Store returns s with crash points around its writes.
func Store(s onceward.Store) onceward.Store { return &store{s} }

// store forwards the optional abilities as well.
type store struct{ onceward.Store }

var errUnable = errors.New("crashpoint: the store beneath cannot do this")

type none = struct{}

func (s *store) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return around("claim", func() (onceward.ClaimResult, error) { return s.Store.Claim(ctx, req) })
}

func (s *store) Renew(ctx context.Context, req onceward.RenewRequest) error {
	_, err := around("renew", func() (none, error) { return none{}, s.Store.Renew(ctx, req) })
	return err
}

func (s *store) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	name, _, _ := strings.Cut(req.Checkpoints[len(req.Checkpoints)-1].Name, "/")
	_, err := around("store "+name, func() (none, error) { return none{}, s.Store.Checkpoint(ctx, req) })
	return err
}

func (s *store) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	what := "complete"
	if req.Status == onceward.StatusHeld {
		what = "hold"
	}
	_, err := around(what, func() (none, error) { return none{}, s.Store.Complete(ctx, req) })
	return err
}

func (s *store) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	_, err := around("release", func() (none, error) { return none{}, s.Store.Release(ctx, req) })
	return err
}

func (s *store) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	if in, ok := s.Store.(onceward.Sweeper); ok {
		return in.Sweep(ctx, req)
	}
	return onceward.SweepResult{}, errUnable
}

func (s *store) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	if in, ok := s.Store.(onceward.LapsedLister); ok {
		return in.Lapsed(ctx, req)
	}
	return nil, errUnable
}

func (s *store) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	if in, ok := s.Store.(onceward.Finder); ok {
		return in.Find(ctx, req)
	}
	return onceward.Record{}, errUnable
}

func (s *store) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	if in, ok := s.Store.(onceward.Lister); ok {
		return in.List(ctx, req)
	}
	return onceward.ListResult{}, errUnable
}
