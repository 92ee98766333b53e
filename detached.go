package onceward

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// detached is a context that has the values of its caller's and outlives it:
// it ends at a deadline, or when somebody ends it. What it takes to wait for
// that, a channel and a timer, is made when somebody wants to wait: most calls
// of a store and most handlers end before anybody does.
//
// Invariant: real, once made, is what everything else asks; ended is set
// before the mutex is free after an end, so that whoever makes real afterwards
// ends it at once.
type detached struct {
	values   context.Context //nolint:containedctx // this type is a context
	deadline time.Time       // zero: none

	mu    sync.Mutex // held while real is made or ended
	ended error      // the cause, nil before the end
	over  atomic.Bool
	real  atomic.Pointer[cancellable]
}

// cancellable is a context of package context with what ends it.
type cancellable struct {
	context.Context //nolint:containedctx // this type is a context
	cancel          context.CancelCauseFunc
	stop            context.CancelFunc // the timer of the deadline
}

// callerValues has the values of a caller's context and never ends, as
// context.WithoutCancel; and it carries the operation, if there is one.
type callerValues struct {
	caller context.Context //nolint:containedctx // this type is a context
	op     *Operation
}

// Deadline implements context.Context.
func (v *callerValues) Deadline() (deadline time.Time, ok bool) { return deadline, false }

// Done implements context.Context.
func (v *callerValues) Done() <-chan struct{} { return nil }

// Err implements context.Context.
func (v *callerValues) Err() error { return nil }

// Value implements context.Context.
func (v *callerValues) Value(key any) any {
	if v.op != nil && key == (opKey{}) {
		return v.op
	}
	return v.caller.Value(key)
}

// start begins d, which must be zero. values must never end.
func (d *detached) start(values context.Context, deadline time.Time) {
	d.values, d.deadline = values, deadline
}

// end ends d for the cause; the first one counts.
func (d *detached) end(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ended != nil {
		return
	}
	d.ended = cause
	d.over.Store(true)
	if r := d.real.Load(); r != nil {
		r.end(cause)
	}
}

func (r *cancellable) end(cause error) {
	r.cancel(cause)
	r.stop()
}

// make returns the real context.
func (d *detached) make() *cancellable {
	if r := d.real.Load(); r != nil {
		return r
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if r := d.real.Load(); r != nil {
		return r
	}
	r := &cancellable{stop: func() {}}
	r.Context, r.cancel = context.WithCancelCause(d.values)
	if !d.deadline.IsZero() {
		r.Context, r.stop = context.WithDeadline(r.Context, d.deadline)
	}
	if d.ended != nil {
		r.end(d.ended)
	}
	d.real.Store(r)
	return r
}

// Deadline implements context.Context.
func (d *detached) Deadline() (time.Time, bool) { return d.deadline, !d.deadline.IsZero() }

// Done implements context.Context.
func (d *detached) Done() <-chan struct{} { return d.make().Done() }

// Err implements context.Context.
func (d *detached) Err() error {
	if d.real.Load() == nil && !d.over.Load() && (d.deadline.IsZero() || time.Now().Before(d.deadline)) {
		return nil
	}
	return d.make().Err()
}

// Value implements context.Context. Package context finds the cause of an end
// here, which is why one that has ended asks the real context.
func (d *detached) Value(key any) any {
	if r := d.real.Load(); r != nil {
		return r.Value(key)
	}
	if d.over.Load() {
		return d.make().Value(key)
	}
	return d.values.Value(key)
}

// errReturned ends the context of a call of the store that has returned.
var errReturned = fmt.Errorf("onceward: the store has returned: %w", context.Canceled)

// errEnded ends the context of an operation.
var errEnded = fmt.Errorf("onceward: the operation has ended: %w", context.Canceled)
