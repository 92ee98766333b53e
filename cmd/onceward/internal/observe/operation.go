package observe

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
)

// Operation observes the work of a claimed key: put it inside the middleware
// of oncehttp, around the handler. Requests without an operation pass.
func (o *Observer) Operation(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := onceward.FromContext(r.Context())
		if op == nil {
			next.ServeHTTP(w, r)
			return
		}
		start := time.Now()
		ctx, span := o.tracer.Start(r.Context(), "onceward.handler", trace.WithAttributes(describe(op)...))
		if noted, ok := r.Context().Value(notedKey{}).(*noted); ok {
			noted.operation.Store(op.ID().String())
		}
		returned := false
		defer func() {
			if !returned {
				span.SetStatus(codes.Error, "the handler panicked")
			}
			span.End()
			o.metrics.handler.WithLabelValues(op.Kind()).Observe(time.Since(start).Seconds())
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
		returned = true
	})
}

func describe(op *onceward.Operation) []attribute.KeyValue {
	return []attribute.KeyValue{
		attribute.String("onceward.operation_id", op.ID().String()), attribute.String("onceward.kind", op.Kind()),
		attribute.Int64("onceward.token", op.Token()), attribute.Int("onceward.attempt", op.Attempt()),
	}
}

// Reconciler observes what finds out about dead operations: a trace of its
// own, linked to the one in which the operation was started. The answer that
// it brings names that trace, too.
func (o *Observer) Reconciler(next onceward.Reconciler) onceward.Reconciler {
	return func(ctx context.Context, op *onceward.Operation) (onceward.Verdict, error) {
		ctx, span := o.tracer.Start(ctx, "onceward.recover", trace.WithAttributes(describe(op)...))
		defer span.End()
		original, _ := op.Recall(checkpointTrace)
		link(span, string(original))
		v, err := next(ctx, op)
		decision := "failed"
		if err == nil {
			decision = map[onceward.Decision]string{
				onceward.Completed: "completed", onceward.NotApplied: "not_applied", onceward.Unknown: "unknown",
			}[v.Decision]
		} else {
			span.SetStatus(codes.Error, "not decided")
		}
		span.SetAttributes(attribute.String("onceward.decision", decision))
		o.metrics.recovered.WithLabelValues(op.Kind(), decision).Inc()
		if v.Decision == onceward.Completed && len(original) > 0 {
			header := http.Header(v.Response.Header).Clone()
			if header == nil {
				header = make(http.Header)
			}
			header.Set(HeaderTrace, string(original))
			v.Response.Header = header
		}
		return v, err
	}
}

// Step observes the steps of a soroban.Submitter: it is a
// soroban.Config.Observe.
func (o *Observer) Step(ctx context.Context, step soroban.Step) (context.Context, func(error)) {
	start := time.Now()
	attrs := []attribute.KeyValue{attribute.String("onceward.operation_id", step.Operation.String()), attribute.String("onceward.kind", step.Kind)}
	if step.Name == soroban.StepAttempt {
		attrs = append(attrs, attribute.Int("onceward.chain.attempt", step.Attempt), attribute.String("onceward.chain.tx_hash", step.TxHash))
	}
	ctx, span := o.tracer.Start(ctx, "onceward."+string(step.Name), trace.WithAttributes(attrs...))
	return ctx, func(err error) {
		result := stepResult(err)
		if step.Name == soroban.StepAttempt {
			o.metrics.attempts.WithLabelValues(result).Inc()
			o.metrics.attemptDuration.Observe(time.Since(start).Seconds())
		} else {
			o.metrics.submissions.WithLabelValues(step.Kind, result).Inc()
		}
		span.SetAttributes(attribute.String("onceward.result", result))
		if err != nil && result != "rejected" {
			span.SetStatus(codes.Error, result)
		}
		span.End()
	}
}

// stepResult names how a step ended.
func stepResult(err error) string {
	_, rejected := errors.AsType[*soroban.RejectedError](err)
	_, unavailable := errors.AsType[*soroban.UnavailableError](err)
	_, unknown := errors.AsType[*soroban.UnknownError](err)
	switch {
	case err == nil:
		return "decided"
	case rejected:
		return "rejected"
	case unavailable:
		return "unavailable"
	case unknown:
		return "unknown"
	case errors.Is(err, onceward.ErrPark):
		return "parked"
	}
	return "error"
}
