package observe

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/onceward/onceward"
)

// checkpointTrace keeps the trace in which an operation was started. It is
// written together with the first checkpoint, never by itself.
const checkpointTrace = "onceward.trace"

// Store is an onceward.Store that is measured, with every optional ability but
// that of a Recaller: nothing would be seen of what it answers.
// What the store beneath cannot do, this one cannot do either: it then sweeps
// and finds nothing.
type Store struct {
	o    *Observer
	next onceward.Store
}

// Store measures next and traces its calls.
func (o *Observer) Store(next onceward.Store) *Store { return &Store{o: o, next: next} }

// Unwrap returns the store beneath.
func (s *Store) Unwrap() onceward.Store { return s.next }

// call measures one call of the store. It traces those that are part of a
// trace; renewals and sweeps are not.
func (s *Store) call(ctx context.Context, name string, do func(context.Context, trace.Span) error) error {
	start := time.Now()
	span := trace.Span(noop.Span{})
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx, span = s.o.tracer.Start(ctx, "onceward."+name, trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
	}
	err := do(ctx, span)
	result := "ok"
	switch {
	case errors.Is(err, onceward.ErrFenced):
		result = "fenced"
	case errors.Is(err, onceward.ErrNotFound):
		result = "not_found"
	case err != nil:
		result = "error"
		span.SetStatus(codes.Error, "the store did not answer")
	}
	s.o.metrics.storeCalls.WithLabelValues(name, result).Inc()
	s.o.metrics.storeDuration.WithLabelValues(name).Observe(time.Since(start).Seconds())
	return err
}

// Claim implements onceward.Store.
func (s *Store) Claim(ctx context.Context, req onceward.ClaimRequest) (res onceward.ClaimResult, err error) {
	err = s.call(ctx, "claim", func(ctx context.Context, span trace.Span) error {
		span.SetAttributes(attribute.String("onceward.operation_id", req.Key.ID().String()), attribute.String("onceward.kind", req.Kind))
		if res, err = s.next.Claim(ctx, req); err != nil {
			return err
		}
		result := claimResult(&req, &res)
		s.o.metrics.claims.WithLabelValues(req.Kind, result).Inc()
		span.SetAttributes(attribute.String("onceward.claim", result), attribute.Int64("onceward.token", res.Record.Token),
			attribute.Int("onceward.attempt", res.Record.Attempt))
		if !res.Won || res.TookOver {
			link(span, traceOf(&res.Record))
		}
		return nil
	})
	return res, err
}

func claimResult(req *onceward.ClaimRequest, res *onceward.ClaimResult) string {
	switch {
	case res.TookOver:
		return "taken_over"
	case res.Won:
		return "won"
	case string(req.Fingerprint) != string(res.Record.Fingerprint):
		return "key_reused"
	case res.Record.Status == onceward.StatusCompleted:
		return "completed"
	case res.Record.Status == onceward.StatusHeld:
		return "held"
	}
	return "in_progress"
}

// Renew implements onceward.Store.
func (s *Store) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return s.call(ctx, "renew", func(ctx context.Context, _ trace.Span) error { return s.next.Renew(ctx, req) })
}

// Checkpoint implements onceward.Store. The first one takes the trace along.
func (s *Store) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	if value := traceparent(ctx); value != "" && !hasTrace(req.Checkpoints) {
		own := onceward.Checkpoint{Name: checkpointTrace, Data: []byte(value), At: req.Now}
		req.Checkpoints = append([]onceward.Checkpoint{own}, req.Checkpoints...)
	}
	return s.call(ctx, "checkpoint", func(ctx context.Context, span trace.Span) error {
		span.SetAttributes(attribute.Int("onceward.checkpoints", len(req.Checkpoints)))
		return s.next.Checkpoint(ctx, req)
	})
}

// Complete implements onceward.Store.
func (s *Store) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	end := "completed"
	if req.Status == onceward.StatusHeld {
		end = "held"
	}
	return s.end(ctx, "complete", end, func(ctx context.Context) error { return s.next.Complete(ctx, req) })
}

// Release implements onceward.Store.
func (s *Store) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return s.end(ctx, "release", "released", func(ctx context.Context) error { return s.next.Release(ctx, req) })
}

// end is a call after which the operation of ctx has ended.
func (s *Store) end(ctx context.Context, name, end string, do func(context.Context) error) error {
	return s.call(ctx, name, func(ctx context.Context, span trace.Span) error {
		span.SetAttributes(attribute.String("onceward.end", end))
		if err := do(ctx); err != nil {
			return err
		}
		kind := ""
		if op := onceward.FromContext(ctx); op != nil {
			kind = op.Kind()
			s.o.metrics.operation.WithLabelValues(kind, end).Observe(max(0, time.Since(op.Record().ClaimedAt).Seconds()))
		}
		s.o.metrics.ended.WithLabelValues(kind, end).Inc()
		return nil
	})
}

// Get implements onceward.Store.
func (s *Store) Get(ctx context.Context, req onceward.GetRequest) (rec onceward.Record, err error) {
	err = s.call(ctx, "get", func(ctx context.Context, _ trace.Span) error {
		rec, err = s.next.Get(ctx, req)
		return err
	})
	return rec, err
}

// Sweep implements onceward.Sweeper.
func (s *Store) Sweep(ctx context.Context, req onceward.SweepRequest) (res onceward.SweepResult, err error) {
	next, ok := s.next.(onceward.Sweeper)
	if !ok {
		return res, nil
	}
	err = s.call(ctx, "sweep", func(ctx context.Context, _ trace.Span) error {
		res, err = next.Sweep(ctx, req)
		s.o.metrics.swept.Add(float64(res.Deleted))
		return err
	})
	return res, err
}

// Lapsed implements onceward.LapsedLister.
func (s *Store) Lapsed(ctx context.Context, req onceward.LapsedRequest) (recs []onceward.Record, err error) {
	next, ok := s.next.(onceward.LapsedLister)
	if !ok {
		return nil, nil
	}
	err = s.call(ctx, "lapsed", func(ctx context.Context, _ trace.Span) error {
		recs, err = next.Lapsed(ctx, req)
		return err
	})
	return recs, err
}

// Find implements onceward.Finder.
func (s *Store) Find(ctx context.Context, req onceward.FindRequest) (rec onceward.Record, err error) {
	next, ok := s.next.(onceward.Finder)
	if !ok {
		return rec, unsupported("find operations by id")
	}
	err = s.call(ctx, "find", func(ctx context.Context, _ trace.Span) error {
		rec, err = next.Find(ctx, req)
		return err
	})
	return rec, err
}

// List implements onceward.Lister.
func (s *Store) List(ctx context.Context, req onceward.ListRequest) (res onceward.ListResult, err error) {
	next, ok := s.next.(onceward.Lister)
	if !ok {
		return res, unsupported("list operations")
	}
	err = s.call(ctx, "list", func(ctx context.Context, _ trace.Span) error {
		res, err = next.List(ctx, req)
		return err
	})
	return res, err
}

func unsupported(what string) error {
	return fmt.Errorf("observe: the store cannot %s: %w", what, errors.ErrUnsupported)
}

// Watch implements onceward.Waker: without one below, waiting requests poll.
func (s *Store) Watch(key onceward.Key) (wake <-chan struct{}, stop func()) {
	if w, ok := s.next.(onceward.Waker); ok {
		return w.Watch(key)
	}
	return nil, func() {}
}
