package server

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"go.opentelemetry.io/otel"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/oncehttp"
)

// openObserver makes metrics and traces, and the listener that metrics may
// have for themselves.
func (s *Server) openObserver(ctx context.Context) error {
	conf := observe.Config{Log: s.log, Codes: codes()}
	if info, ok := debug.ReadBuildInfo(); ok {
		conf.Version = info.Main.Version
	}
	if t := s.cfg.Observability.Tracing; t.Endpoint != "" {
		headers := make(map[string]string, len(t.Headers))
		for name, value := range t.Headers {
			text, err := value.Read(s.opts.Getenv)
			if err != nil {
				return fmt.Errorf("observability.tracing.headers: %w", err)
			}
			headers[name] = text
		}
		ratio := float64(t.Percent) / 100
		provider, err := observe.NewTracerProvider(ctx, observe.TraceConfig{
			Endpoint: t.Endpoint, Headers: headers, Ratio: &ratio, Service: t.Service, Version: conf.Version,
		})
		if err != nil {
			return fmt.Errorf("observability.tracing: %w", err)
		}
		s.closers = append(s.closers, func() error {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
			defer cancel()
			return provider.Shutdown(ctx)
		})
		conf.Tracer = provider
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { s.log.WarnContext(ctx, "spans were not exported", "err", err) }))
	}
	var err error
	if s.obs, err = observe.New(conf); err != nil {
		return err
	}
	if addr := s.cfg.Observability.Metrics.Listen; addr != "" {
		s.metrics, err = s.open(ctx, addr, "observability.metrics.listen")
	}
	return err
}

// codes are those of the problems that a gateway answers beside oncehttp's.
// There is no other code to count by, whatever backends and clients send.
func codes() []onceward.Code {
	var out []onceward.Code
	for _, list := range [][]oncehttp.ProblemType{gateway.Problems(), gateway.RelayProblems(), proxy.Problems(), serving.Problems()} {
		for _, t := range list {
			out = append(out, t.Code)
		}
	}
	return out
}

// metricsPath is where metrics are, on the admin listener or their own.
const metricsPath = "GET /metrics"

// withMetrics adds the metrics to the operator's page.
func (s *Server) withMetrics(page http.Handler) http.Handler {
	if !s.cfg.Observability.Metrics.Enabled {
		return page
	}
	mux := http.NewServeMux()
	mux.Handle("/", page)
	mux.Handle(metricsPath, s.obs.MetricsHandler())
	return mux
}

// startObserver adds what counts to the group.
func (s *Server) startObserver(group *serving.Group) {
	group.Go("gauges", func(ctx context.Context) error { return s.obs.Watch(ctx, s.engine) })
	if s.metrics == nil {
		return
	}
	mux := http.NewServeMux()
	mux.Handle(metricsPath, s.obs.MetricsHandler())
	group.Serve(serving.Server{
		Name: "metrics", Listener: s.metrics, Handler: mux, Limits: serving.Limits{HeaderTimeout: 10 * time.Second},
	})
}
