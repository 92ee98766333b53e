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

var ballot = onceward.NaturalKey("alice", "pay", "proposal-7")

// Two names for one operation, under every policy: the second client key gets
// the first one's answer, and so does one that cannot name the operation.
func TestNaturalKeyIsTheOperation(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		synctest.Test(t, func(t *testing.T) {
			eng := newEngine(t, memstore.New(), onceward.Config{})
			if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
				t.Fatal(err)
			}
			first := numbered(policy, 1)
			out, err := eng.DoNatural(t.Context(), first, ballot, func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
				if op.Key() != ballot || op.Record().Policy != policy {
					t.Errorf("runs under %+v, %s", op.Key(), op.Record().Policy)
				}
				return body("voted"), nil
			})
			wantBody(t, out, err, "voted")
			for _, req := range []onceward.Request{first, numbered(policy, 2), numbered(policy, 2)} {
				out, err := eng.DoNatural(t.Context(), req, ballot, forbidden(t))
				wantBody(t, out, err, "voted")
				if !out.Replayed {
					t.Errorf("%s is not a replay", req.Key.Value)
				}
			}
			out, err = eng.Do(t.Context(), first, forbidden(t))
			wantBody(t, out, err, "voted")
			unnamed := first
			unnamed.Key.Value = ""
			out, err = eng.DoNatural(t.Context(), unnamed, ballot, forbidden(t))
			wantBody(t, out, err, "voted")
			other := numbered(policy, 3)
			other.Fingerprint = []byte("other")
			_, err = eng.DoNatural(t.Context(), other, ballot, forbidden(t))
			wantCode(t, err, onceward.CodeKeyReused)
			wantStatus(t, eng, other.Key, "") // it may still be used
		})
	}
}

// The process dies inside the operation: what becomes of it is decided by its
// own policy, and the client's key follows.
func TestNaturalKeyAfterACrash(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New()
			eng := newEngine(t, s, onceward.Config{})
			if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
				t.Fatal(err)
			}
			inner, outer := under(policy), under(onceward.Rerun)
			inner.Key = ballot
			crash(t, s, inner, "sent")
			crash(t, s, outer)
			time.Sleep(time.Minute)
			req := under(policy)
			out, err := eng.DoNatural(t.Context(), req, ballot, answering("again"))
			switch policy {
			case onceward.Hold:
				wantCode(t, err, onceward.CodeOutcomeUnknown)
				if e, _ := errors.AsType[*onceward.Error](err); e.Record.Key != ballot {
					t.Errorf("the error is about %+v", e.Record.Key)
				}
			case onceward.Rerun:
				wantBody(t, out, err, "again")
			case onceward.Reconcile:
				wantBody(t, out, err, "found")
			}
		})
	}
}

// The handler dies under both names at once: the outer record never stands in
// the way of what the inner one decides.
func TestNaturalKeyWhoseHandlerPanics(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		synctest.Test(t, func(t *testing.T) {
			eng := newEngine(t, memstore.New(), onceward.Config{})
			if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
				t.Fatal(err)
			}
			func() {
				defer func() {
					if recover() == nil {
						t.Error("the panic did not come through")
					}
				}()
				_, _ = eng.DoNatural(t.Context(), under(policy), ballot, func(context.Context, *onceward.Operation) (onceward.Response, error) {
					panic("boom")
				})
			}()
			out, err := eng.DoNatural(t.Context(), under(policy), ballot, answering("again"))
			switch policy {
			case onceward.Hold:
				wantCode(t, err, onceward.CodeOutcomeUnknown)
				if e, _ := errors.AsType[*onceward.Error](err); e.Record.Key != ballot {
					t.Errorf("the error is about %+v", e.Record.Key)
				}
				wantStatus(t, eng, ballot, onceward.StatusHeld)
			case onceward.Rerun:
				wantBody(t, out, err, "again")
			case onceward.Reconcile:
				wantBody(t, out, err, "found")
			}
		})
	}
}
