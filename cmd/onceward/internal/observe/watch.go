package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/onceward/onceward"
)

const (
	watchInterval = 15 * time.Second
	watchPage     = 1000
	watchPages    = 10
)

// Watch looks up the gauges of eng's store until ctx ends, every 15 seconds.
func (o *Observer) Watch(ctx context.Context, eng *onceward.Engine) error {
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	for {
		if err := o.Look(ctx, eng); err != nil && ctx.Err() == nil {
			o.cfg.Log.WarnContext(ctx, "the store was not counted", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Look is one pass of Watch. What the store cannot list stays zero.
func (o *Observer) Look(ctx context.Context, eng *onceward.Engine) error {
	now := eng.Config().Now()
	var errs []error
	if store, ok := eng.Store().(onceward.Lister); ok {
		n, err := countHeld(ctx, store, now)
		if err == nil {
			o.metrics.held.Set(float64(n))
		} else if !errors.Is(err, errors.ErrUnsupported) {
			errs = append(errs, fmt.Errorf("listing held operations: %w", err))
		}
	}
	if store, ok := eng.Store().(onceward.LapsedLister); ok {
		total := 0
		for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Reconcile} {
			recs, err := store.Lapsed(ctx, onceward.LapsedRequest{Now: now, Policy: policy, Limit: watchPage})
			if err != nil {
				errs = append(errs, fmt.Errorf("listing lapsed operations: %w", err))
			}
			total += len(recs)
		}
		o.metrics.lapsed.Set(float64(total))
	}
	return errors.Join(errs...)
}

func countHeld(ctx context.Context, store onceward.Lister, now time.Time) (int, error) {
	n, cursor := 0, ""
	for range watchPages {
		res, err := store.List(ctx, onceward.ListRequest{Now: now, Status: onceward.StatusHeld, Cursor: cursor, Limit: watchPage})
		if err != nil {
			return 0, err
		}
		n += len(res.Records)
		if cursor = res.Next; cursor == "" {
			break
		}
	}
	return n, nil
}
