// Package oncehttp puts an onceward.Engine in front of an http.Handler: a
// request that carries an idempotency key is executed once, and every retry
// gets the first answer.
//
//	once, err := oncehttp.New(eng, oncehttp.Options{Scope: principal})
//	mux.Handle("POST /v1/orders", once(orders))
//
// # What is guaranteed
//
//   - The handler runs at most once for one scope and key, as Engine.Do
//     promises. No byte of a final answer leaves before its record is durable.
//   - A retry gets the original status, the body byte for byte, and the
//     headers that describe it, marked with Idempotent-Replayed: true.
//   - A key that comes back with another request is refused with 422, and the
//     answer names the parts that differ. The whole body counts, as it was
//     sent, unless Options say otherwise.
//   - A client that hangs up changes nothing: the handler's context goes on,
//     and its answer is recorded.
//   - If the store does not answer, the handler is not run.
//   - Requests of other methods, and requests without a key where it is
//     optional, are handed on untouched and cause no store traffic.
//
// # What is not guaranteed
//
//   - Authorization. The middleware belongs inside whatever authenticates and
//     authorizes, because it replays answers to whoever Options.Scope names.
//   - Side effects of a handler that answers 4xx or 5xx: without a checkpoint
//     that says that nothing happened, and the key is free again. See
//     onceward.Handler.
//   - Answers that are flushed, hijacked, or larger than
//     Config.MaxResponseBytes: they reach the first client, are never executed
//     again, and cannot be replayed. Trailers and informational answers reach
//     the first client only.
//   - Bodies that something further out has read: the middleware must see the
//     whole body, and refuses a request whose body is gone.
//
// Inside a guarded handler onceward.FromContext(r.Context()) gives the
// operation, to make checkpoints, to Conclude, or to hand its token on.
package oncehttp
