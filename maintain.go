package onceward

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

const (
	maxOrphans        = 1024
	maxBatchesPerPass = 1000
)

// Run sweeps and recovers until ctx ends, then waits for the reconciliations
// under way, whose contexts it cancels with ErrPark, and returns nil. Run it
// in one goroutine of every process.
func (e *Engine) Run(ctx context.Context) error {
	recoverTick := time.NewTicker(e.cfg.RecoverInterval)
	defer recoverTick.Stop()
	sweepTick := time.NewTicker(e.cfg.SweepInterval)
	defer sweepTick.Stop()
	defer e.recovering.Wait()
	var pass *recovery
	recoverAll := func() {
		var err error
		if pass, err = e.startRecovery(ctx); err != nil && ctx.Err() == nil {
			e.log.ErrorContext(ctx, "recovery pass failed", "err", err)
		}
	}
	recoverAll() // what the last process left behind need not wait for a tick
	for {
		// After a crash there may be more than one pass can take: go on as
		// long as that helps.
		var full <-chan struct{}
		if pass.full {
			full = pass.pending
		}
		select {
		case <-ctx.Done():
			return nil
		case <-recoverTick.C:
			recoverAll()
		case <-full:
			if pass.full = false; pass.decided() > 0 {
				recoverAll()
			}
		case <-sweepTick.C:
			if n, err := e.Sweep(ctx); err != nil && ctx.Err() == nil {
				e.log.ErrorContext(ctx, "sweep failed", "err", err)
			} else if n > 0 {
				e.log.DebugContext(ctx, "swept", "records", n)
			}
		}
	}
}

// Sweep deletes expired records, in batches, until none is left or the pass
// has deleted its fill. It returns how many it deleted. A Store that is not a
// Sweeper is left alone.
func (e *Engine) Sweep(ctx context.Context) (int, error) {
	s, ok := e.store.(Sweeper)
	if !ok {
		return 0, nil
	}
	total := 0
	for range maxBatchesPerPass {
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		res, err := e.sweepOnce(ctx, s)
		if err != nil {
			return total, fmt.Errorf("onceward: sweep: %w", err)
		}
		total += res.Deleted
		if !res.More {
			break
		}
	}
	return total, nil
}

func (e *Engine) sweepOnce(ctx context.Context, s Sweeper) (SweepResult, error) {
	ctx, cancel := e.storeContext(ctx)
	defer cancel()
	return s.Sweep(ctx, SweepRequest{Now: e.cfg.Now(), Limit: e.cfg.SweepBatch})
}

// Recovered counts what one recovery pass took over.
type Recovered struct {
	// Held under policy Hold.
	Held int
	// Completed, Released and Unknown by their Reconciler.
	Completed, Released, Unknown int
	// Failed is left for a later pass.
	Failed int
}

// recovery gathers the counts of one pass from its goroutines.
type recovery struct {
	held, completed, released, unknown, failed atomic.Int64
	pending                                    chan struct{}
	running                                    atomic.Int64
	full                                       bool // there may be more
}

func (r *recovery) decided() int64 {
	return r.held.Load() + r.completed.Load() + r.released.Load() + r.unknown.Load()
}

// Recover makes one pass over the operations whose owner died and waits until
// each is decided or put off. Operations under Rerun need a client to run
// again and are not touched, nor are kinds without a registered Reconciler.
func (e *Engine) Recover(ctx context.Context) (Recovered, error) {
	r, err := e.startRecovery(ctx)
	<-r.pending
	return Recovered{
		Held:      int(r.held.Load()),
		Completed: int(r.completed.Load()),
		Released:  int(r.released.Load()),
		Unknown:   int(r.unknown.Load()),
		Failed:    int(r.failed.Load()),
	}, err
}

// startRecovery takes over what it finds, as far as RecoverLimit allows, and
// does not wait for the reconciliations it starts.
func (e *Engine) startRecovery(ctx context.Context) (*recovery, error) {
	r := &recovery{pending: make(chan struct{})}
	r.running.Store(1)
	defer r.done()
	e.settleOrphans(ctx)
	lister, ok := e.store.(LapsedLister)
	if !ok {
		return r, nil
	}
	var errs []error
	turns := []LapsedRequest{{Policy: Hold}, {Policy: Reconcile, Kinds: e.kinds()}}
	if e.passes.Add(1)%2 == 0 {
		slices.Reverse(turns) // neither policy starves the other
	}
	for _, req := range turns {
		if req.Policy == Reconcile && len(req.Kinds) == 0 {
			continue
		}
		req.Limit = cap(e.recoverSem) - len(e.recoverSem)
		if req.Limit == 0 {
			r.full = true
			continue
		}
		recs, err := e.lapsed(ctx, lister, req)
		if err != nil {
			errs = append(errs, fmt.Errorf("onceward: listing lapsed records: %w", err))
			continue
		}
		r.full = r.full || len(recs) == req.Limit
		for i := range recs {
			e.spawnRecovery(ctx, r, &recs[i])
		}
	}
	return r, errors.Join(errs...)
}

func (r *recovery) done() {
	if r.running.Add(-1) == 0 {
		close(r.pending)
	}
}

