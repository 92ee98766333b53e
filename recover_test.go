package onceward_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// numbered is one of many operations under p.
func numbered(p onceward.CrashPolicy, i int) onceward.Request {
	r := under(p)
	r.Key.Value = fmt.Sprintf("%s-%d", p, i)
	return r
}

// What one pass makes of an operation whose owner died; nobody retried.
func TestRecoverDecides(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		policy onceward.CrashPolicy
		says   onceward.Reconciler
		want   onceward.Recovered
		status onceward.Status
	}{
		{"hold", onceward.Hold, verdict(onceward.Completed), onceward.Recovered{Held: 1}, onceward.StatusHeld},
		{"rerun", onceward.Rerun, verdict(onceward.Completed), onceward.Recovered{}, onceward.StatusStarted},
		{"completed", onceward.Reconcile, verdict(onceward.Completed), onceward.Recovered{Completed: 1}, onceward.StatusCompleted},
		{"not applied", onceward.Reconcile, verdict(onceward.NotApplied), onceward.Recovered{Released: 1}, ""},
		{"unknown", onceward.Reconcile, verdict(onceward.Unknown), onceward.Recovered{Unknown: 1}, onceward.StatusHeld},
		{"error", onceward.Reconcile, func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
			return onceward.Verdict{Decision: onceward.Completed}, errDown
		}, onceward.Recovered{Failed: 1}, onceward.StatusStarted},
		{"panic", onceward.Reconcile, func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
			panic("boom")
		}, onceward.Recovered{Failed: 1}, onceward.StatusStarted},
		{"park", onceward.Reconcile, func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
			return onceward.Verdict{}, fmt.Errorf("later: %w", onceward.ErrPark)
		}, onceward.Recovered{Failed: 1}, onceward.StatusStarted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				eng := newEngine(t, s, onceward.Config{})
				if err := eng.Register("pay", c.says); err != nil {
					t.Fatal(err)
				}
				crash(t, s, under(c.policy), "sent")
				time.Sleep(29 * time.Second)
				if got, err := eng.Recover(t.Context()); err != nil || got != (onceward.Recovered{}) {
					t.Errorf("a live lease was recovered: %+v, %v", got, err)
				}
				time.Sleep(time.Second)
				if got, err := eng.Recover(t.Context()); err != nil || got != c.want {
					t.Errorf("recovered %+v, %v; want %+v", got, err, c.want)
				}
				wantStatus(t, eng, keyed("k").Key, c.status)
			})
		})
	}
}

// An error puts the operation off for RecoverInterval, ErrPark not at all;
// both end once the reconciler can say.
func TestRecoveryTriesAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{})
		var asked atomic.Int32
		err := eng.Register("pay", func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
			if asked.Add(1) <= 3 {
				return onceward.Verdict{}, errDown
			}
			return onceward.Verdict{Decision: onceward.Completed, Response: body("found")}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		crash(t, s, under(onceward.Reconcile))
		time.Sleep(time.Minute)
		stop := running(t, eng)
		defer stop()
		synctest.Wait()
		if n := asked.Load(); n != 1 {
			t.Errorf("asked %d times at the start of Run, want once", n)
		}
		time.Sleep(time.Minute)
		if n := asked.Load(); n != 4 {
			t.Errorf("asked %d times, want once every 10 s until it could say", n)
		}
		wantStatus(t, eng, keyed("k").Key, onceward.StatusCompleted)
	})
}

// A crash of a large process is worked off at once, RecoverLimit at a time,
// and neither a crowd of one policy nor reconcilers that fail or hang keep the
// others from their turn.
func TestRecoveryDoesNotStarve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{RecoverLimit: 8})
		var now, most, done atomic.Int32
		err := eng.Register("pay", func(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			var n int
			if _, err := fmt.Sscanf(op.Key().Value, "reconcile-%d", &n); err != nil {
				return onceward.Verdict{}, err
			}
			switch {
			case n < 4: // hang
				<-ctx.Done()
				return onceward.Verdict{}, ctx.Err()
			case n < 20:
				return onceward.Verdict{}, errDown
			}
			<-time.After(time.Second)
			done.Add(1)
			return onceward.Verdict{Decision: onceward.Completed}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			crash(t, s, numbered(onceward.Reconcile, i))
			crash(t, s, numbered(onceward.Hold, i))
		}
		time.Sleep(time.Minute)
		stop := running(t, eng)
		time.Sleep(5 * time.Minute)
		if done.Load() != 180 {
			t.Errorf("%d of 180 reconciled in 5 min", done.Load())
		}
		if most.Load() > 8 {
			t.Errorf("%d reconcilers at the same time, RecoverLimit is 8", most.Load())
		}
		for i := range 200 {
			wantStatus(t, eng, numbered(onceward.Hold, i).Key, onceward.StatusHeld)
		}
		stop()
	})
}

