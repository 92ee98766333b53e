package onceward_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// verdict is a Reconciler that always says the same.
func verdict(d onceward.Decision) onceward.Reconciler {
	return func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
		return onceward.Verdict{Decision: d, Response: body("found"), Reason: "asked and not told"}, nil
	}
}

// What a retry gets after the owner died, by policy. Until the lease lapses
// it is told to wait, under every policy.
func TestRetryAfterTheOwnerDied(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		policy onceward.CrashPolicy
		says   onceward.Decision
		body   string
		code   onceward.Code
		runs   int
		status onceward.Status
	}{
		{"hold", onceward.Hold, 0, "", onceward.CodeOutcomeUnknown, 0, onceward.StatusHeld},
		{"default", "", 0, "", onceward.CodeOutcomeUnknown, 0, onceward.StatusHeld},
		{"rerun", onceward.Rerun, 0, "again", "", 1, onceward.StatusCompleted},
		{"completed", onceward.Reconcile, onceward.Completed, "found", "", 0, onceward.StatusCompleted},
		{"not applied", onceward.Reconcile, onceward.NotApplied, "again", "", 1, onceward.StatusCompleted},
		{"unknown", onceward.Reconcile, onceward.Unknown, "", onceward.CodeOutcomeUnknown, 0, onceward.StatusHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				eng := newEngine(t, s, onceward.Config{})
				if err := eng.Register("pay", verdict(c.says)); err != nil {
					t.Fatal(err)
				}
				dead := crash(t, s, under(c.policy), "sent")
				runs := 0
				h := func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
					runs++
					if data, ok := op.Recall("sent"); !ok || string(data) != "sent" || op.Attempt() != 2 || op.Token() <= dead.Token {
						t.Errorf("checkpoint %q, attempt %d, token %d after %d", data, op.Attempt(), op.Token(), dead.Token)
					}
					return body("again"), nil
				}
				time.Sleep(29 * time.Second)
				_, err := eng.Do(t.Context(), under(c.policy), h)
				wantCode(t, err, onceward.CodeInProgress)
				time.Sleep(time.Second)
				for range 3 {
					out, err := eng.Do(t.Context(), under(c.policy), h)
					if onceward.CodeOf(err) != c.code || string(out.Response.Body) != c.body {
						t.Errorf("got %q, %v; want %q, %q", out.Response.Body, err, c.body, c.code)
					}
				}
				if runs != c.runs {
					t.Errorf("%d runs, want %d", runs, c.runs)
				}
				wantStatus(t, eng, keyed("k").Key, c.status)
			})
		})
	}
}

// The policy that an operation was started under governs its end, whatever a
// later request names.
func TestStoredPolicyGoverns(t *testing.T) {
	t.Parallel()
	policies := []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile}
	for _, stored := range policies {
		for _, asked := range policies {
			t.Run(string(stored+" asked "+asked), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					s := memstore.New()
					eng := newEngine(t, s, onceward.Config{})
					if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
						t.Fatal(err)
					}
					crash(t, s, under(stored))
					time.Sleep(time.Minute)
					out, err := eng.Do(t.Context(), under(asked), answering("again"))
					switch stored {
					case onceward.Hold:
						wantCode(t, err, onceward.CodeOutcomeUnknown)
					case onceward.Rerun:
						wantBody(t, out, err, "again")
					case onceward.Reconcile:
						wantBody(t, out, err, "found")
						if !out.Replayed {
							t.Error("an answer that was found is a replay")
						}
					}
				})
			})
		}
	}
}

// A handler that does not return leaves the decision to the policy, at once.
func TestHandlerThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	leave := map[string]func(){
		"panic":  func() { panic("boom") },
		"Goexit": runtime.Goexit,
	}
	for _, policy := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		for name, leave := range leave {
			t.Run(string(policy)+" "+name, func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) {
					eng := newEngine(t, memstore.New(), onceward.Config{})
					if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
						t.Fatal(err)
					}
					gone := make(chan struct{})
					go func() {
						defer close(gone)
						defer func() { _ = recover() }()
						_, err := eng.Do(t.Context(), under(policy), func(context.Context, *onceward.Operation) (onceward.Response, error) {
							leave()
							return onceward.Response{}, nil
						})
						t.Errorf("Do returned %v", err)
					}()
					<-gone
					out, err := eng.Do(t.Context(), under(policy), answering("again"))
					switch policy {
					case onceward.Hold:
						wantCode(t, err, onceward.CodeOutcomeUnknown)
						if rec := wantStatus(t, eng, keyed("k").Key, onceward.StatusHeld); rec.Reason == "" || rec.ExpiresAt != onceward.Never {
							t.Errorf("held for %q until %v", rec.Reason, rec.ExpiresAt)
						}
					case onceward.Rerun:
						wantBody(t, out, err, "again")
					case onceward.Reconcile:
						wantBody(t, out, err, "found")
					}
				})
			})
		}
	}
}

