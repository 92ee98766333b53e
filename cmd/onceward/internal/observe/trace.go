package observe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/onceward/onceward"
)

// HeaderTrace carries, in the form of the W3C traceparent, the trace in which
// an answer was made. A replay has the original's.
const HeaderTrace = "Onceward-Trace"

// TraceConfig says where spans go.
type TraceConfig struct {
	// Endpoint of an OpenTelemetry collector, by OTLP over HTTP, such as
	// http://127.0.0.1:4318. Required.
	Endpoint string
	// Headers are sent along, for instance to authenticate.
	Headers map[string]string
	// Ratio of the traces that are recorded, 0 to 1; a sampled parent is
	// always followed. Default 1.
	Ratio *float64
	// Service names this process. Default "onceward".
	Service string
	Version string
}

// NewTracerProvider exports spans in batches. Its Shutdown sends what is left.
func NewTracerProvider(ctx context.Context, cfg TraceConfig) (*sdktrace.TracerProvider, error) {
	u, err := url.Parse(cfg.Endpoint)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("observe: the trace endpoint needs the form http://host:4318 or https://host")
	}
	ratio := 1.0
	if cfg.Ratio != nil {
		ratio = *cfg.Ratio
	}
	if ratio < 0 || ratio > 1 {
		return nil, fmt.Errorf("observe: the trace ratio %v is not between 0 and 1", ratio)
	}
	if cfg.Service == "" {
		cfg.Service = "onceward"
	}
	if u.Path == "" || u.Path == "/" {
		u.Path = "/v1/traces"
	}
	exporter, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(u.String()), otlptracehttp.WithHeaders(cfg.Headers))
	if err != nil {
		return nil, fmt.Errorf("observe: traces: %w", err)
	}
	return sdktrace.NewTracerProvider(
		sdktrace.WithBatcher(exporter),
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(ratio))),
		sdktrace.WithResource(resource.NewSchemaless(
			attribute.String("service.name", cfg.Service), attribute.String("service.version", cfg.Version),
		)),
	), nil
}

// traceparent names the span of ctx, or is empty.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// parseTrace reads a traceparent that traceparent wrote; any other gives none.
func parseTrace(value string) trace.SpanContext {
	parts := strings.Split(value, "-")
	if len(parts) != 4 || parts[0] != "00" {
		return trace.SpanContext{}
	}
	traceID, err := trace.TraceIDFromHex(parts[1])
	if err != nil {
		return trace.SpanContext{}
	}
	spanID, err := trace.SpanIDFromHex(parts[2])
	if err != nil {
		return trace.SpanContext{}
	}
	var flags trace.TraceFlags
	if parts[3] == "01" {
		flags = trace.FlagsSampled
	}
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: traceID, SpanID: spanID, TraceFlags: flags, Remote: true})
}

func hasTrace(checkpoints []onceward.Checkpoint) bool {
	for i := range checkpoints {
		if checkpoints[i].Name == checkpointTrace {
			return true
		}
	}
	return false
}

// traceOf returns the trace in which a record's operation was started, as far
// as it is known.
func traceOf(rec *onceward.Record) string {
	for i := range rec.Checkpoints {
		if rec.Checkpoints[i].Name == checkpointTrace {
			return string(rec.Checkpoints[i].Data)
		}
	}
	if rec.Response != nil {
		return http.Header(rec.Response.Header).Get(HeaderTrace)
	}
	return ""
}

// link connects span with another trace.
func link(span trace.Span, traceparent string) {
	if sc := parseTrace(traceparent); sc.IsValid() {
		span.AddLink(trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{attribute.String("onceward.link", "original")}})
	}
}
