package onceward_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// Checkpoints keep the order in which they were first made; a name that comes
// again replaces its data. They are bounded.
func TestCheckpoints(t *testing.T) {
	t.Parallel()
	eng := newEngine(t, memstore.New(), onceward.Config{MaxCheckpointBytes: 100})
	out, err := eng.Do(t.Context(), keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		data := []byte("one")
		for _, c := range []struct {
			name string
			data []byte
			ok   bool
		}{
			{"a", data, true},
			{"b", []byte("two"), true},
			{"a", []byte("three"), true},
			{"c", nil, true},
			{"", nil, false},
			{strings.Repeat("n", 256), nil, false},
			{"d", make([]byte, 100), false},
		} {
			if err := op.Checkpoint(ctx, c.name, c.data); (err == nil) != c.ok {
				t.Errorf("checkpoint %.10q of %d bytes: %v", c.name, len(c.data), err)
			}
		}
		data[0] = 'X' // it was copied
		var names []string
		for _, c := range op.Checkpoints() {
			names = append(names, c.Name+"="+string(c.Data))
		}
		if got := strings.Join(names, " "); got != "a=three b=two c=" {
			t.Errorf("checkpoints %s", got)
		}
		if _, ok := op.Recall("d"); ok {
			t.Error("a refused checkpoint was made")
		}
		if onceward.FromContext(ctx) != op || op.Kind() != "pay" || op.Attempt() != 1 || op.ID() != keyed("k").Key.ID() {
			t.Error("the operation does not know itself")
		}
		return body("paid"), nil
	})
	wantBody(t, out, err, "paid")
	if rec := wantStatus(t, eng, keyed("k").Key, onceward.StatusCompleted); len(rec.Checkpoints) != 3 {
		t.Errorf("%d checkpoints are kept", len(rec.Checkpoints))
	}
	if onceward.FromContext(t.Context()) != nil {
		t.Error("an operation out of nowhere")
	}
}

// A checkpoint whose writing failed may have been made: it counts as one, so
// that a handler that then fails does not free the key.
func TestCheckpointOfUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]hook{"made": ambiguous("Checkpoint", 1000), "not made": failing("Checkpoint")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := newSpy()
				s.set(h)
				eng := newEngine(t, s, onceward.Config{})
				_, err := eng.Do(t.Context(), keyed("k"), func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
					err := op.Checkpoint(ctx, "sent", nil)
					if err == nil {
						t.Error("the checkpoint was reported as made")
					}
					return onceward.Response{}, err
				})
				wantCode(t, err, onceward.CodeOutcomeUnknown)
			})
		})
	}
}
