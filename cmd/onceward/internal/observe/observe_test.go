package observe_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/oncetest"
)

// paid checkpoints, then answers.
func paid(w http.ResponseWriter, r *http.Request) {
	op := onceward.FromContext(r.Context())
	if err := op.Checkpoint(r.Context(), "pay", []byte("1")); err != nil {
		oncehttp.Fail(r, err)
		return
	}
	_, _ = io.WriteString(w, "paid")
}

func TestASpanForEveryStep(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newStore(), paid)
	if err := w.eng.Register(kind, neverAsked); err != nil {
		t.Fatal(err)
	}
	first := w.post("k", "x")
	if first.Code != http.StatusOK || first.Body.String() != "paid" {
		t.Fatalf("%d %s", first.Code, first.Body)
	}
	root := w.one(route)
	trace := root.SpanContext().TraceID()
	for _, name := range []string{"onceward.claim", "onceward.handler", "onceward.checkpoint", "onceward.complete"} {
		if s := w.one(name); s.SpanContext().TraceID() != trace {
			t.Errorf("%s is in another trace", name)
		}
	}
	if p := w.one("onceward.checkpoint").Parent().SpanID(); p != w.one("onceward.handler").SpanContext().SpanID() {
		t.Error("the checkpoint is not the handler's")
	}
	id := onceward.Key{Value: "k"}.ID().String()
	if attr(root, "onceward.operation_id") != id || attr(w.one("onceward.claim"), "onceward.claim") != "won" {
		t.Errorf("attributes %v", root.Attributes())
	}
	if got := first.Header().Get(observe.HeaderTrace); !strings.Contains(got, trace.String()) {
		t.Errorf("%s: %s", observe.HeaderTrace, got)
	}
	w.wantMetrics(
		`onceward_http_requests_total{method="POST",outcome="answered",route="POST /orders",status="200"} 1`,
		`onceward_claims_total{kind="orders",result="won"} 1`,
		`onceward_operations_ended_total{end="completed",kind="orders"} 1`,
		`onceward_operation_duration_seconds_count{end="completed",kind="orders"} 1`,
		`onceward_handler_duration_seconds_count{kind="orders"} 1`,
		`onceward_store_calls_total{call="claim",result="ok"} 1`,
		`onceward_http_requests_in_flight{route="POST /orders"} 0`,
	)
}

// neverAsked is a Reconciler for tests that need none.
func neverAsked(context.Context, *onceward.Operation) (onceward.Verdict, error) {
	return onceward.Verdict{}, errors.New("not expected")
}

// A replay, by this process and by another, links to the original.
func TestAReplayLinksToTheOriginal(t *testing.T) {
	t.Parallel()
	store := newStore()
	a, b := newWorld(t, store, paid), newWorld(t, store, paid)
	for _, w := range []*world{a, b} {
		if err := w.eng.Register(kind, neverAsked); err != nil {
			t.Fatal(err)
		}
	}
	header := a.post("k", "x").Header().Get(observe.HeaderTrace)
	original := a.one(route)
	a.post("k", "x")
	b.post("k", "x")
	for name, replay := range map[string]*world{"same process": a, "another process": b} {
		spans := replay.ended(route)
		s := spans[len(spans)-1]
		if !linksTo(s, original) || s.SpanContext().TraceID() == original.SpanContext().TraceID() {
			t.Errorf("%s: links %v", name, s.Links())
		}
		if attr(s, "onceward.outcome") != "replayed" {
			t.Errorf("%s: %v", name, s.Attributes())
		}
		if !strings.Contains(replay.log.String(), `"original_trace_id":"`+original.SpanContext().TraceID().String()+`"`) {
			t.Errorf("%s: the log does not name the original\n%s", name, replay.log)
		}
	}
	if again := b.post("k", "x").Header().Get(observe.HeaderTrace); again != header {
		t.Errorf("the replay names %s, the original %s", again, header)
	}
}