// Without hanging ones the backlog takes as long as its work, not a tick a batch.
func TestRecoveryOfABacklogDoesNotWaitForTicks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{RecoverLimit: 8, Lease: time.Hour})
		for i := range 200 {
			crash(t, s, numbered(onceward.Hold, i))
		}
		time.Sleep(time.Minute)
		stop := running(t, eng)
		defer stop()
		synctest.Wait()
		for i := range 200 {
			wantStatus(t, eng, numbered(onceward.Hold, i).Key, onceward.StatusHeld)
		}
	})
}

// Run's end parks the reconcilers: their operations are free at once for
// another instance.
func TestRunParksOnShutdown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		eng := newEngine(t, s, onceward.Config{})
		var cause error
		err := eng.Register("pay", func(ctx context.Context, _ *onceward.Operation) (onceward.Verdict, error) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			<-time.After(3 * time.Second) // Run waits for it
			return onceward.Verdict{}, ctx.Err()
		})
		if err != nil {
			t.Fatal(err)
		}
		crash(t, s, under(onceward.Reconcile))
		time.Sleep(time.Minute)
		stop := running(t, eng)
		time.Sleep(time.Second)
		start := time.Now()
		stop()
		if took := time.Since(start); took != 3*time.Second || !errors.Is(cause, onceward.ErrPark) {
			t.Errorf("Run ended after %v, the reconciler with %v", took, cause)
		}
		next := newEngine(t, s, onceward.Config{})
		if err := next.Register("pay", verdict(onceward.Completed)); err != nil {
			t.Fatal(err)
		}
		if got, err := next.Recover(t.Context()); err != nil || got.Completed != 1 {
			t.Errorf("the next instance recovered %+v, %v", got, err)
		}
	})
}

// The listing may be older than the claim: what was released in between is
// free, and must not be held or reconciled.
func TestListingRacesWithARelease(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Reconcile} {
		for _, store := range []string{"working", "refusing"} {
			t.Run(string(policy)+" "+store, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := newSpy()
					claim := crash(t, s, under(policy))
					time.Sleep(time.Minute)
					s.set(func(op string, n int, apply func() error) error {
						err := apply()
						if op == "Lapsed" && n == 1+btoi(policy == onceward.Reconcile) {
							if err := s.Store.Release(t.Context(), onceward.ReleaseRequest{Claim: claim, Now: time.Now()}); err != nil {
								t.Error(err)
							}
						}
						if op == "Release" && n == 1 && store == "refusing" {
							return errDown
						}
						return err
					})
					eng := newEngine(t, s, onceward.Config{})
					err := eng.Register("pay", func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
						t.Error("a free key was reconciled")
						return onceward.Verdict{}, nil
					})
					if err != nil {
						t.Fatal(err)
					}
					got, err := eng.Recover(t.Context())
					if err != nil || got.Held+got.Unknown+got.Completed > 0 {
						t.Errorf("recovered %+v, %v", got, err)
					}
					if got, err = eng.Recover(t.Context()); err != nil || got != (onceward.Recovered{}) {
						t.Errorf("then recovered %+v, %v", got, err)
					}
					out, err := eng.Do(t.Context(), under(policy), answering("paid"))
					wantBody(t, out, err, "paid")
				})
			})
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

// A store that cannot list is reported, and does not stop Run.
func TestRecoveryReportsTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		eng := newEngine(t, s, onceward.Config{})
		crash(t, s, keyed("k"))
		time.Sleep(time.Minute)
		s.set(failing())
		if _, err := eng.Recover(t.Context()); !errors.Is(err, errDown) {
			t.Errorf("Recover said %v", err)
		}
		stop := running(t, eng)
		defer stop()
		time.Sleep(time.Minute)
		s.set(nil)
		time.Sleep(10 * time.Second)
		synctest.Wait() // the pass may be due at this very instant
		wantStatus(t, eng, keyed("k").Key, onceward.StatusHeld)
	})
}
