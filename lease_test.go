package onceward_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// takes is a handler that works for d, whatever its context says, and reports
// the cause its context ended with.
func takes(d time.Duration, cause *error) onceward.Handler {
	return func(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
		<-time.After(max(d, 1))
		*cause = context.Cause(ctx)
		return body("paid"), nil
	}
}

func TestLeaseIsRenewedDuringALongHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		var cause error
		owner := async(t.Context(), newEngine(t, s, onceward.Config{}), keyed("k"), takes(370*time.Second, &cause))
		other := newEngine(t, s, onceward.Config{})
		stop := running(t, other)
		for range 369 {
			time.Sleep(time.Second)
			_, err := other.Do(t.Context(), keyed("k"), forbidden(t))
			wantCode(t, err, onceward.CodeInProgress)
		}
		time.Sleep(2 * time.Second)
		r := <-owner
		wantBody(t, r.out, r.err, "paid")
		if cause != nil {
			t.Errorf("the handler was cancelled: %v", cause)
		}
		if n := s.count("Renew"); n < 36 || n > 37 {
			t.Errorf("%d renewals in 370 s of 30 s leases, want one every 10 s", n)
		}
		stop()
		if time.Sleep(time.Minute); s.count("Renew") > 37 {
			t.Error("a finished operation was renewed")
		}
	})
}

func TestRenewalThatFailsForAWhileRecovers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		s.set(func(op string, n int, apply func() error) error {
			if op == "Renew" && n <= 6 { // at 10, 13, 16, … 25 s
				return errDown
			}
			return apply()
		})
		var cause error
		owner := async(t.Context(), newEngine(t, s, onceward.Config{}), keyed("k"), takes(2*time.Minute, &cause))
		time.Sleep(time.Minute)
		if rec, err := s.Store.Get(t.Context(), onceward.GetRequest{Key: keyed("k").Key, Now: time.Now()}); err != nil || rec.Lapsed(time.Now()) {
			t.Errorf("the lease lapsed: %v, %v", rec.LeaseUntil, err)
		}
		r := <-owner
		wantBody(t, r.out, r.err, "paid")
		if cause != nil {
			t.Errorf("the handler was cancelled: %v", cause)
		}
	})
}

// A partitioned owner: its store is away for longer than the lease, another
// engine takes over, and from then on the first can write nothing.
func TestFencedOwnerIsStopped(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		s := on(store)
		first := newEngine(t, s, onceward.Config{})
		var cause, checkpoint error
		var token atomic.Int64
		owner := async(t.Context(), first, under(onceward.Rerun),
			func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
				token.Store(op.Token())
				<-ctx.Done()
				cause = context.Cause(ctx)
				checkpoint = op.Checkpoint(context.WithoutCancel(ctx), "late", nil)
				<-time.After(time.Minute) // it ignores its context
				return body("first"), nil
			})
		synctest.Wait()
		s.set(failing())
		time.Sleep(31 * time.Second)

		second := newEngine(t, store, onceward.Config{})
		out, err := second.Do(t.Context(), under(onceward.Rerun), answering("second"))
		wantBody(t, out, err, "second")
		if out.Token <= token.Load() {
			t.Errorf("token %d does not exceed its predecessor %d", out.Token, token.Load())
		}
		s.set(nil)
		time.Sleep(11 * time.Second)

		// The stuck handler does not keep its process from the answer.
		out, err = first.Do(t.Context(), under(onceward.Rerun), forbidden(t))
		wantBody(t, out, err, "second")

		wantCode(t, (<-owner).err, onceward.CodeOutcomeUnrecorded)
		if !errors.Is(cause, onceward.ErrFenced) || !errors.Is(checkpoint, onceward.ErrFenced) {
			t.Errorf("cause %v, checkpoint %v; want ErrFenced", cause, checkpoint)
		}
		if n := s.count("Checkpoint"); n != 0 {
			t.Errorf("a fenced owner asked the store %d times", n)
		}
		out, err = first.Do(t.Context(), under(onceward.Rerun), forbidden(t))
		wantBody(t, out, err, "second")
	})
}

