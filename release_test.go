package onceward_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// What the handler's return makes of the key.
func TestHowAReturnEndsTheKey(t *testing.T) {
	t.Parallel()
	const (
		released  = onceward.Status("")
		completed = onceward.StatusCompleted
		held      = onceward.StatusHeld
		parked    = onceward.StatusStarted
	)
	failed := errors.New("no")
	conclude := func(d onceward.Decision) func(*onceward.Operation) {
		return func(op *onceward.Operation) {
			op.Conclude(onceward.Unknown, "the last call counts")
			op.Conclude(d, "concluded")
		}
	}
	all := func(*onceward.Response) bool { return true }
	none := func(*onceward.Response) bool { return false }
	for _, c := range []struct {
		name       string
		policy     onceward.CrashPolicy
		checkpoint bool
		conclude   func(*onceward.Operation)
		final      func(*onceward.Response) bool
		status     int
		err        error
		want       onceward.Status
		code       onceward.Code // of the first caller
	}{
		{name: "zero is 200", want: completed},
		{name: "201", status: 201, want: completed},
		{name: "303", status: 303, want: completed},
		{name: "400", status: 400, want: released},
		{name: "503", status: 503, want: released},
		{name: "error", err: failed, want: released},
		{name: "error rerun", policy: onceward.Rerun, err: failed, want: released},
		{name: "checkpoint 201", checkpoint: true, status: 201, want: completed},
		{name: "checkpoint 422 hold", checkpoint: true, status: 422, want: held, code: onceward.CodeOutcomeUnknown},
		{name: "checkpoint error hold", checkpoint: true, err: failed, want: held, code: onceward.CodeOutcomeUnknown},
		{name: "checkpoint 500 rerun", policy: onceward.Rerun, checkpoint: true, status: 500, want: parked},
		{name: "checkpoint error rerun", policy: onceward.Rerun, checkpoint: true, err: failed, want: parked},
		{name: "checkpoint 500 reconcile", policy: onceward.Reconcile, checkpoint: true, status: 500, want: parked},
		{name: "checkpoint error reconcile", policy: onceward.Reconcile, checkpoint: true, err: failed, want: parked},
		{name: "park", err: onceward.ErrPark, want: parked, code: onceward.CodeInProgress},
		{name: "conclude completed", status: 422, conclude: conclude(onceward.Completed), want: completed},
		{name: "conclude completed error", err: failed, conclude: conclude(onceward.Completed), want: completed},
		{
			name: "conclude not applied", policy: onceward.Reconcile, checkpoint: true, status: 200,
			conclude: conclude(onceward.NotApplied), want: released,
		},
		{name: "conclude unknown", status: 200, conclude: conclude(onceward.Unknown), want: held, code: onceward.CodeOutcomeUnknown},
		{name: "final keeps all", status: 422, final: all, want: completed},
		{name: "final keeps no errors", err: failed, final: all, want: released},
		{name: "final keeps after a checkpoint", checkpoint: true, status: 500, final: all, want: completed},
		{name: "final keeps none", status: 200, final: none, want: released},
		{name: "final after a checkpoint", checkpoint: true, status: 200, final: none, want: held, code: onceward.CodeOutcomeUnknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				eng := newEngine(t, memstore.New(), onceward.Config{})
				if err := eng.Register("pay", verdict(onceward.Completed)); err != nil {
					t.Fatal(err)
				}
				req := under(c.policy)
				req.Final = c.final
				var token int64
				out, err := eng.Do(t.Context(), req, func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
					token = op.Token()
					if c.checkpoint {
						if err := op.Checkpoint(ctx, "sent", nil); err != nil {
							t.Error(err)
						}
					}
					if c.conclude != nil {
						c.conclude(op)
					}
					return onceward.Response{Status: c.status, Body: []byte("b")}, c.err
				})
				if c.code != "" {
					wantCode(t, err, c.code)
					if c.err != nil && !errors.Is(err, c.err) {
						t.Errorf("%v does not tell that the handler said %v", err, c.err)
					}
				} else if !errors.Is(err, c.err) || string(out.Response.Body) != "b" || out.Token != token {
					t.Errorf("the first caller got %+v, %v", out, err)
				}
				if out.Kept != (c.want == completed) || out.Replayed {
					t.Errorf("kept %v, replayed %v", out.Kept, out.Replayed)
				}
				rec := wantStatus(t, eng, req.Key, c.want)
				switch c.want {
				case released:
					// Free at once, for any payload, under a higher token.
					req.Fingerprint = []byte("other")
					out, err := eng.Do(t.Context(), req, answering("fixed"))
					wantBody(t, out, err, "fixed")
					if out.Token <= token {
						t.Errorf("token %d after %d", out.Token, token)
					}
				case completed:
					again, err := eng.Do(t.Context(), req, forbidden(t))
					wantBody(t, again, err, "b")
					if want := max(c.status, 0); want != 0 && again.Response.Status != want || again.Response.Status == 0 {
						t.Errorf("replayed %d, was %d", again.Response.Status, c.status)
					}
				case held:
					if rec.Reason == "" {
						t.Error("held without a reason")
					}
				case parked:
					if !rec.Lapsed(time.Now()) {
						t.Errorf("parked until %v", rec.LeaseUntil)
					}
				}
			})
		})
	}
}

