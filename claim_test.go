package onceward_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
)

// The store took the key and its answer was lost: asking again with the same
// owner wins what is already ours.
func TestAmbiguousClaimIsAskedAgain(t *testing.T) {
	t.Parallel()
	for _, lapsed := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSpy()
			if lapsed {
				crash(t, s, under(onceward.Rerun))
				time.Sleep(time.Minute)
			}
			s.set(ambiguous("Claim", 1))
			eng := newEngine(t, s, onceward.Config{})
			out, err := eng.Do(t.Context(), under(onceward.Rerun), answering("paid"))
			wantBody(t, out, err, "paid")
			if n := s.count("Claim"); n != 2 {
				t.Errorf("%d claims, want 2", n)
			}
		})
	}
}

// The same for a takeover under a policy that may not run again: asking twice
// does not turn it into a first claim.
func TestAmbiguousTakeoverIsStillATakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		crash(t, s, keyed("k"))
		time.Sleep(time.Minute)
		s.set(ambiguous("Claim", 1))
		eng := newEngine(t, s, onceward.Config{})
		_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantCode(t, err, onceward.CodeOutcomeUnknown)
	})
}

// A store that does not answer runs nothing. Whether it took the claim or not,
// the key is usable again after a pass, and never HELD.
func TestClaimOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hook{"taken": ambiguous("Claim", 2), "not taken": failing("Claim")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpy()
				s.set(h)
				eng := newEngine(t, s, onceward.Config{})
				stop := running(t, eng)
				defer stop()
				synctest.Wait()
				_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
				wantCode(t, err, onceward.CodeStoreUnavailable)
				if name == "taken" {
					_, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
					wantCode(t, err, onceward.CodeInProgress)
				}
				s.set(nil)
				time.Sleep(10 * time.Second)
				synctest.Wait() // a pass is due at this very instant
				out, err := eng.Do(t.Context(), keyed("k"), answering("paid"))
				wantBody(t, out, err, "paid")
			})
		})
	}
}

// The store stays away longer than the lease, and even the retention: the
// claim of unknown outcome is settled all the same.
func TestClaimOfUnknownOutcomeAfterALongOutage(t *testing.T) {
	t.Parallel()
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun} {
		synctest.Test(t, func(t *testing.T) {
			s := newSpy()
			s.set(func(op string, n int, apply func() error) error {
				if op != "Claim" || n > 2 {
					return errDown
				}
				_ = apply()
				return errDown
			})
			eng := newEngine(t, s, onceward.Config{})
			stop := running(t, eng)
			defer stop()
			req := under(policy)
			_, err := eng.Do(t.Context(), req, forbidden(t))
			wantCode(t, err, onceward.CodeStoreUnavailable)
			time.Sleep(25 * time.Hour)
			synctest.Wait() // a pass is due at this very instant, and at the next
			s.set(nil)
			time.Sleep(10 * time.Second)
			synctest.Wait()
			out, err := eng.Do(t.Context(), req, answering("paid"))
			wantBody(t, out, err, "paid")
		})
	}
}

// A takeover of unknown outcome is left to the dead owner's policy: giving it
// back must not free a key whose effect may have happened.
func TestTakeoverOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		crash(t, s, keyed("k"))
		time.Sleep(time.Minute)
		s.set(ambiguous("Claim", 2))
		eng := newEngine(t, s, onceward.Config{})
		_, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantCode(t, err, onceward.CodeStoreUnavailable)
		s.set(nil)
		if got, err := eng.Recover(t.Context()); err != nil || got.Held != 1 {
			t.Errorf("recovered %+v, %v", got, err)
		}
		_, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantCode(t, err, onceward.CodeOutcomeUnknown)
	})
}

// A claim that cannot be settled does not keep the others from it.
func TestUnsettledClaimsDoNotBlockEachOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		s.set(ambiguous("Claim", 1000))
		eng := newEngine(t, s, onceward.Config{})
		for i := range 3 {
			_, err := eng.Do(t.Context(), numbered(onceward.Hold, i), forbidden(t))
			wantCode(t, err, onceward.CodeStoreUnavailable)
		}
		s.set(func(op string, n int, apply func() error) error {
			if op == "Claim" && n <= 2 { // the first one's next tries
				return errDown
			}
			return apply()
		})
		for range 2 {
			if _, err := eng.Recover(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			wantStatus(t, eng, numbered(onceward.Hold, i).Key, "")
		}
	})
}

// A late key whose record expired between the look and the claim is refused,
// and what was claimed is given back.
func TestLateKeyThatExpiresMeanwhile(t *testing.T) {
	t.Parallel()
	for _, refusing := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSpy()
			eng := newEngine(t, s, onceward.Config{})
			req := keyed(uuidv7(time.Now()))
			time.Sleep(time.Hour)
			if _, err := eng.Do(t.Context(), req, answering("paid")); err != nil {
				t.Fatal(err)
			}
			time.Sleep(24*time.Hour - time.Second)
			s.set(func(op string, n int, apply func() error) error {
				err := apply()
				if op == "Get" {
					time.Sleep(2 * time.Second)
				}
				if op == "Release" && n == 1 && refusing {
					return errDown
				}
				return err
			})
			_, err := eng.Do(t.Context(), req, forbidden(t))
			wantCode(t, err, onceward.CodeKeyExpired)
			s.set(nil)
			if _, err := eng.Recover(t.Context()); err != nil {
				t.Error(err)
			}
			wantStatus(t, eng, req.Key, "")
		})
	}
}
