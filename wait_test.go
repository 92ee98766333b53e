package onceward_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// waiting is under(p) with patience.
func waiting(p onceward.CrashPolicy, d time.Duration) onceward.Request {
	req := under(p)
	req.Wait = d
	return req
}

// A waiter does not spin until its timeout when the owner gives the key up: it
// takes over, whether the owner is in its own process or in another.
func TestWaiterTakesOverWhatTheOwnerGaveUp(t *testing.T) {
	t.Parallel()
	for _, here := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New()
			first := newEngine(t, s, onceward.Config{})
			second := first
			if !here {
				second = newEngine(t, s, onceward.Config{})
			}
			owner := async(t.Context(), first, keyed("k"), func(context.Context, *onceward.Operation) (onceward.Response, error) {
				<-time.After(5 * time.Second)
				return onceward.Response{Status: 503, Body: []byte("try again")}, nil
			})
			synctest.Wait()
			start := time.Now()
			out, err := second.Do(t.Context(), waiting(onceward.Hold, time.Hour), answering("paid"))
			wantBody(t, out, err, "paid")
			if took := time.Since(start); took > 6*time.Second || out.Replayed {
				t.Errorf("took over after %v, replayed %v", took, out.Replayed)
			}
			r := <-owner
			wantBody(t, r.out, r.err, "try again")
		})
	}
}

// An owner that died elsewhere is waited for until its lease lapses, and then
// its crash policy applies.
func TestWaiterOutlivesADeadOwner(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		synctest.Test(t, func(t *testing.T) {
			s := newSpy()
			eng := newEngine(t, s, onceward.Config{})
			if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
				t.Fatal(err)
			}
			crash(t, s.Store, under(policy))
			start := time.Now()
			out, err := eng.Do(t.Context(), waiting(policy, time.Hour), answering("again"))
			switch policy {
			case onceward.Hold:
				wantCode(t, err, onceward.CodeOutcomeUnknown)
			case onceward.Rerun:
				wantBody(t, out, err, "again")
			case onceward.Reconcile:
				wantBody(t, out, err, "found")
			}
			if took := time.Since(start); took < 30*time.Second || took > 32*time.Second {
				t.Errorf("%s: decided after %v, the lease is 30 s", policy, took)
			}
			if n := s.count("Claim"); n > 3 {
				t.Errorf("waiting made %d claims; it must only read", n)
			}
		})
	}
}

// Patience is bounded: by the request, and by the number of those who wait.
func TestWaitingIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, memstore.New(), onceward.Config{MaxWaiters: 2})
		var cause error
		owner := async(t.Context(), eng, keyed("k"), takes(time.Minute, &cause))
		synctest.Wait()
		start := time.Now()
		_, err := eng.Do(t.Context(), waiting(onceward.Hold, 10*time.Second), forbidden(t))
		wantCode(t, err, onceward.CodeInProgress)
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("gave up after %v, want 10 s", took)
		}
		patient := []<-chan reply{
			async(t.Context(), eng, waiting(onceward.Hold, time.Hour), forbidden(t)),
			async(t.Context(), eng, waiting(onceward.Hold, time.Hour), forbidden(t)),
		}
		synctest.Wait()
		start = time.Now()
		_, err = eng.Do(t.Context(), waiting(onceward.Hold, time.Hour), forbidden(t))
		wantCode(t, err, onceward.CodeInProgress)
		if took := time.Since(start); took != 0 {
			t.Errorf("the third waiter was told after %v, want at once", took)
		}
		for _, c := range append(patient, owner) {
			r := <-c
			wantBody(t, r.out, r.err, "paid")
		}
	})
}

// A quota counts the operations of a scope that run here, duplicates not; it
// comes back when they end, however they end.
func TestQuotaOfAScope(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, memstore.New(), onceward.Config{MaxInFlightPerScope: 3})
		other := func(scope, value string) onceward.Request {
			req := keyed(value)
			req.Key.Scope = scope
			return req
		}
		for round := range 3 {
			var running []<-chan reply
			for i := range 3 {
				running = append(running, async(t.Context(), eng, numbered(onceward.Hold, 10*round+i),
					func(context.Context, *onceward.Operation) (onceward.Response, error) {
						<-time.After(time.Second)
						switch i {
						case 0:
							return onceward.Response{Status: 500}, nil
						case 1:
							return onceward.Response{}, errDown
						}
						return body("paid"), nil
					}))
			}
			synctest.Wait()
			_, err := eng.Do(t.Context(), keyed("one too many"), forbidden(t))
			wantCode(t, err, onceward.CodeRateLimited)
			_, err = eng.Do(t.Context(), numbered(onceward.Hold, 10*round), forbidden(t))
			wantCode(t, err, onceward.CodeInProgress)
			out, err := eng.Do(t.Context(), other("bob", "k"), answering("bob's"))
			wantBody(t, out, err, "bob's")
			for _, c := range running {
				<-c
			}
		}
		out, err := eng.Do(t.Context(), keyed("one too many"), answering("paid"))
		wantBody(t, out, err, "paid")
	})
}
