package observe_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

const (
	route = "POST /orders"
	kind  = "orders"
)

// world is one process with an Observer around everything.
type world struct {
	t     *testing.T
	obs   *observe.Observer
	eng   *onceward.Engine
	spans *tracetest.SpanRecorder
	log   *lockedBuffer
	mux   http.Handler
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newWorld is a process on store that serves handler.
func newWorld(t *testing.T, store onceward.Store, handler http.HandlerFunc) *world {
	t.Helper()
	w := newObserved(t, store)
	once, err := oncehttp.New(w.eng, oncehttp.Options{
		Scope: oncehttp.SingleTenant, Kind: kind, Policy: onceward.Reconcile, ReplayHeaders: []string{observe.HeaderTrace},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.mux = w.obs.Route(route, once(w.obs.Operation(handler)))
	return w
}

func newObserved(t *testing.T, store onceward.Store) *world {
	t.Helper()
	w := &world{t: t, spans: tracetest.NewSpanRecorder(), log: &lockedBuffer{}}
	tracer := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(w.spans))
	t.Cleanup(func() { _ = tracer.Shutdown(context.WithoutCancel(t.Context())) })
	log := slog.New(observe.NewLogHandler(w.log, slog.LevelDebug))
	var err error
	if w.obs, err = observe.New(observe.Config{Version: "test", Tracer: tracer, Log: log, Codes: []onceward.Code{"backend-failed"}}); err != nil {
		t.Fatal(err)
	}
	if w.eng, err = onceward.New(w.obs.Store(store), onceward.Config{Logger: log, Lease: time.Minute}); err != nil {
		t.Fatal(err)
	}
	return w
}

func (w *world) post(key, body string, header ...string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodPost, "/orders?q=hush", strings.NewReader(body))
	r.Header.Set("Idempotency-Key", key)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	return rec
}

// ended returns the spans of a name, in the order in which they ended.
func (w *world) ended(name string) []sdktrace.ReadOnlySpan {
	var out []sdktrace.ReadOnlySpan
	for _, s := range w.spans.Ended() {
		if s.Name() == name {
			out = append(out, s)
		}
	}
	return out
}

// one returns the only span of a name.
func (w *world) one(name string) sdktrace.ReadOnlySpan {
	w.t.Helper()
	spans := w.ended(name)
	if len(spans) != 1 {
		w.t.Fatalf("%d spans %s, want one; there are %v", len(spans), name, w.names())
	}
	return spans[0]
}

func (w *world) names() []string {
	var names []string
	for _, s := range w.spans.Ended() {
		names = append(names, s.Name())
	}
	return names
}

// attr reads an attribute of a span.
func attr(s sdktrace.ReadOnlySpan, name string) string {
	for _, a := range s.Attributes() {
		if string(a.Key) == name {
			return a.Value.String()
		}
	}
	return ""
}

// linksTo reports whether a has a link to the trace of b.
func linksTo(a, b sdktrace.ReadOnlySpan) bool {
	for _, l := range a.Links() {
		if l.SpanContext.TraceID() == b.SpanContext().TraceID() {
			return true
		}
	}
	return false
}

// metrics is what a scrape gets.
func (w *world) metrics() string {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.obs.MetricsHandler().ServeHTTP(rec, httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, "/metrics", nil))
	if rec.Code != http.StatusOK {
		w.t.Fatalf("metrics: %d %s", rec.Code, rec.Body)
	}
	return rec.Body.String()
}

func (w *world) wantMetrics(lines ...string) {
	w.t.Helper()
	got := w.metrics()
	for _, line := range lines {
		if !strings.Contains(got, line+"\n") {
			w.t.Errorf("no line %q among\n%s", line, grep(got, line[:strings.IndexAny(line, "{ ")]))
		}
	}
}

func grep(text, prefix string) string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, prefix) {
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

func newStore() *memstore.Store { return memstore.New() }
