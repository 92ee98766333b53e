package onceward_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
)

// held returns an engine whose key "k" is HELD.
func held(t *testing.T) (*spy, *onceward.Engine) {
	t.Helper()
	s := newSpy()
	eng := newEngine(t, s, onceward.Config{})
	crash(t, s, keyed("k"), "sent")
	<-time.After(time.Minute)
	_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
	wantCode(t, err, onceward.CodeOutcomeUnknown)
	return s, eng
}

func completed(s string) onceward.Verdict {
	return onceward.Verdict{Decision: onceward.Completed, Response: body(s)}
}

var notApplied = onceward.Verdict{Decision: onceward.NotApplied}

func TestResolve(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, eng := held(t)
		time.Sleep(1000 * time.Hour) // nothing runs until a person decides
		_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantCode(t, err, onceward.CodeOutcomeUnknown)
		for _, d := range []onceward.Decision{onceward.Unknown, 7, -1} {
			if eng.Resolve(t.Context(), keyed("k").Key, onceward.Verdict{Decision: d}) == nil {
				t.Errorf("the decision %v was accepted", d)
			}
		}
		if err := eng.Resolve(t.Context(), keyed("k").Key, completed("by hand")); err != nil {
			t.Fatal(err)
		}
		out, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantBody(t, out, err, "by hand")
		if want := time.Now().Add(24 * time.Hour); !out.ExpiresAt.Equal(want) {
			t.Errorf("kept until %v, want %v: retention counts from the completion", out.ExpiresAt, want)
		}
	})
}

func TestResolveNotApplied(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		_, eng := held(t)
		before := wantStatus(t, eng, keyed("k").Key, onceward.StatusHeld)
		if err := eng.Resolve(t.Context(), keyed("k").Key, notApplied); err != nil {
			t.Fatal(err)
		}
		wantStatus(t, eng, keyed("k").Key, "")
		out, err := eng.Do(t.Context(), keyed("k"), func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
			if len(op.Checkpoints()) != 0 || op.Attempt() != 1 || op.Token() <= before.Token {
				t.Errorf("not a fresh start: %+v", op.Record())
			}
			return body("paid"), nil
		})
		wantBody(t, out, err, "paid")
	})
}

func TestResolveOnlyWhatIsHeld(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		eng := newEngine(t, s, onceward.Config{})
		if err := eng.Resolve(t.Context(), keyed("k").Key, notApplied); !errors.Is(err, onceward.ErrNotFound) {
			t.Errorf("absent: %v", err)
		}
		crash(t, s, keyed("k"))
		for range 2 { // live, then lapsed
			if err := eng.Resolve(t.Context(), keyed("k").Key, notApplied); !errors.Is(err, onceward.ErrNotHeld) {
				t.Errorf("started: %v", err)
			}
			time.Sleep(time.Minute)
		}
		if _, err := eng.Do(t.Context(), keyed("done"), answering("paid")); err != nil {
			t.Fatal(err)
		}
		if err := eng.Resolve(t.Context(), keyed("done").Key, notApplied); !errors.Is(err, onceward.ErrNotHeld) {
			t.Errorf("completed: %v", err)
		}
		wantStatus(t, eng, keyed("done").Key, onceward.StatusCompleted)
	})
}

// Clients that ask at the same moment do not get in an operator's way.
func TestResolveAmongClients(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, eng := held(t)
		s.set(slow(time.Second))
		client := async(t.Context(), eng, keyed("k"), forbidden(t))
		resolved := make(chan error, 1)
		go func() { resolved <- eng.Resolve(t.Context(), keyed("k").Key, completed("by hand")) }()
		if err := <-resolved; err != nil {
			t.Error(err)
		}
		wantCode(t, (<-client).err, onceward.CodeOutcomeUnknown)
		out, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantBody(t, out, err, "by hand")
	})
}

// Of two operators one decides, and the other learns it.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	for _, first := range []onceward.Verdict{completed("by hand"), notApplied} {
		synctest.Test(t, func(t *testing.T) {
			s, eng := held(t)
			other := newEngine(t, s.Store, onceward.Config{})
			ran := 0
			s.set(func(op string, n int, apply func() error) error {
				err := apply()
				if op == "Get" && n == 1 { // the second has read HELD, when the first decides
					if err := other.Resolve(t.Context(), keyed("k").Key, first); err != nil {
						t.Error(err)
					}
					if first.Decision == onceward.NotApplied { // and it runs again, and dies
						crash(t, s.Store, keyed("k"))
						time.Sleep(time.Minute)
						ran++
					}
				}
				return err
			})
			if err := eng.Resolve(t.Context(), keyed("k").Key, completed("too late")); !errors.Is(err, onceward.ErrNotHeld) {
				t.Errorf("the second operator heard %v, want ErrNotHeld", err)
			}
			s.set(nil)
			out, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
			if ran == 0 {
				wantBody(t, out, err, "by hand")
			} else {
				wantCode(t, err, onceward.CodeOutcomeUnknown)
			}
		})
	}
}

// The key was resolved and is free: a decision about the old attempt is
// refused, and does not stay in the way.
func TestResolveOfAFreedKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, eng := held(t)
		other := newEngine(t, s.Store, onceward.Config{})
		s.set(func(op string, n int, apply func() error) error {
			err := apply()
			if op == "Get" && n == 1 {
				if err := other.Resolve(t.Context(), keyed("k").Key, notApplied); err != nil {
					t.Error(err)
				}
			}
			return err
		})
		if err := eng.Resolve(t.Context(), keyed("k").Key, completed("too late")); !errors.Is(err, onceward.ErrNotHeld) {
			t.Errorf("heard %v, want ErrNotHeld", err)
		}
		out, err := eng.Do(t.Context(), keyed("k"), answering("paid"))
		wantBody(t, out, err, "paid")
	})
}

// A decision that could not be stored is an error, and the key is HELD again
// in the end.
func TestResolveThatIsRefused(t *testing.T) {
	t.Parallel()
	for op, v := range map[string]onceward.Verdict{"Claim": completed("x"), "Complete": completed("x"), "Release": notApplied} {
		t.Run(op, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s, eng := held(t)
				s.set(failing(op))
				if err := eng.Resolve(t.Context(), keyed("k").Key, v); err == nil {
					t.Error("Resolve reported success")
				}
				s.set(nil)
				time.Sleep(time.Minute)
				_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
				wantCode(t, err, onceward.CodeOutcomeUnknown)
				if err := eng.Resolve(t.Context(), keyed("k").Key, v); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
