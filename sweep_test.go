package onceward_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// An answer is kept from its completion for its retention, to the moment, and
// then is absent whether or not anybody swept.
func TestRetention(t *testing.T) {
	t.Parallel()
	for _, sweeping := range []bool{false, true} {
		for _, own := range []time.Duration{0, time.Hour} {
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				eng := newEngine(t, s, onceward.Config{Retention: 10 * time.Hour, SweepInterval: time.Second})
				if sweeping {
					stop := running(t, eng)
					defer stop()
				}
				req := keyed("k")
				req.Retention = own
				var cause error
				first, err := eng.Do(t.Context(), req, takes(5*time.Minute, &cause))
				wantBody(t, first, err, "paid")
				kept := 10 * time.Hour
				if own > 0 {
					kept = own
				}
				if want := time.Now().Add(kept); !first.ExpiresAt.Equal(want) {
					t.Errorf("kept until %v, want %v", first.ExpiresAt, want)
				}
				time.Sleep(kept - 1)
				out, err := eng.Do(t.Context(), req, forbidden(t))
				wantBody(t, out, err, "paid")
				time.Sleep(time.Nanosecond)
				wantStatus(t, eng, req.Key, "")
				out, err = eng.Do(t.Context(), req, answering("anew"))
				wantBody(t, out, err, "anew")
				if out.Token <= first.Token {
					t.Errorf("token %d after %d", out.Token, first.Token)
				}
			})
		}
	}
}

// What has no answer yet is never forgotten, but under Rerun, where nothing is
// lost by it.
func TestSweepSparesWhatIsUndecided(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{})
		if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
			t.Fatal(err)
		}
		for name, policy := range map[string]onceward.CrashPolicy{
			"hold": onceward.Hold, "reconcile": onceward.Reconcile, "rerun": onceward.Rerun,
		} {
			req := keyed(name)
			req.Policy = policy
			_, err := eng.Do(t.Context(), req, func(context.Context, *onceward.Operation) (onceward.Response, error) {
				return onceward.Response{}, onceward.ErrPark
			})
			wantCode(t, err, onceward.CodeInProgress)
		}
		panics(t, eng, keyed("held"), func(context.Context, *onceward.Operation) (onceward.Response, error) { panic("boom") })
		if _, err := eng.Do(t.Context(), keyed("done"), answering("paid")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * 365 * 24 * time.Hour)
		n, err := eng.Sweep(t.Context())
		if err != nil || n != 2 {
			t.Errorf("swept %d, %v; want the completed and the rerun one", n, err)
		}
		for name, want := range map[string]onceward.Status{
			"hold": onceward.StatusStarted, "reconcile": onceward.StatusStarted, "held": onceward.StatusHeld,
			"rerun": "", "done": "",
		} {
			wantStatus(t, eng, keyed(name).Key, want)
		}
	})
}

// Renewals keep a running operation from expiring, however long it runs and
// however short its retention.
func TestRunningOperationDoesNotExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{OperationTimeout: 10 * time.Hour, SweepInterval: time.Second})
		stop := running(t, eng)
		defer stop()
		req := under(onceward.Rerun)
		req.Retention = time.Minute
		var cause error
		owner := async(t.Context(), eng, req, takes(5*time.Hour, &cause))
		other := newEngine(t, s, onceward.Config{})
		for range 100 {
			time.Sleep(149 * time.Second)
			_, err := other.Do(t.Context(), req, forbidden(t))
			wantCode(t, err, onceward.CodeInProgress)
		}
		r := <-owner
		wantBody(t, r.out, r.err, "paid")
	})
}

// The token of a key only grows: over releases, expiries and sweeps, and over
// clocks that disagree.
func TestTokensOnlyGrow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		ahead := newEngine(t, s, onceward.Config{Now: func() time.Time { return time.Now().Add(time.Hour) }})
		behind := newEngine(t, s, onceward.Config{Now: func() time.Time { return time.Now().Add(-time.Hour) }})
		var last int64
		grows := func(eng *onceward.Engine, end onceward.Response) {
			t.Helper()
			out, err := eng.Do(t.Context(), keyed("k"), func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
				if op.Token() <= last {
					t.Errorf("token %d after %d", op.Token(), last)
				}
				last = op.Token()
				return end, nil
			})
			if err != nil || out.Replayed {
				t.Fatal(out, err)
			}
		}
		for range 3 {
			grows(ahead, onceward.Response{Status: 400})
			time.Sleep(3 * time.Hour)
			grows(behind, onceward.Response{Status: 400})
			time.Sleep(3 * time.Hour)
			grows(behind, onceward.Response{})
			time.Sleep(48 * time.Hour)
			grows(ahead, onceward.Response{})
			time.Sleep(48 * time.Hour)
			if n, err := ahead.Sweep(t.Context()); n != 1 || err != nil {
				t.Errorf("swept %d, %v", n, err)
			}
			grows(behind, onceward.Response{Status: 400})
			time.Sleep(3 * time.Hour)
		}
	})
}

func TestSweepGoesInBatches(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &batches{Store: memstore.New()}
		eng := newEngine(t, s, onceward.Config{SweepBatch: 10})
		for i := range 95 {
			if _, err := eng.Do(t.Context(), numbered(onceward.Hold, i), answering("paid")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(24 * time.Hour)
		n, err := eng.Sweep(t.Context())
		if n != 95 || err != nil || s.calls != 10 {
			t.Errorf("swept %d in %d batches, %v", n, s.calls, err)
		}
		s.err = errDown
		if _, err := eng.Sweep(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("a failed sweep said %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := eng.Sweep(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("a cancelled sweep said %v", err)
		}
	})
}

// batches counts the sweeps of a store.
type batches struct {
	*memstore.Store
	calls int
	err   error
}

func (b *batches) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	b.calls++
	if b.err != nil {
		return onceward.SweepResult{}, b.err
	}
	return b.Store.Sweep(ctx, req)
}

// A store with nothing but the six operations is enough.
func TestMinimalStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		type minimal struct{ onceward.Store }
		eng := newEngine(t, minimal{memstore.New()}, onceward.Config{})
		stop := running(t, eng)
		defer stop()
		time.Sleep(time.Hour)
		out, err := eng.Do(t.Context(), keyed("k"), answering("paid"))
		wantBody(t, out, err, "paid")
		if n, err := eng.Sweep(t.Context()); n != 0 || err != nil {
			t.Error(n, err)
		}
		if got, err := eng.Recover(t.Context()); got != (onceward.Recovered{}) || err != nil {
			t.Error(got, err)
		}
	})
}
