package oncetest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/onceward/onceward"
)

// Op names one method of a store.
type Op string

// The methods, those of the optional interfaces included.
const (
	OpClaim      Op = "Claim"
	OpRenew      Op = "Renew"
	OpCheckpoint Op = "Checkpoint"
	OpComplete   Op = "Complete"
	OpRelease    Op = "Release"
	OpGet        Op = "Get"
	OpSweep      Op = "Sweep"
	OpLapsed     Op = "Lapsed"
	OpFind       Op = "Find"
	OpList       Op = "List"
)

// Fault says what becomes of one call.
type Fault int

const (
	// Pass makes the call.
	Pass Fault = iota
	// FailBefore returns ErrInjected and does not make the call.
	FailBefore
	// FailAfter makes the call, and returns ErrInjected instead of what it
	// returned: its caller cannot know that it took effect.
	FailAfter
)

// ErrInjected is what a failed call of Faulty returns. It is neither ErrFenced
// nor ErrNotFound: the outcome counts as unknown.
var ErrInjected = errors.New("oncetest: injected fault")

// Faulty is a store whose calls fail by plan. It has every optional ability;
// one that the wrapped store lacks returns errors.ErrUnsupported.
type Faulty struct {
	store onceward.Store
	plan  func(op Op, n int) Fault
	mu    sync.Mutex
	calls []Op
}

// NewFaulty wraps store. plan is asked before every call, one at a time: op is
// the method, n counts all calls from 1.
func NewFaulty(store onceward.Store, plan func(op Op, n int) Fault) *Faulty {
	return &Faulty{store: store, plan: plan}
}

// Nth is a plan under which the n-th call fails, counted from 1, and no other.
func Nth(n int, how Fault) func(Op, int) Fault {
	return func(_ Op, call int) Fault {
		if call == n {
			return how
		}
		return Pass
	}
}

// Calls returns the calls so far, in the order in which they came.
func (f *Faulty) Calls() []Op {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Op(nil), f.calls...)
}

func (f *Faulty) decide(op Op) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = append(f.calls, op)
	return f.plan(op, len(f.calls))
}

// faulty makes one call by plan.
func faulty[Req, Res any](ctx context.Context, f *Faulty, op Op, req Req, call func(context.Context, Req) (Res, error)) (Res, error) {
	var none Res
	switch f.decide(op) {
	case FailBefore:
		return none, fmt.Errorf("%w before %s", ErrInjected, op)
	case FailAfter:
		_, err := call(ctx, req)
		return none, fmt.Errorf("%w after %s (%v)", ErrInjected, op, err) //nolint:errorlint // what it returned is what got lost
	case Pass:
	}
	return call(ctx, req)
}

// plain gives a method without a result the shape of the others.
func plain[Req any](call func(context.Context, Req) error) func(context.Context, Req) (struct{}, error) {
	return func(ctx context.Context, req Req) (struct{}, error) { return struct{}{}, call(ctx, req) }
}

// Claim implements onceward.Store.
func (f *Faulty) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return faulty(ctx, f, OpClaim, req, f.store.Claim)
}

// Renew implements onceward.Store.
func (f *Faulty) Renew(ctx context.Context, req onceward.RenewRequest) error {
	_, err := faulty(ctx, f, OpRenew, req, plain(f.store.Renew))
	return err
}

// Checkpoint implements onceward.Store.
func (f *Faulty) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	_, err := faulty(ctx, f, OpCheckpoint, req, plain(f.store.Checkpoint))
	return err
}

// Complete implements onceward.Store.
func (f *Faulty) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	_, err := faulty(ctx, f, OpComplete, req, plain(f.store.Complete))
	return err
}

// Release implements onceward.Store.
func (f *Faulty) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	_, err := faulty(ctx, f, OpRelease, req, plain(f.store.Release))
	return err
}

// Get implements onceward.Store.
func (f *Faulty) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	return faulty(ctx, f, OpGet, req, f.store.Get)
}

// Sweep implements onceward.Sweeper.
func (f *Faulty) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	return faulty(ctx, f, OpSweep, req, func(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
		if s, ok := f.store.(onceward.Sweeper); ok {
			return s.Sweep(ctx, req)
		}
		return onceward.SweepResult{}, errors.ErrUnsupported
	})
}

// Lapsed implements onceward.LapsedLister.
func (f *Faulty) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	return faulty(ctx, f, OpLapsed, req, func(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
		if s, ok := f.store.(onceward.LapsedLister); ok {
			return s.Lapsed(ctx, req)
		}
		return nil, errors.ErrUnsupported
	})
}

// Find implements onceward.Finder.
func (f *Faulty) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	return faulty(ctx, f, OpFind, req, func(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
		if s, ok := f.store.(onceward.Finder); ok {
			return s.Find(ctx, req)
		}
		return onceward.Record{}, errors.ErrUnsupported
	})
}

// List implements onceward.Lister.
func (f *Faulty) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	return faulty(ctx, f, OpList, req, func(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
		if s, ok := f.store.(onceward.Lister); ok {
			return s.List(ctx, req)
		}
		return onceward.ListResult{}, errors.ErrUnsupported
	})
}
