package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
)

// Router is an onceward.Store over several databases, each of which keeps some
// of the slots. Use NewRouter. A key lives in one of them, so that losing one
// makes its slots unavailable and no others.
type Router struct {
	stores []*Store
	bySlot [Slots]*Store
	turn   atomic.Uint64
}

var _ interface {
	onceward.Store
	onceward.Sweeper
	onceward.LapsedLister
	onceward.Finder
	onceward.Lister
	onceward.Transactor
	onceward.Waker
	onceward.Recaller
} = (*Router)(nil)

// NewRouter routes to stores by the slots that their databases keep, which
// MigrateConfig.Slots has fixed there: no two instances can disagree about where
// a key lives. Every slot must be kept exactly once. The caller closes the
// stores.
func NewRouter(stores ...*Store) (*Router, error) {
	r := &Router{stores: stores}
	var missing []int
	for slot := range Slots {
		for _, s := range stores {
			if s.layout.slots&(1<<slot) == 0 {
				continue
			}
			if r.bySlot[slot] != nil {
				return nil, fmt.Errorf("postgres: slot %d is kept by two databases; see MigrateConfig.Slots", slot)
			}
			r.bySlot[slot] = s
		}
		if r.bySlot[slot] == nil {
			missing = append(missing, slot)
		}
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("postgres: no database keeps the slots %v; see MigrateConfig.Slots", missing)
	}
	return r, nil
}

func (r *Router) of(id onceward.ID) *Store { return r.bySlot[Slot(id)] }

// Claim implements onceward.Store.
func (r *Router) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return r.of(req.Key.ID()).Claim(ctx, req)
}

// Renew implements onceward.Store.
func (r *Router) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return r.of(req.Claim.Key.ID()).Renew(ctx, req)
}

// Checkpoint implements onceward.Store.
func (r *Router) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	return r.of(req.Claim.Key.ID()).Checkpoint(ctx, req)
}

// Complete implements onceward.Store.
func (r *Router) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	return r.of(req.Claim.Key.ID()).Complete(ctx, req)
}

// Release implements onceward.Store.
func (r *Router) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return r.of(req.Claim.Key.ID()).Release(ctx, req)
}

// Get implements onceward.Store.
func (r *Router) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	return r.of(req.Key.ID()).Get(ctx, req)
}

// Find implements onceward.Finder.
func (r *Router) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	return r.of(req.ID).Find(ctx, req)
}

// Begin implements onceward.Transactor. The transaction is one of the database
// that keeps the key: what a handler writes with it must live there, too.
func (r *Router) Begin(ctx context.Context, key onceward.Key) (onceward.Tx, error) {
	return r.of(key.ID()).Begin(ctx, key)
}

// Watch implements onceward.Waker.
func (r *Router) Watch(key onceward.Key) (wake <-chan struct{}, stop func()) {
	return r.of(key.ID()).Watch(key)
}

// Recall implements onceward.Recaller.
func (r *Router) Recall(key onceward.Key, now time.Time) *onceward.Record {
	return r.of(key.ID()).Recall(key, now)
}

// Sweep implements onceward.Sweeper. A database that fails does not keep the
// others from being swept.
func (r *Router) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	if req.Limit <= 0 {
		return onceward.SweepResult{}, errors.New("postgres: Sweep needs a positive limit")
	}
	var res onceward.SweepResult
	var errs []error
	first := int(r.turn.Add(1) % uint64(len(r.stores))) //nolint:gosec // below the number of stores
	for i := range r.stores {
		left := req.Limit - res.Deleted
		if left == 0 {
			res.More = true
			break
		}
		got, err := r.stores[(first+i)%len(r.stores)].Sweep(ctx, onceward.SweepRequest{Now: req.Now, Limit: left})
		res.Deleted += got.Deleted
		res.More = res.More || got.More
		errs = append(errs, err)
	}
	return res, errors.Join(errs...)
}

// Lapsed implements onceward.LapsedLister. When a database fails it returns what
// the others have, and no error unless all fail: recovery goes on elsewhere.
func (r *Router) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	var all []onceward.Record
	var errs []error
	for _, s := range r.stores {
		recs, err := s.Lapsed(ctx, req)
		all = append(all, recs...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(r.stores) {
		return nil, errors.Join(errs...)
	}
	slices.SortStableFunc(all, func(a, b onceward.Record) int { return a.LeaseUntil.Compare(b.LeaseUntil) })
	return all[:min(len(all), max(req.Limit, 0))], nil
}

// List implements onceward.Lister. Records of several databases come by the time
// of their claim, as the databases' stores saw it.
func (r *Router) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	before, err := parseCursor(req.Cursor)
	if err != nil {
		return onceward.ListResult{}, err
	}
	limit := max(req.Limit, 0)
	var rows []row
	for _, s := range r.stores {
		found, err := s.list(ctx, &req, before, limit+1)
		if err != nil {
			return onceward.ListResult{}, err
		}
		rows = append(rows, found...)
	}
	return page(rows, limit), nil
}

// Ready reports whether every database can be written to, see Store.Ready.
func (r *Router) Ready(ctx context.Context) error {
	var errs []error
	for i, s := range r.stores {
		if err := s.Ready(ctx); err != nil {
			errs = append(errs, fmt.Errorf("database %d of %d: %w", i+1, len(r.stores), err))
		}
	}
	return errors.Join(errs...)
}
