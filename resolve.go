package onceward

import (
	"context"
	"errors"
	"fmt"
)

// ErrNotHeld means that there is nothing for an operator to decide.
var ErrNotHeld = errors.New("onceward: the operation is not held")

// Resolve ends a HELD operation by an operator's decision: Completed with the
// answer that retries shall get, or NotApplied, which releases the key so that
// the next request runs it. It returns ErrNotHeld when the record is in
// another state, and ErrNotFound when there is none.
func (e *Engine) Resolve(ctx context.Context, key Key, v Verdict) error {
	if v.Decision != Completed && v.Decision != NotApplied {
		return errors.New("onceward: Resolve needs Completed or NotApplied")
	}
	for {
		rec, err := e.Get(ctx, key)
		if err != nil {
			return err
		}
		if rec.Status != StatusHeld {
			return fmt.Errorf("%w: it is %s", ErrNotHeld, rec.Status)
		}
		fl, mine, err := e.flights.start(key, 0)
		if err != nil {
			return err
		}
		if mine {
			defer e.flights.leave(fl)
			return e.resolve(ctx, fl, &rec, v)
		}
		// A client is asking at this moment.
		if err := fl.landed(ctx); err != nil {
			return err
		}
	}
}

// resolve takes the held record over and ends it.
func (e *Engine) resolve(ctx context.Context, fl *flight, rec *Record, v Verdict) error {
	req := e.claimRequest(&Request{
		Key: rec.Key, Kind: rec.Kind, Policy: Hold, Fingerprint: rec.Fingerprint, Retention: e.cfg.Retention,
	})
	req.TakeHeld = true
	res, err := e.claim(ctx, fl, req)
	if err != nil {
		fl.settle(nil, e.storeUnavailable(err))
		return fmt.Errorf("onceward: resolving: %w", err)
	}
	if !res.Won {
		fl.settle(&res.Record, nil)
		return fmt.Errorf("%w: it is %s", ErrNotHeld, res.Record.Status)
	}
	if res.Record.Attempt != rec.Attempt+1 || !res.Record.ClaimedAt.Equal(rec.ClaimedAt) {
		// It was resolved elsewhere since we read it, and may have run again:
		// the decision was not about this attempt.
		if err := e.giveBack(ctx, &res.Record); err != nil {
			e.addOrphan(req)
		}
		return fmt.Errorf("%w any more", ErrNotHeld)
	}
	op := e.newOperation(fl, &res.Record) //nolint:contextcheck // an operation outlives its caller and has a context of its own
	defer op.stop()
	if v.Decision == NotApplied {
		if err := op.release(); err != nil { //nolint:contextcheck // an operation outlives its caller and has a context of its own
			return fmt.Errorf("onceward: resolving: %w", err)
		}
		return nil
	}
	_, err = op.end(v) //nolint:contextcheck // an operation outlives its caller and has a context of its own
	return err
}
