package onceward_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
)

// Every single call of the store fails once, before or after it took effect.
// Whatever is hit: the effect happens once, the key is usable in the end, and
// everybody who is answered gets the same.
func TestEveryCallOfTheStoreFailsOnce(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		for _, how := range []oncetest.Fault{oncetest.FailBefore, oncetest.FailAfter} {
			for n := 1; ; n++ {
				calls := 0
				synctest.Test(t, func(t *testing.T) {
					f := oncetest.NewFaulty(memstore.New(), oncetest.Nth(n, how))
					withFault(t, f, policy, fmt.Sprintf("%s, fault %d of call %d", policy, how, n))
					calls = len(f.Calls())
				})
				if calls < n {
					if n < 5 {
						t.Errorf("%s: only %d calls", policy, calls)
					}
					break // the fault came too late: every call has had its turn
				}
				if t.Failed() {
					return
				}
			}
		}
	}
}

// withFault lets a client come back until it has its answer.
func withFault(t *testing.T, store onceward.Store, policy onceward.CrashPolicy, name string) {
	t.Helper()
	effects := 0
	eng := newEngine(t, store, onceward.Config{})
	err := eng.Register("pay", func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
		if effects == 0 {
			return onceward.Verdict{Decision: onceward.NotApplied}, nil
		}
		return onceward.Verdict{Decision: onceward.Completed, Response: body("paid")}, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	pay := func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		if err := op.Checkpoint(ctx, "sent", nil); err != nil {
			return onceward.Response{}, err
		}
		<-time.After(15 * time.Second) // a renewal comes in between
		effects++
		return body("paid"), nil
	}
	stop := running(t, eng)
	defer stop()
	for try := range 10 {
		out, err := eng.Do(t.Context(), under(policy), pay)
		switch code := onceward.CodeOf(err); {
		case err == nil && string(out.Response.Body) == "paid":
			again, err := eng.Do(t.Context(), under(policy), forbidden(t))
			wantBody(t, again, err, "paid")
			if effects != 1 {
				t.Errorf("%s: %d effects", name, effects)
			}
			return
		case code == onceward.CodeOutcomeUnknown && policy == onceward.Hold:
			if effects > 1 {
				t.Errorf("%s: %d effects", name, effects)
			}
			if err := eng.Resolve(t.Context(), under(policy).Key, notApplied); err != nil {
				t.Errorf("%s: resolving: %v", name, err)
			}
			effects = 0 // a person has seen to it
		case code == "" && effects > 0:
			t.Errorf("%s, try %d: the effect has happened, the client hears %v", name, try, err)
		}
		<-time.After(40 * time.Second)
	}
	t.Errorf("%s: no answer after 10 tries", name)
}
