// Package onceward makes a write happen exactly once, however often its
// client retries and whatever crashes in between.
//
// An Engine runs an operation for the first request of a Key, records its
// answer in a Store, and gives every later request that answer:
//
//	eng, err := onceward.New(store, onceward.Config{})
//	go eng.Run(ctx) // sweeps and recovers
//	out, err := eng.Do(ctx, onceward.Request{Key: key, Fingerprint: hash}, handler)
//
// Inside a handler, Operation gives the fencing token, the attempt, and
// Checkpoint; Register names the Reconciler for a kind of operation; DoNatural
// joins requests with different keys that mean one operation; Resolve is the
// hand of a person; and Run, in one goroutine of every process, sweeps what has
// expired and recovers what a dead process left.
//
// # What is guaranteed
//
// For one Key the effect happens at most once, and once it has happened every
// request gets the original answer, for as long as the record lives (24 h by
// default). Between the two lies the moment in which a process can die after
// the effect and before its record; the CrashPolicy of the operation says what
// happens then, and it is never silently run again:
//
//   - Hold (the default): the key is HELD until a person decides.
//   - Reconcile: a Reconciler asks the world what happened, from the
//     checkpoints the dead attempt left. Nobody has to retry for that.
//   - Rerun: the handler runs again; choose it only where that is harmless.
//
// Safety rests on fencing tokens: every claim of a key raises its token, every
// write names it, and a stale owner's write is refused. Clocks decide only
// when somebody may try.
//
// # What is not guaranteed
//
// A handler that acts and then answers with an error, without a checkpoint,
// has said that nothing happened: its key is released and a retry runs it
// again. Make a checkpoint before the effect, or Conclude. An operation whose
// record has expired is a new operation; time-ordered keys (UUIDv7, ULID) are
// therefore refused once they are older than their retention. And the engine
// is as durable as its Store.
//
// Package oncehttp puts an Engine in front of an http.Handler.
package onceward