// An owner that does not know yet that it was fenced is refused by the store.
func TestFencedWritesAreRefused(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(ctx context.Context, op *onceward.Operation) error{
		"checkpoint": func(ctx context.Context, op *onceward.Operation) error { return op.Checkpoint(ctx, "c", nil) },
		"completion": func(ctx context.Context, op *onceward.Operation) error { return op.Complete(ctx, body("first")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				s := on(store)
				s.set(failing("Renew"))
				first := newEngine(t, s, onceward.Config{})
				var err, cause error
				owner := async(t.Context(), first, under(onceward.Rerun),
					func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
						<-time.After(40 * time.Second)
						err = write(ctx, op)
						cause = context.Cause(ctx)
						return body("first"), nil
					})
				time.Sleep(35 * time.Second)
				out, e := newEngine(t, store, onceward.Config{}).Do(t.Context(), under(onceward.Rerun), answering("second"))
				wantBody(t, out, e, "second")
				r := <-owner
				if !errors.Is(err, onceward.ErrFenced) || !errors.Is(cause, onceward.ErrFenced) {
					t.Errorf("the write said %v, the context %v", err, cause)
				}
				wantCode(t, r.err, onceward.CodeOutcomeUnrecorded)
				out, e = first.Do(t.Context(), under(onceward.Rerun), forbidden(t))
				wantBody(t, out, e, "second")
			})
		})
	}
}

func TestOperationTimeout(t *testing.T) {
	t.Parallel()
	for _, timeout := range []time.Duration{time.Second, 25 * time.Second, 5 * time.Minute} {
		t.Run(timeout.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				eng := newEngine(t, memstore.New(), onceward.Config{OperationTimeout: timeout})
				start := time.Now()
				var took time.Duration
				_, err := eng.Do(t.Context(), keyed("k"), func(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
					<-ctx.Done()
					took = time.Since(start)
					return onceward.Response{}, context.Cause(ctx)
				})
				if !errors.Is(err, onceward.ErrTimeout) || took != timeout {
					t.Errorf("ended after %v with %v, want ErrTimeout after %v", took, err, timeout)
				}
				wantStatus(t, eng, keyed("k").Key, "") // nothing happened
			})
		})
	}
}

// A handler that ignores its timeout keeps the key for one more lease, and not
// from its own process either.
func TestStuckHandlerLosesItsKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, memstore.New(), onceward.Config{OperationTimeout: time.Minute})
		var cause error
		owner := async(t.Context(), eng, keyed("k"), takes(time.Hour, &cause))
		time.Sleep(75 * time.Second)
		_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantCode(t, err, onceward.CodeInProgress)
		time.Sleep(16 * time.Second)
		_, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantCode(t, err, onceward.CodeOutcomeUnknown)
		wantCode(t, (<-owner).err, onceward.CodeOutcomeUnrecorded)
		if !errors.Is(cause, onceward.ErrTimeout) {
			t.Errorf("the cause is %v", cause)
		}
	})
}

// A handler that is late, but before anybody took its key, has its answer
// recorded.
func TestTimedOutHandlerMayStillComplete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, memstore.New(), onceward.Config{OperationTimeout: time.Minute})
		var cause error
		out, err := eng.Do(t.Context(), keyed("k"), takes(time.Hour, &cause))
		wantBody(t, out, err, "paid")
		out, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantBody(t, out, err, "paid")
	})
}

// While a completion is repeated the renewals go on, so that nobody takes the
// operation over in between. A short lease does not end it early.
func TestLeaseIsRenewedWhileCompleting(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		down time.Duration
		cfg  onceward.Config
	}{
		"as long as asked": {50 * time.Second, onceward.Config{CompleteTimeout: time.Minute}},
		"by default":       {25 * time.Second, onceward.Config{Lease: time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpy()
				start := time.Now()
				s.set(func(op string, _ int, apply func() error) error {
					if op == "Complete" && time.Since(start) < c.down {
						return errDown
					}
					return apply()
				})
				eng := newEngine(t, s, c.cfg)
				owner := async(t.Context(), eng, keyed("k"), answering("paid"))
				other := newEngine(t, s.Store, onceward.Config{})
				time.Sleep(c.down - 5*time.Second)
				_, err := other.Do(t.Context(), keyed("k"), forbidden(t))
				wantCode(t, err, onceward.CodeInProgress)
				r := <-owner
				wantBody(t, r.out, r.err, "paid")
			})
		})
	}
}
