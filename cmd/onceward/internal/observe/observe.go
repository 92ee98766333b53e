package observe

import (
	"cmp"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// scopeName names the source of the spans.
const scopeName = "github.com/onceward/onceward"

// Config of an Observer. The zero value measures and traces nothing outward.
type Config struct {
	// Version of the build, for onceward_build_info.
	Version string
	// Codes are the problem codes that are counted by name, beside those of
	// oncehttp.Problems; all others count as "other".
	Codes []onceward.Code
	// Tracer makes the spans; see NewTracerProvider. Default: none.
	Tracer trace.TracerProvider
	// TrustTraces goes on with the trace that a client sends in traceparent.
	// Default: a trace of our own begins, linked to the client's.
	TrustTraces bool
	// Log gets one line a request, and what the Observer itself has to say.
	// Default: discarded.
	Log *slog.Logger
}

// Observer holds the metrics and makes the spans. It is safe for concurrent
// use.
type Observer struct {
	cfg        Config
	metrics    *metrics
	tracer     trace.Tracer
	propagator propagation.TraceContext
	codes      map[onceward.Code]bool
}

// New returns an Observer. It starts nothing; run Watch for the gauges that
// have to be looked up.
func New(cfg Config) (*Observer, error) {
	if cfg.Tracer == nil {
		cfg.Tracer = noop.NewTracerProvider()
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	o := &Observer{cfg: cfg, metrics: newMetrics(), tracer: cfg.Tracer.Tracer(scopeName), codes: make(map[onceward.Code]bool)}
	for _, t := range oncehttp.Problems() {
		o.codes[t.Code] = true
	}
	for _, code := range cfg.Codes {
		if code == "" {
			return nil, errors.New("observe: Config.Codes has an empty code")
		}
		o.codes[code] = true
	}
	o.metrics.build.WithLabelValues(cfg.Version, goVersion()).Set(1)
	return o, nil
}

// Version returns what Config said of the build, or "unknown".
func (o *Observer) Version() string { return cmp.Or(o.cfg.Version, "unknown") }

// Registry returns where every metric is registered.
func (o *Observer) Registry() *prometheus.Registry { return o.metrics.registry }

// MetricsHandler serves the metrics in the formats that Prometheus scrapes.
// Mount it where only operators come: it tells the names of routes.
func (o *Observer) MetricsHandler() http.Handler {
	return promhttp.HandlerFor(o.metrics.registry, promhttp.HandlerOpts{
		ErrorLog:            slog.NewLogLogger(o.cfg.Log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
		EnableOpenMetrics:   true,
	})
}
