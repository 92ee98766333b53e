package onceward_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
)

// A client that hangs up loses its answer, never the record.
func TestClientHangsUp(t *testing.T) {
	t.Parallel()
	for _, during := range []string{"Claim", "handler", "Checkpoint", "Complete"} {
		t.Run(during, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, hangUp := context.WithCancel(t.Context())
				s := newSpy()
				s.set(func(op string, _ int, apply func() error) error {
					if op == during {
						hangUp()
					}
					return apply()
				})
				eng := newEngine(t, s, onceward.Config{})
				finished := false
				_, err := eng.Do(ctx, keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
					if during == "handler" {
						hangUp()
					}
					if err := op.Checkpoint(ctx, "sent", nil); err != nil {
						return onceward.Response{}, err
					}
					select {
					case <-ctx.Done():
						return onceward.Response{}, ctx.Err()
					case <-time.After(time.Minute):
						finished = true
						return body("paid"), nil
					}
				})
				if err != nil || !finished {
					t.Errorf("finished %v, %v; want the handler to go on to its end", finished, err)
				}
				wantStatus(t, eng, keyed("k").Key, onceward.StatusCompleted)
				out, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
				wantBody(t, out, err, "paid")
			})
		})
	}
}

// A duplicate that hangs up while it waits takes nobody with it.
func TestWaitingClientHangsUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, newSpy(), onceward.Config{})
		var cause error
		owner := async(t.Context(), eng, keyed("k"), takes(time.Minute, &cause))
		synctest.Wait()
		ctx, hangUp := context.WithTimeout(t.Context(), time.Second)
		defer hangUp()
		req := keyed("k")
		req.Wait = time.Hour
		start := time.Now()
		_, err := eng.Do(ctx, req, forbidden(t))
		wantCode(t, err, onceward.CodeInProgress)
		if took := time.Since(start); took != time.Second {
			t.Errorf("it left after %v", took)
		}
		r := <-owner
		wantBody(t, r.out, r.err, "paid")
	})
}

// The store refuses the completion for longer than the engine tries: the
// client hears that, and nothing ever runs again because saving failed.
func TestCompletionThatIsRefused(t *testing.T) {
	t.Parallel()
	for _, viaOperation := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSpy()
			s.set(failing("Complete"))
			eng := newEngine(t, s, onceward.Config{})
			start := time.Now()
			_, err := eng.Do(t.Context(), keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
				if viaOperation {
					// Handing the error on does not mean that nothing happened.
					return onceward.Response{}, op.Complete(ctx, body("paid"))
				}
				return body("paid"), nil
			})
			wantCode(t, err, onceward.CodeOutcomeUnrecorded)
			if took := time.Since(start); took < 29*time.Second || took > 31*time.Second || s.count("Complete") < 10 {
				t.Errorf("gave up after %v and %d tries, want about the lease of 30 s", took, s.count("Complete"))
			}
			_, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
			wantCode(t, err, onceward.CodeInProgress)
			time.Sleep(31 * time.Second)
			s.set(nil)
			_, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
			wantCode(t, err, onceward.CodeOutcomeUnknown)
		})
	}
}

func TestCompletionIsRetried(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hook{
		"refused": func(op string, n int, apply func() error) error {
			if op == "Complete" && n <= 5 {
				return errDown
			}
			return apply()
		},
		"ambiguous": ambiguous("Complete", 5),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpy()
				s.set(h)
				eng := newEngine(t, s, onceward.Config{})
				out, err := eng.Do(t.Context(), keyed("k"), answering("paid"))
				wantBody(t, out, err, "paid")
				if n := s.count("Complete"); n != 6 || !out.Kept {
					t.Errorf("%d completions, kept %v", n, out.Kept)
				}
				out, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
				wantBody(t, out, err, "paid")
			})
		})
	}
}

// The completion took effect but its answer is lost, for so long that a
// renewal comes in between: that renewal is refused because the record has
// ended, which must not look as if somebody had taken it.
func TestAmbiguousCompletionIsNotMistakenForATakeover(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSpy()
		start := time.Now()
		s.set(func(op string, _ int, apply func() error) error {
			err := apply()
			if op == "Complete" && time.Since(start) < 15*time.Second {
				return errDown
			}
			return err
		})
		eng := newEngine(t, s, onceward.Config{})
		out, err := eng.Do(t.Context(), keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			if err := op.Complete(ctx, body("paid")); err != nil {
				t.Error(err)
			}
			return body("paid"), context.Cause(ctx)
		})
		wantBody(t, out, err, "paid")
		if s.count("Renew") == 0 {
			t.Error("no renewal came in between")
		}
	})
}

// What Complete recorded is the answer, for the first caller as for the rest.
func TestCompleteInsideTheHandler(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, newSpy(), onceward.Config{})
		out, err := eng.Do(t.Context(), keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			if op.Ended() {
				t.Error("ended before its end")
			}
			if err := op.Complete(ctx, body("paid")); err != nil || !op.Ended() {
				t.Errorf("not completed: %v", err)
			}
			// A duplicate is answered while the handler still streams.
			out, err := eng.Do(ctx, keyed("k"), forbidden(t))
			wantBody(t, out, err, "paid")
			if err := op.Complete(ctx, body("twice")); !errors.Is(err, onceward.ErrFenced) {
				t.Errorf("the second completion said %v", err)
			}
			if err := op.Checkpoint(ctx, "late", nil); !errors.Is(err, onceward.ErrFenced) {
				t.Errorf("a checkpoint after the end said %v", err)
			}
			op.Conclude(onceward.NotApplied, "")
			return onceward.Response{Status: 500}, nil
		})
		wantBody(t, out, err, "paid")
		if !out.Kept || out.Response.Status != 201 {
			t.Errorf("outcome %+v", out)
		}
		out, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantBody(t, out, err, "paid")
	})
}

// A panic after the record is written changes nothing.
func TestPanicAfterComplete(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		eng := newEngine(t, newSpy(), onceward.Config{})
		panics(t, eng, keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
			if err := op.Complete(ctx, body("paid")); err != nil {
				t.Error(err)
			}
			panic("while streaming")
		})
		out, err := eng.Do(t.Context(), keyed("k"), forbidden(t))
		wantBody(t, out, err, "paid")
	})
}

// panics calls Do with a handler that panics and expects the panic back.
func panics(tb testing.TB, eng *onceward.Engine, req onceward.Request, h onceward.Handler) {
	tb.Helper()
	defer func() {
		if recover() == nil {
			tb.Error("the panic did not come through Do")
		}
	}()
	_, err := eng.Do(tb.Context(), req, h)
	tb.Errorf("Do returned %v", err)
}