// What another process finishes links to where it began, and so do replays
// of its answer.
func TestARecoveryLinksToTheOriginal(t *testing.T) {
	t.Parallel()
	store := newStore()
	dead := newWorld(t, store, func(_ http.ResponseWriter, r *http.Request) {
		op := onceward.FromContext(r.Context())
		if err := op.Checkpoint(r.Context(), "pay", nil); err != nil {
			t.Error(err)
		}
		oncehttp.Fail(r, onceward.ErrPark) // as a process that stops
	})
	if err := dead.eng.Register(kind, neverAsked); err != nil {
		t.Fatal(err)
	}
	dead.post("k", "x")
	original := dead.one(route)

	next := newWorld(t, store, paid)
	if err := next.eng.Register(kind, next.obs.Reconciler(func(_ context.Context, op *onceward.Operation) (onceward.Verdict, error) {
		if _, ok := op.Recall("pay"); !ok || len(op.Checkpoints()) != 2 {
			t.Errorf("checkpoints %v", op.Checkpoints())
		}
		return onceward.Verdict{Decision: onceward.Completed, Response: onceward.Response{Body: []byte("recovered")}}, nil
	})); err != nil {
		t.Fatal(err)
	}
	if got, err := next.eng.Recover(t.Context()); err != nil || got.Completed != 1 {
		t.Fatalf("%+v, %v", got, err)
	}
	if s := next.one("onceward.recover"); !linksTo(s, original) || attr(s, "onceward.decision") != "completed" {
		t.Errorf("links %v, attributes %v", s.Links(), s.Attributes())
	}
	if got := next.post("k", "x"); got.Body.String() != "recovered" || !linksTo(next.one(route), original) {
		t.Errorf("%s, links %v", got.Body, next.one(route).Links())
	}
	next.wantMetrics(
		`onceward_recoveries_total{decision="completed",kind="orders"} 1`,
		`onceward_claims_total{kind="orders",result="taken_over"} 1`,
		`onceward_claims_total{kind="orders",result="completed"} 1`,
	)
}

func TestProblemsAreCountedByKnownCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newStore(), func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		(&oncehttp.Problem{Code: onceward.Code(body), Status: 422}).Write(rw, r)
	})
	if err := w.eng.Register(kind, neverAsked); err != nil {
		t.Fatal(err)
	}
	w.post("a", "backend-failed")
	w.post("b", "made-up-by-a-client")
	w.post("", "x")
	r := httptest.NewRequestWithContext(t.Context(), "BREW", "/orders", strings.NewReader("made-up-too"))
	w.mux.ServeHTTP(httptest.NewRecorder(), r)
	w.wantMetrics(
		`onceward_problems_total{code="backend-failed",route="POST /orders"} 1`,
		`onceward_problems_total{code="other",route="POST /orders"} 2`,
		`onceward_problems_total{code="key-invalid",route="POST /orders"} 1`,
		`onceward_operations_ended_total{end="released",kind="orders"} 2`,
	)
	if m := w.metrics(); strings.Contains(m, "made-up") || strings.Contains(m, "BREW") {
		t.Error("a client made a label up")
	}
}

func TestAnAbortedAnswerIsCounted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newStore(), func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if err := w.eng.Register(kind, neverAsked); err != nil {
		t.Fatal(err)
	}
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic did not go on")
			}
		}()
		w.post("k", "x")
	}()
	w.wantMetrics(`onceward_http_requests_total{method="POST",outcome="aborted",route="POST /orders",status="200"} 1`)
}

func TestNoSecretsLeave(t *testing.T) {
	t.Parallel()
	w := newWorld(t, newStore(), paid)
	if err := w.eng.Register(kind, neverAsked); err != nil {
		t.Fatal(err)
	}
	w.post("keysecret", "bodysecret", "Authorization", "Bearer headersecret", "Cookie", "cookiesecret")
	w.post("keysecret", "othersecret")
	var spans strings.Builder
	for _, s := range w.spans.Ended() {
		for _, a := range s.Attributes() {
			spans.WriteString(string(a.Key) + "=" + a.Value.String() + "\n")
		}
	}
	for name, text := range map[string]string{"log": w.log.String(), "metrics": w.metrics(), "spans": spans.String()} {
		if strings.Contains(text, "secret") || strings.Contains(text, "hush") {
			t.Errorf("the %s tell a secret:\n%s", name, text)
		}
	}
	var line struct {
		TraceID   string `json:"trace_id"`
		Operation string `json:"operation"`
		Msg       string `json:"msg"`
	}
	first, _, _ := strings.Cut(w.log.String(), "\n")
	if err := json.Unmarshal([]byte(first), &line); err != nil {
		t.Fatalf("%s: %v", first, err)
	}
	if line.Msg != "request" || line.TraceID != w.ended(route)[0].SpanContext().TraceID().String() ||
		line.Operation != (onceward.Key{Value: "keysecret"}).ID().String() {
		t.Errorf("line %s", first)
	}
}

// The wrapped store keeps the contract of a store.
func TestTheWrappedStoreIsAStore(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(t *testing.T) onceward.Store { return newObserved(t, newStore()).eng.Store() }, oncetest.Abilities()...)
}

func TestGaugesAreLookedUp(t *testing.T) {
	t.Parallel()
	w := newObserved(t, newStore())
	for _, key := range []string{"a", "b"} {
		_, err := w.eng.Do(t.Context(), onceward.Request{Key: onceward.Key{Value: key}}, func(_ context.Context, op *onceward.Operation) (onceward.Response, error) {
			op.Conclude(onceward.Unknown, "nobody knows")
			return onceward.Response{}, nil
		})
		if onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
			t.Fatal(err)
		}
	}
	if err := w.obs.Look(t.Context(), w.eng); err != nil {
		t.Fatal(err)
	}
	w.wantMetrics("onceward_held_operations 2", "onceward_lapsed_operations 0")
}
