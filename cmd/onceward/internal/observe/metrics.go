package observe

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// metrics is everything that is registered, beside the runtime's own.
type metrics struct {
	registry *prometheus.Registry

	build *prometheus.GaugeVec

	requests *prometheus.CounterVec
	duration *prometheus.HistogramVec
	inFlight *prometheus.GaugeVec
	problems *prometheus.CounterVec

	claims    *prometheus.CounterVec
	ended     *prometheus.CounterVec
	operation *prometheus.HistogramVec
	handler   *prometheus.HistogramVec
	recovered *prometheus.CounterVec
	held      prometheus.Gauge
	lapsed    prometheus.Gauge

	storeCalls    *prometheus.CounterVec
	storeDuration *prometheus.HistogramVec
	swept         prometheus.Counter

	submissions     *prometheus.CounterVec
	attempts        *prometheus.CounterVec
	attemptDuration prometheus.Histogram
	rpcCalls        *prometheus.CounterVec
	rpcDuration     *prometheus.HistogramVec
}

// Buckets, in seconds: of one exchange or operation, which may take minutes,
// and of one call of the store.
var (
	exchangeBuckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300}
	storeBuckets    = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
)

// newMetrics registers all of them. The help texts are the first sentences of
// the catalogue in docs/observability.md.
func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
		m.registry.MustRegister(v)
		return v
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		v := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(v)
		return v
	}
	m.build = gauge("onceward_build_info", "Is 1; the labels say what runs.", "version", "go")

	m.requests = counter("onceward_http_requests_total", "Requests that were answered.", "route", "method", "status", "outcome")
	m.duration = histogram("onceward_http_request_duration_seconds", "Time from a request's head to the end of its answer.", exchangeBuckets, "route", "outcome")
	m.inFlight = gauge("onceward_http_requests_in_flight", "Requests that are being answered now.", "route")
	m.problems = counter("onceward_problems_total", "Answers that were problems.", "route", "code")

	m.claims = counter("onceward_claims_total", "Claims that the store answered.", "kind", "result")
	m.ended = counter("onceward_operations_ended_total", "Operations that this process ended.", "kind", "end")
	m.operation = histogram("onceward_operation_duration_seconds", "Time from an operation's first claim to its end, crashes included.", exchangeBuckets, "kind", "end")
	m.handler = histogram("onceward_handler_duration_seconds", "Time that one attempt of an operation took.", exchangeBuckets, "kind")
	m.recovered = counter("onceward_recoveries_total", "Operations of dead owners that were reconciled.", "kind", "decision")
	m.held = gauge("onceward_held_operations", "Operations whose outcome is unknown and that wait for a person; counted up to 10,000.").WithLabelValues()
	m.lapsed = gauge("onceward_lapsed_operations", "Operations under hold or reconcile whose owner died and that nobody has taken over yet; counted up to 1,000 for each policy.").WithLabelValues()

	m.storeCalls = counter("onceward_store_calls_total", "Calls of the store.", "call", "result")
	m.storeDuration = histogram("onceward_store_call_duration_seconds", "Time that one call of the store took.", storeBuckets, "call")
	m.swept = counter("onceward_swept_records_total", "Expired records that this process deleted.").WithLabelValues()

	m.submissions = counter("onceward_chain_submissions_total", "Contract calls that were brought to an end or left for later.", "kind", "result")
	m.attempts = counter("onceward_chain_attempts_total", "Signed transactions that were followed to a verdict.", "result")
	m.attemptDuration = histogram("onceward_chain_attempt_duration_seconds", "Time from a stored transaction to its verdict.", exchangeBuckets).WithLabelValues().(prometheus.Histogram)
	m.rpcCalls = counter("onceward_rpc_calls_total", "Calls of the chain's RPC server.", "method", "result")
	m.rpcDuration = histogram("onceward_rpc_call_duration_seconds", "Time that one call of the chain's RPC server took.", exchangeBuckets, "method")
	return m
}

func goVersion() string { return runtime.Version() }
