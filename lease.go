package onceward

import (
	"context"
	"errors"
	"time"
)

// renew extends the lease; the operation's timer calls it every third of the
// lease, and sooner after a failure. An owner that learns it was fenced stops
// its handler through the context.
func (op *Operation) renew() {
	op.renewMu.Lock()
	defer op.renewMu.Unlock()
	if op.isStopped() {
		return
	}
	cfg := &op.eng.cfg
	now := cfg.Now()
	left := cfg.OperationTimeout - now.Sub(op.started)
	if left <= 0 {
		op.stopRenewing()
		op.ctx.end(ErrTimeout)
		op.eng.flights.detach(op.fl)
		op.eng.log.Warn("operation ran out of time; its lease is no longer renewed",
			"operation", op.ID(), "kind", op.Kind(), "timeout", cfg.OperationTimeout)
		return
	}
	ctx, cancel := op.eng.storeContext(context.Background())
	defer cancel()
	until := now.Add(cfg.Lease)
	err := op.eng.store.Renew(ctx, RenewRequest{Claim: op.rec.Claim(), Now: now, LeaseUntil: until})
	next := cfg.Lease / 3
	if err != nil {
		if op.endedBy(err) || op.fencedBy(err) {
			return
		}
		next = cfg.Lease / 10
		op.eng.log.Warn("lease not renewed; trying again", "operation", op.ID(), "kind", op.Kind(), "err", err)
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	if op.stopped {
		return
	}
	if err == nil {
		op.rec.LeaseUntil = until
		op.publishLocked()
	}
	op.timer.Reset(min(next, left))
}

func (op *Operation) isStopped() bool {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.stopped
}

// endedBy reports whether err, of a renewal, may come from our own completion:
// a record that has ended refuses its owner too. The completion will tell.
func (op *Operation) endedBy(err error) bool {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.stopped || op.completing && errors.Is(err, ErrFenced)
}

func (op *Operation) stopRenewing() {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.stopped = true
	op.timer.Stop()
}

// fencedBy cancels the operation's context if err says that the claim is no
// longer ours, and reports whether it did.
func (op *Operation) fencedBy(err error) bool {
	if !errors.Is(err, ErrFenced) {
		return false
	}
	op.ctx.end(ErrFenced)
	op.eng.flights.detach(op.fl)
	op.eng.log.Warn("fenced: another owner has taken the operation over",
		"operation", op.ID(), "kind", op.Kind(), "token", op.Token())
	return true
}

// lost returns why the operation may no longer write, if so.
func (op *Operation) lost() error {
	if op.ctx.Err() != nil {
		return context.Cause(&op.ctx)
	}
	return nil
}

// park gives the lease up after a delay, undecided. Failing to is harmless:
// the lease then lapses by itself.
func (op *Operation) park(delay time.Duration) {
	op.stopRenewing()
	op.renewMu.Lock() // a renewal under way must not come after us
	defer op.renewMu.Unlock()
	if errors.Is(op.lost(), ErrFenced) {
		return
	}
	ctx, cancel := op.eng.storeContext(context.Background())
	defer cancel()
	now := op.eng.cfg.Now()
	err := op.eng.store.Renew(ctx, RenewRequest{Claim: op.rec.Claim(), Now: now, LeaseUntil: now.Add(delay)})
	if err != nil && !op.fencedBy(err) {
		op.eng.log.Warn("lease not given up; it will lapse", "operation", op.ID(), "kind", op.Kind(), "err", err)
	}
	op.mu.Lock()
	defer op.mu.Unlock()
	op.rec.LeaseUntil = now.Add(delay)
	op.publishLocked()
}

// stop ends the renewals and the handler's context.
func (op *Operation) stop() {
	op.stopRenewing()
	op.ctx.end(errEnded)
}

// retry calls a write of the store until it gives a definite answer, with
// growing pauses, for at most limit. The caller's cancellation is not passed
// on, it would turn a definite write into an unknown one: values never ends.
// first is the context of the first call, unused as yet.
func (e *Engine) retry(
	first *detached, values context.Context, limit time.Duration, write func(context.Context) error,
) error {
	now := time.Now()
	last := now.Add(limit)
	for pause, call := 10*time.Millisecond, first; ; pause, call = min(2*pause, time.Second), new(detached) {
		call.start(values, now.Add(min(e.cfg.StoreTimeout, last.Sub(now))))
		err := func() error { //nolint:contextcheck // the write gets the context of this call
			defer call.end(errReturned)
			return write(call)
		}()
		if err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		if left := time.Until(last); pause >= left {
			sleep(values, left)
			return err
		}
		sleep(values, pause)
		now = time.Now()
	}
}