// A decision function that panics counts as the handler's panic.
func TestFinalThatPanics(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, memstore.New(), onceward.Config{})
		req := keyed("k")
		req.Final = func(*onceward.Response) bool { panic("boom") }
		panics(t, eng, req, answering("paid"))
		wantStatus(t, eng, keyed("k").Key, onceward.StatusHeld)
	})
}

// A reconciler that cannot say leaves the operation for a later try; the
// client is told to come back, and the handler never runs.
func TestReconcilerThatFailsInFrontOfAClient(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func() error{
		"error": func() error { return errDown },
		"panic": func() error { panic("boom") },
		"park":  func() error { return onceward.ErrPark },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := memstore.New()
				eng := newEngine(t, s, onceward.Config{})
				asked := 0
				err := eng.Register("pay", func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
					if asked++; asked < 3 {
						return onceward.Verdict{Decision: onceward.NotApplied}, answer()
					}
					return onceward.Verdict{Decision: onceward.Completed, Response: body("found")}, nil
				})
				if err != nil {
					t.Fatal(err)
				}
				crash(t, s, under(onceward.Reconcile))
				time.Sleep(time.Minute)
				req := under(onceward.Reconcile)
				_, err = eng.Do(t.Context(), req, forbidden(t))
				wantCode(t, err, onceward.CodeInProgress)
				if asked != 1 {
					t.Errorf("asked %d times", asked)
				}
				req.Wait = time.Minute
				out, err := eng.Do(t.Context(), req, forbidden(t))
				wantBody(t, out, err, "found")
			})
		})
	}
}

// The lease is renewed while a reconciler asks around.
func TestReconcilerMayTakeLong(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := memstore.New()
		asked := 0
		r := func(context.Context, *onceward.Operation) (onceward.Verdict, error) {
			asked++
			<-time.After(5 * time.Minute)
			return onceward.Verdict{Decision: onceward.Completed, Response: body("found")}, nil
		}
		var replies []<-chan reply
		crash(t, s, under(onceward.Reconcile))
		time.Sleep(time.Minute)
		for range 3 {
			eng := newEngine(t, s, onceward.Config{})
			if err := eng.Register("pay", r); err != nil {
				t.Fatal(err)
			}
			req := under(onceward.Reconcile)
			req.Wait = time.Hour
			replies = append(replies, async(t.Context(), eng, req, forbidden(t)))
			stop := running(t, eng)
			defer stop()
		}
		for _, c := range replies {
			r := <-c
			wantBody(t, r.out, r.err, "found")
		}
		if asked != 1 {
			t.Errorf("%d reconcilers asked at the same time", asked)
		}
	})
}

// A reconciler that completes the operation itself has decided.
func TestReconcilerThatCompletes(t *testing.T) {
	t.Parallel()
	for _, byClient := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			s := memstore.New()
			eng := newEngine(t, s, onceward.Config{})
			err := eng.Register("pay", func(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
				return onceward.Verdict{Decision: onceward.NotApplied}, op.Complete(ctx, body("found"))
			})
			if err != nil {
				t.Fatal(err)
			}
			crash(t, s, under(onceward.Reconcile))
			time.Sleep(time.Minute)
			if !byClient {
				if got, err := eng.Recover(t.Context()); err != nil || got != (onceward.Recovered{Completed: 1}) {
					t.Errorf("recovered %+v, %v", got, err)
				}
			}
			out, err := eng.Do(t.Context(), under(onceward.Reconcile), forbidden(t))
			wantBody(t, out, err, "found")
		})
	}
}
