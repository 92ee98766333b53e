// Package proxy puts the idempotency of oncehttp in front of a backend that
// speaks HTTP and knows nothing of it.
//
// # What is guaranteed
//
//   - A keyed request reaches the backend at most once for each attempt that
//     the crash policy allows. Nothing below this package repeats it: the
//     licence to repeat that net/http reads from an Idempotency-Key header, or
//     takes from an HTTP/2 stream reset, is withdrawn.
//   - A request of which provably no byte was written, because no connection
//     came about or the pooled one was dead already, releases its key.
//   - Anything else that goes wrong on the way, and an answer of 500 and more,
//     leaves the decision to the crash policy of the route.
//   - Requests without a key, and of other methods, are streamed both ways:
//     upgrades, events, trailers, informational answers, bodies of any size.
//   - The backend can trust the headers of Header*: copies that a client sent
//     are removed, also those that differ in "_" for "-" or in case.
//
// # What is not guaranteed
//
// The backend may act and die before it answers. Policy hold then holds the
// key, rerun sends the request again under the same operation id and a higher
// token, and reconcile asks Config.StatusURL. Bodies and answers of keyed
// requests are held in memory, within limits; answers beyond the limit, and
// event streams, reach the first client only.
package proxy