// A release that the store refuses is not lost: the next pass gives the key
// back, and it never ends in a HELD that nobody can explain.
func TestReleaseThatIsRefused(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hook{"refused": failing("Release"), "ambiguous": ambiguous("Release", 1000)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpy()
				s.set(h)
				eng := newEngine(t, s, onceward.Config{})
				stop := running(t, eng)
				defer stop()
				refuse := func(context.Context, *onceward.Operation) (onceward.Response, error) {
					return onceward.Response{Status: 422, Body: []byte("refused")}, nil
				}
				out, err := eng.Do(t.Context(), keyed("k"), refuse)
				wantBody(t, out, err, "refused")
				s.set(nil)
				time.Sleep(10 * time.Second)
				out, err = eng.Do(t.Context(), keyed("k"), answering("fixed"))
				wantBody(t, out, err, "fixed")
			})
		})
	}
}

// What is too large is final too: the first caller gets it, retries hear that
// it is gone, and nothing runs again.
func TestTombstones(t *testing.T) {
	t.Parallel()
	for name, resp := range map[string]onceward.Response{
		"body":     {Status: 201, Body: bytes.Repeat([]byte("x"), 1001)},
		"header":   {Status: 201, Body: []byte("x"), Header: map[string][]string{"A": {strings.Repeat("x", 64<<10)}}},
		"streamed": {Status: 201, Body: []byte("x"), Tombstone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				eng := newEngine(t, memstore.New(), onceward.Config{MaxResponseBytes: 1000})
				out, err := eng.Do(t.Context(), keyed("k"), func(context.Context, *onceward.Operation) (onceward.Response, error) {
					return resp, nil
				})
				wantBody(t, out, err, string(resp.Body))
				if !out.Kept || len(out.Response.Header["A"]) != len(resp.Header["A"]) {
					t.Errorf("outcome %+v", out)
				}
				_, err = eng.Do(t.Context(), keyed("k"), forbidden(t))
				wantCode(t, err, onceward.CodeResponseUnavailable)
				e, _ := errors.AsType[*onceward.Error](err)
				if e.Record == nil || e.Record.Response.Status != 201 || len(e.Record.Response.Body) != 0 {
					t.Errorf("the refusal names %+v", e.Record)
				}
			})
		})
	}
	t.Run("just fits", func(t *testing.T) {
		t.Parallel()
		eng := newEngine(t, memstore.New(), onceward.Config{MaxResponseBytes: 4})
		for range 2 {
			out, err := eng.Do(t.Context(), keyed("k"), answering("four"))
			wantBody(t, out, err, "four")
		}
	})
}
