// Package observe makes what onceward does visible: Prometheus metrics,
// OpenTelemetry traces, and JSON logs that name the operation and the trace.
//
// It sits around the other packages and changes nothing they do: a Store
// around the store, an RPC around the chain's, a handler around the server's
// and one around the work of an operation.
//
//	obs, err := observe.New(observe.Config{Routes: patterns, Log: log})
//	eng, err := onceward.New(obs.Store(store), …)
//	mux.Handle(pattern, obs.Route(pattern, handler))
//
// # What is guaranteed
//
// The labels of every metric have a bounded number of values: routes, kinds
// and codes come from the configuration, never from a request. No key, scope,
// token of a client, header, query or body is in a metric, span or log line.
// An operation that began in one trace and is answered or finished in another
// links to it, across processes: the trace is stored with the operation, at no
// extra write.
//
// # What is not guaranteed
//
// Duplicates that are answered from memory by the process that runs their
// operation do not reach the store, so claims count less than requests.
// Counters start over with the process. A trace that is not sampled leaves no
// spans, but its id is stored and logged all the same.
package observe
