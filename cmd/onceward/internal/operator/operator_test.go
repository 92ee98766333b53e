package operator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/audit"
	"github.com/onceward/onceward/cmd/onceward/internal/operator"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/memstore"
)

// office is a store with a gateway's engine and an operator's desk on it.
type office struct {
	raw  onceward.Store
	eng  *onceward.Engine // the gateway's
	desk *operator.Desk
	log  *audit.Log
}

// offices are the stores that operators meet.
func offices(t *testing.T, test func(t *testing.T, o *office)) {
	t.Helper()
	sqlite := func(t *testing.T) onceward.Store {
		h, err := storage.Create(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "once.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		return h.Store
	}
	for name, open := range map[string]func(t *testing.T) (raw, store onceward.Store){
		"memory": func(*testing.T) (raw, store onceward.Store) { s := memstore.New(); return s, s },
		"sqlite": func(t *testing.T) (raw, store onceward.Store) { s := sqlite(t); return s, s },
		"sealed": func(t *testing.T) (raw, store onceward.Store) {
			raw = sqlite(t)
			k, err := seal.NewKeyring()
			if err != nil {
				t.Fatal(err)
			}
			store, err = seal.Open(t.Context(), raw, k, seal.Config{})
			if err != nil {
				t.Fatal(err)
			}
			return raw, store
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw, store := open(t)
			o := &office{raw: raw, log: audit.New(raw, nil)}
			var err error
			if o.eng, err = onceward.New(store, onceward.Config{Lease: 500 * time.Millisecond}); err != nil {
				t.Fatal(err)
			}
			if o.desk, err = operator.New(operator.Config{Store: store, Audit: o.log, Actor: "ops@example"}); err != nil {
				t.Fatal(err)
			}
			test(t, o)
		})
	}
}

var order = onceward.Key{Scope: "jwt:alice", Value: "0123456789abcdef"}

func request(key onceward.Key) onceward.Request {
	return onceward.Request{Key: key, Kind: "order", Fingerprint: []byte("fp"), Detail: []byte("d")}
}

// held leaves an operation whose outcome nobody knows.
func (o *office) held(t *testing.T, key onceward.Key) {
	t.Helper()
	_, err := o.eng.Do(t.Context(), request(key), func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
		op.Conclude(onceward.Unknown, "the payment provider did not answer")
		return onceward.Response{}, nil
	})
	if onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
		t.Fatalf("got %v", err)
	}
}

// again makes the request once more and returns its answer.
func (o *office) again(t *testing.T, key onceward.Key) (out onceward.Outcome, ran bool, err error) {
	t.Helper()
	out, err = o.eng.Do(t.Context(), request(key), func(context.Context, *onceward.Operation) (onceward.Response, error) {
		ran = true
		return onceward.Response{Status: 201}, nil
	})
	return out, ran, err
}

// logged fails unless the log ends with a change and its end.
func (o *office) logged(t *testing.T, action string, phase audit.Phase, target string) {
	t.Helper()
	entries, _, err := o.log.List(t.Context(), "", 2)
	if err != nil || len(entries) != 2 {
		t.Fatalf("%d entries, %v", len(entries), err)
	}
	end, begin := entries[0], entries[1]
	if begin.Action != action || begin.Phase != audit.Requested || begin.Target != target || begin.Reason != "checked with the bank" ||
		begin.Actor != "ops@example" || end.Action != action || end.Phase != phase || end.Request != begin.Seq {
		t.Fatalf("the log ends with %+v, %+v", begin, end)
	}
	if _, err := o.log.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

const why = "checked with the bank"

func ref(key onceward.Key) operator.Ref { id := key.ID(); return operator.Ref{ID: &id} }

func TestRelease(t *testing.T) {
	t.Parallel()
	offices(t, func(t *testing.T, o *office) {
		o.held(t, order)
		if _, ran, err := o.again(t, order); ran || onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
			t.Fatalf("before the decision: ran %v, %v", ran, err)
		}
		if err := o.desk.Release(t.Context(), ref(order), why); err != nil {
			t.Fatal(err)
		}
		o.logged(t, "keys release", audit.Done, order.ID().String())
		if out, ran, err := o.again(t, order); !ran || err != nil || out.Response.Status != 201 {
			t.Fatalf("after it: ran %v, %v", ran, err)
		}
	})
}

