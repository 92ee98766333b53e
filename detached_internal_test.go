package onceward

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

type testKey struct{}

var errWhy = errors.New("why")

// begun returns a detached context below a caller's that has ended.
func begun(t *testing.T, timeout time.Duration) *detached {
	t.Helper()
	caller, cancel := context.WithCancel(context.WithValue(t.Context(), testKey{}, "value"))
	cancel()
	d := &detached{}
	deadline := time.Time{}
	if timeout > 0 {
		deadline = time.Now().Add(timeout)
	}
	d.start(&callerValues{caller: caller}, deadline)
	return d
}

func TestDetachedOutlivesItsCaller(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		d := begun(t, 0)
		if asked {
			select {
			case <-d.Done():
				t.Error("done")
			default:
			}
		}
		if d.Err() != nil || context.Cause(d) != nil || d.Value(testKey{}) != "value" {
			t.Errorf("%v, %v, %v", d.Err(), context.Cause(d), d.Value(testKey{}))
		}
		if _, ok := d.Deadline(); ok {
			t.Error("there is a deadline")
		}
	}
}

// The end is seen alike whether it came before or after somebody asked.
func TestDetachedEnds(t *testing.T) {
	t.Parallel()
	for _, asked := range []bool{false, true} {
		d := begun(t, time.Hour)
		if asked {
			d.Done()
		}
		d.end(errWhy)
		d.end(errors.New("later"))
		if cause := context.Cause(d); !errors.Is(cause, errWhy) {
			t.Errorf("asked %t: cause %v", asked, cause)
		}
		<-d.Done()
		if !errors.Is(d.Err(), context.Canceled) || d.Value(testKey{}) != "value" {
			t.Errorf("asked %t: %v, %v", asked, d.Err(), d.Value(testKey{}))
		}
	}
}

func TestDetachedMeetsItsDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		unasked, asked := begun(t, time.Second), begun(t, time.Second)
		child, cancel := context.WithCancel(asked)
		defer cancel()
		time.Sleep(time.Second - time.Nanosecond)
		if unasked.Err() != nil || asked.Err() != nil {
			t.Error("ended early")
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		for _, ctx := range []context.Context{unasked, asked} {
			if !errors.Is(ctx.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(ctx), context.DeadlineExceeded) {
				t.Errorf("%v, %v", ctx.Err(), context.Cause(ctx))
			}
		}
		<-child.Done()
		unasked.end(errWhy)
		asked.end(errWhy)
	})
}

// A child ends with its parent, and needs no goroutine of its own for that:
// the bubble would not close over one.
func TestDetachedHasChildren(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := begun(t, time.Hour)
		child, cancel := context.WithTimeout(d, time.Minute)
		defer cancel()
		d.end(errWhy)
		if !errors.Is(context.Cause(child), errWhy) {
			t.Errorf("cause %v", context.Cause(child))
		}
	})
}

func TestDetachedIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	for range 200 {
		d := begun(t, time.Hour)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				<-d.Done()
				if !errors.Is(context.Cause(d), errWhy) {
					t.Error(context.Cause(d))
				}
			})
			wg.Go(func() {
				_ = d.Err()
				if d.Value(testKey{}) != "value" {
					t.Error("value lost")
				}
			})
		}
		wg.Go(func() { d.end(errWhy) })
		wg.Wait()
	}
}