func (e *Engine) lapsed(ctx context.Context, l LapsedLister, req LapsedRequest) ([]Record, error) {
	ctx, cancel := e.storeContext(ctx)
	defer cancel()
	req.Now = e.cfg.Now()
	return l.Lapsed(ctx, req)
}

func (e *Engine) kinds() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	kinds := make([]string, 0, len(e.reconcilers))
	for k := range e.reconcilers {
		kinds = append(kinds, k)
	}
	return kinds
}

func (e *Engine) spawnRecovery(ctx context.Context, r *recovery, rec *Record) {
	select {
	case e.recoverSem <- struct{}{}:
	default:
		return // the next pass finds it again
	}
	r.running.Add(1)
	e.recovering.Go(func() {
		defer r.done()
		defer func() { <-e.recoverSem }()
		e.recoverOne(ctx, r, rec)
	})
}

// recoverOne takes one dead operation over and applies its crash policy.
func (e *Engine) recoverOne(ctx context.Context, r *recovery, rec *Record) {
	fl, mine, err := e.flights.start(rec.Key, 0)
	if err != nil || !mine {
		return // a client has come back for it
	}
	defer e.flights.leave(fl)
	req := &Request{
		Key: rec.Key, Kind: rec.Kind, Policy: rec.Policy,
		Fingerprint: rec.Fingerprint, Detail: rec.Detail, Retention: e.cfg.Retention,
	}
	claim := e.claimRequest(req)
	res, err := e.claim(ctx, fl, claim)
	if err != nil {
		e.addOrphan(claim)
		fl.settle(nil, e.storeUnavailable(err))
		r.failed.Add(1)
		return
	}
	if !res.Won {
		fl.settle(&res.Record, nil)
		return
	}
	if !res.TookOver {
		// It was released since it was listed, and we have claimed a free key.
		if err := e.giveBack(ctx, &res.Record); err != nil {
			e.addOrphan(claim)
		}
		return
	}
	op := e.newOperation(fl, &res.Record) //nolint:contextcheck // an operation outlives its caller and has a context of its own
	defer op.stop()
	stop := context.AfterFunc(ctx, func() { op.ctx.end(ErrPark) })
	defer stop()
	e.decideRecovered(op, r) //nolint:contextcheck // an operation outlives its caller and has a context of its own
}

func (e *Engine) decideRecovered(op *Operation, r *recovery) {
	v := Verdict{Decision: Unknown, Reason: "the process that ran it stopped before its outcome was recorded"}
	if op.rec.Policy == Reconcile {
		var err error
		if v, err = e.reconcile(op); err != nil {
			r.failed.Add(1)
			return
		}
	}
	if op.Ended() {
		v.Decision = Completed // by the Reconciler itself
	} else if _, err := op.end(v); err != nil && CodeOf(err) != CodeOutcomeUnknown {
		r.failed.Add(1)
		return
	}
	e.log.Info("recovered", "operation", op.ID(), "kind", op.Kind(), "decision", v.Decision.String())
	switch {
	case op.rec.Policy == Hold:
		r.held.Add(1)
	case v.Decision == Completed:
		r.completed.Add(1)
	case v.Decision == NotApplied:
		r.released.Add(1)
	case v.Decision == Unknown:
		r.unknown.Add(1)
	}
}

// addOrphan remembers a claim whose outcome the store did not tell. No
// handler ran under it; if it was won after all, the next pass releases it,
// instead of leaving it to the crash policy.
func (e *Engine) addOrphan(req ClaimRequest) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.orphans) < maxOrphans {
		e.orphans = append(e.orphans, req)
	}
}

func (e *Engine) settleOrphans(ctx context.Context) {
	e.mu.Lock()
	orphans := e.orphans
	e.orphans = nil
	e.mu.Unlock()
	for i, req := range orphans {
		// An absent row proves nothing, the claim may still be on its way:
		// only asking again with the same owner decides.
		lease := req.LeaseUntil.Sub(req.Now)
		req.Now = e.cfg.Now()
		req.LeaseUntil = req.Now.Add(lease)
		if req.ExpiresAt.Before(req.LeaseUntil) {
			req.ExpiresAt = req.LeaseUntil
		}
		res, err := e.claim(ctx, new(flight), req)
		if err == nil && res.Won {
			err = e.giveBack(ctx, &res.Record)
		}
		if err != nil {
			// To the end with the one that failed: it may not block the others.
			for _, left := range append(orphans[i+1:], orphans[i]) {
				e.addOrphan(left)
			}
			return
		}
	}
}

// giveBack undoes a claim under which no handler ran: a first claim is
// released, a takeover is left to the crash policy of the dead owner.
func (e *Engine) giveBack(ctx context.Context, rec *Record) error {
	ctx, cancel := e.storeContext(ctx)
	defer cancel()
	now := e.cfg.Now()
	var err error
	if rec.Attempt == 1 {
		err = e.store.Release(ctx, ReleaseRequest{Claim: rec.Claim(), Now: now})
	} else {
		err = e.store.Renew(ctx, RenewRequest{Claim: rec.Claim(), Now: now, LeaseUntil: now})
	}
	if errors.Is(err, ErrFenced) {
		return nil
	}
	return err
}