func TestComplete(t *testing.T) {
	t.Parallel()
	offices(t, func(t *testing.T, o *office) {
		o.held(t, order)
		answer := onceward.Response{Status: 200, Body: []byte(`{"paid":true}`), Header: map[string][]string{"Content-Type": {"application/json"}}}
		if err := o.desk.Complete(t.Context(), operator.Ref{Key: order}, answer, why); err != nil {
			t.Fatal(err)
		}
		o.logged(t, "keys complete", audit.Done, order.ID().String())
		out, ran, err := o.again(t, order)
		if ran || err != nil || !out.Replayed || string(out.Response.Body) != `{"paid":true}` || out.Response.Header["Content-Type"] == nil {
			t.Fatalf("ran %v, %+v, %v", ran, out.Response, err)
		}
	})
}

// TestHold takes an operation from an owner at work.
func TestHold(t *testing.T) {
	t.Parallel()
	offices(t, func(t *testing.T, o *office) {
		started := make(chan struct{})
		ended := make(chan error, 1)
		var cause error
		go func() {
			_, err := o.eng.Do(t.Context(), request(order), func(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
				close(started)
				<-ctx.Done() // it learns at its next renewal
				cause = context.Cause(ctx)
				return onceward.Response{Status: 201}, nil
			})
			ended <- err
		}()
		<-started
		if err := o.desk.Hold(t.Context(), ref(order), why); err != nil {
			t.Fatal(err)
		}
		o.logged(t, "keys hold", audit.Done, order.ID().String())
		if err := <-ended; err == nil || !errors.Is(cause, onceward.ErrFenced) {
			t.Errorf("the owner ended with %v, its context with %v", err, cause)
		}
		rec, err := o.desk.Find(t.Context(), ref(order))
		if err != nil || rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, "ops@example") || !strings.Contains(rec.Reason, why) {
			t.Fatalf("got %s %q, %v", rec.Status, rec.Reason, err)
		}
		if _, ran, err := o.again(t, order); ran || onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
			t.Errorf("ran %v, %v", ran, err)
		}
		if err := o.desk.Release(t.Context(), ref(order), why); err != nil {
			t.Error(err)
		}
	})
}

func TestChangesInTheWrongState(t *testing.T) {
	t.Parallel()
	offices(t, func(t *testing.T, o *office) {
		if _, ran, err := o.again(t, order); !ran || err != nil {
			t.Fatal(err)
		}
		answer := onceward.Response{Status: 200}
		for name, err := range map[string]error{
			"hold a completed one":     o.desk.Hold(t.Context(), ref(order), why),
			"release a completed one":  o.desk.Release(t.Context(), ref(order), why),
			"complete a completed one": o.desk.Complete(t.Context(), ref(order), answer, why),
		} {
			if !errors.Is(err, operator.ErrState) {
				t.Errorf("%s: %v", name, err)
			}
		}
		absent := operator.Ref{Key: onceward.Key{Scope: "x", Value: "y"}}
		if err := o.desk.Release(t.Context(), absent, why); !errors.Is(err, onceward.ErrNotFound) {
			t.Errorf("an absent one: %v", err)
		}
		o.held(t, onceward.Key{Scope: "jwt:alice", Value: "held"})
		held := operator.Ref{Key: onceward.Key{Scope: "jwt:alice", Value: "held"}}
		for name, err := range map[string]error{
			"hold a held one":      o.desk.Hold(t.Context(), held, why),
			"no reason":            o.desk.Release(t.Context(), held, " "),
			"a status of 100":      o.desk.Complete(t.Context(), held, onceward.Response{Status: 100}, why),
			"too large":            o.desk.Complete(t.Context(), held, onceward.Response{Status: 200, Body: make([]byte, operator.MaxBody+1)}, why),
			"a record of our own":  o.desk.Hold(t.Context(), operator.Ref{Key: onceward.Key{Scope: "onceward:audit", Value: "0000000000000000001"}}, why),
			"a page without limit": list(t, o.desk, operator.Filter{}),
		} {
			if err == nil {
				t.Errorf("%s was accepted", name)
			}
		}
		if rec, err := o.desk.Find(t.Context(), held); err != nil || rec.Status != onceward.StatusHeld {
			t.Errorf("it is %s, %v", rec.Status, err)
		}
	})
}

func list(t *testing.T, d *operator.Desk, f operator.Filter) error {
	t.Helper()
	_, err := d.List(t.Context(), f)
	return err
}

