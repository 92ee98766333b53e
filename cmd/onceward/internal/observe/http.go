package observe

import (
	"context"
	"encoding/json"
	"log/slog"
	"mime"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Outcomes of a request, as they are counted.
const (
	outcomeAnswered = "answered" // by the handler, or the backend
	outcomeReplayed = "replayed" // from the record
	outcomeProblem  = "problem"  // an application/problem+json
	outcomeAborted  = "aborted"  // the connection was cut off
)

// Route observes the requests of one route: put it outside the middleware of
// oncehttp, whose Options.ReplayHeaders must have HeaderTrace. The route's
// name is a label; give its pattern.
func (o *Observer) Route(route string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		ctx, span := o.begin(r.Context(), route, r)
		defer span.End()
		own := traceparent(ctx)
		if own != "" {
			w.Header().Set(HeaderTrace, own)
		}
		gauge := o.metrics.inFlight.WithLabelValues(route)
		gauge.Inc()
		defer gauge.Dec()
		x := &exchange{o: o, route: route, method: methodLabel(r.Method), start: start, span: span, own: own}
		x.w = recorder{ResponseWriter: w}
		defer x.done(ctx)
		next.ServeHTTP(&x.w, r.WithContext(context.WithValue(ctx, notedKey{}, &x.noted)))
		x.returned = true
	})
}

// begin starts the server's span. A client's trace is followed or linked to.
func (o *Observer) begin(ctx context.Context, route string, r *http.Request) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindServer),
		trace.WithAttributes(attribute.String("http.request.method", methodLabel(r.Method)), attribute.String("http.route", route)),
	}
	theirs := o.propagator.Extract(ctx, propagation.HeaderCarrier(r.Header))
	if o.cfg.TrustTraces {
		ctx = theirs
	} else if sc := trace.SpanContextFromContext(theirs); sc.IsValid() {
		options = append(options, trace.WithNewRoot(), trace.WithLinks(trace.Link{SpanContext: sc}))
	}
	return o.tracer.Start(ctx, route, options...)
}

// exchange is one observed request.
type exchange struct {
	o             *Observer
	route, method string
	own           string
	start         time.Time
	span          trace.Span
	w             recorder
	noted         noted
	returned      bool
}

// noted is what the operation of a request leaves for its line. The operation
// may outlive the request.
type noted struct{ operation atomic.Value } // of its id, a string

type notedKey struct{}

// done counts, logs and describes what was answered.
func (x *exchange) done(ctx context.Context) {
	o, header := x.o, x.w.Header()
	outcome, code := outcomeAnswered, ""
	switch {
	case !x.returned:
		outcome = outcomeAborted
	case header.Get(oncehttp.HeaderReplayed) == "true":
		outcome = outcomeReplayed
	case x.w.problem:
		outcome, code = outcomeProblem, x.code()
		o.metrics.problems.WithLabelValues(x.route, code).Inc()
	}
	took := time.Since(x.start)
	status := x.w.status
	if status == 0 {
		status = http.StatusOK
	}
	o.metrics.requests.WithLabelValues(x.route, x.method, strconv.Itoa(status), outcome).Inc()
	o.metrics.duration.WithLabelValues(x.route, outcome).Observe(took.Seconds())
	x.span.SetAttributes(attribute.Int("http.response.status_code", status), attribute.String("onceward.outcome", outcome))
	attrs := []slog.Attr{
		slog.String("route", x.route), slog.String("method", x.method), slog.Int("status", status),
		slog.String("outcome", outcome), slog.Duration("took", took),
	}
	if code != "" {
		x.span.SetAttributes(attribute.String("onceward.code", code))
		attrs = append(attrs, slog.String("code", code))
	}
	if op, _ := x.noted.operation.Load().(string); op != "" {
		x.span.SetAttributes(attribute.String("onceward.operation_id", op))
		attrs = append(attrs, slog.String("operation", op))
	}
	if status >= http.StatusInternalServerError || outcome == outcomeAborted {
		x.span.SetStatus(codes.Error, outcome)
	}
	if original := header.Get(HeaderTrace); outcome == outcomeReplayed && original != "" && original != x.own {
		link(x.span, original)
		if sc := parseTrace(original); sc.IsValid() {
			attrs = append(attrs, slog.String("original_trace_id", sc.TraceID().String()))
		}
	}
	o.cfg.Log.LogAttrs(ctx, slog.LevelInfo, "request", attrs...)
}

// code is the problem's, if it is one of those that are known.
func (x *exchange) code() string {
	var p struct {
		Code onceward.Code `json:"code"`
	}
	if json.Unmarshal(x.w.body, &p) != nil || !x.o.codes[p.Code] {
		return "other"
	}
	return string(p.Code)
}

// methodLabel keeps made-up methods from becoming labels.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch,
		http.MethodDelete, http.MethodOptions, http.MethodConnect, http.MethodTrace:
		return method
	}
	return "other"
}

// maxProblem bounds what is kept of a problem to read its code.
const maxProblem = 8 << 10

// recorder notes how a request was answered and hands everything on.
type recorder struct {
	http.ResponseWriter
	status  int
	problem bool
	body    []byte // of a problem
}

// Unwrap lets http.ResponseController reach the rest.
func (w *recorder) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader implements http.ResponseWriter.
func (w *recorder) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
		media, _, err := mime.ParseMediaType(w.Header().Get("Content-Type"))
		w.problem = err == nil && media == "application/problem+json"
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *recorder) Write(p []byte) (int, error) {
	if w.status == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.problem && len(w.body) < maxProblem {
		w.body = append(w.body, p[:min(len(p), maxProblem-len(w.body))]...)
	}
	return w.ResponseWriter.Write(p)
}