// TestNoChangeWithoutALog: what cannot be written down is not done.
func TestNoChangeWithoutALog(t *testing.T) {
	t.Parallel()
	store, elsewhere := memstore.New(), &refusing{memstore.New()}
	desk, err := operator.New(operator.Config{Store: store, Audit: audit.New(elsewhere, nil), Actor: "ops"})
	if err != nil {
		t.Fatal(err)
	}
	eng, err := onceward.New(store, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	o := &office{raw: store, eng: eng, desk: desk}
	o.held(t, order)
	if err := desk.Release(t.Context(), ref(order), why); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("got %v", err)
	}
	if rec, err := desk.Find(t.Context(), ref(order)); err != nil || rec.Status != onceward.StatusHeld {
		t.Errorf("it is %s, %v", rec.Status, err)
	}
}

// refusing is a store that takes no claims.
type refusing struct{ *memstore.Store }

func (refusing) Claim(context.Context, onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return onceward.ClaimResult{}, errors.New("disk full")
}

func TestListing(t *testing.T) {
	t.Parallel()
	offices(t, func(t *testing.T, o *office) {
		for i := range 7 {
			if _, _, err := o.again(t, onceward.Key{Scope: "jwt:alice", Value: fmt.Sprint("key-", i)}); err != nil {
				t.Fatal(err)
			}
			if err := o.desk.Audited(t.Context(), "test", "", why, func() (string, error) { return "", nil }); err != nil {
				t.Fatal(err)
			}
		}
		var got []string
		f := operator.Filter{Limit: 3}
		for {
			page, err := o.desk.List(t.Context(), f)
			if err != nil {
				t.Fatal(err)
			}
			for i := range page.Records {
				got = append(got, page.Records[i].Key.Value)
			}
			if f.Cursor = page.Next; f.Cursor == "" {
				break
			}
		}
		if want := "[key-6 key-5 key-4 key-3 key-2 key-1 key-0]"; fmt.Sprint(got) != want {
			t.Errorf("got %v, want %v", got, want)
		}
		if unfinished, err := o.desk.Unfinished(t.Context(), "jwt:alice"); err != nil || unfinished {
			t.Errorf("unfinished %v, %v", unfinished, err)
		}
		o.held(t, order)
		if unfinished, err := o.desk.Unfinished(t.Context(), "jwt:alice"); err != nil || !unfinished {
			t.Errorf("unfinished %v, %v", unfinished, err)
		}
	})
}

func TestSweep(t *testing.T) {
	t.Parallel()
	offices(t, func(t *testing.T, o *office) {
		_, err := o.eng.Do(t.Context(), request(order), func(context.Context, *onceward.Operation) (onceward.Response, error) {
			return onceward.Response{Status: 500}, nil // released
		})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := o.desk.Sweep(t.Context(), why); err != nil || n != 1 {
			t.Errorf("%d deleted, %v", n, err)
		}
		o.logged(t, "sweep", audit.Done, "")
	})
}

// TestViewsAreRedacted: a listing shows neither whole keys nor answers.
func TestViewsAreRedacted(t *testing.T) {
	t.Parallel()
	rec := onceward.Record{
		Key: order, Status: onceward.StatusCompleted, ExpiresAt: onceward.Never,
		Checkpoints: []onceward.Checkpoint{{Name: "sent", Data: []byte("hush")}},
		Response:    &onceward.Response{Status: 200, Body: []byte("hush")},
	}
	show := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, shown := range []string{show(operator.Key(&rec, false)), show(operator.Operation(&rec, false, false))} {
		if strings.Contains(shown, "hush") || strings.Contains(shown, order.Value) || strings.Contains(shown, "aHVzaA") || !strings.Contains(shown, "01234567…") {
			t.Errorf("got %s", shown)
		}
	}
	if shown := show(operator.Operation(&rec, true, true)); !strings.Contains(shown, `"body":"hush"`) || !strings.Contains(shown, order.Value) {
		t.Errorf("got %s", shown)
	}
	rec.Response.Body = []byte{0xff, 0}
	if shown := show(operator.Operation(&rec, true, true)); !strings.Contains(shown, `"body_base64":"/wA="`) {
		t.Errorf("got %s", shown)
	}
	for key, want := range map[string]string{"a": "…", "ab": "a…", "ééé": "é…", "0123456789abcdef": "01234567…"} {
		if got := operator.Redact(key); got != want {
			t.Errorf("Redact(%q) = %q, want %q", key, got, want)
		}
	}
}
