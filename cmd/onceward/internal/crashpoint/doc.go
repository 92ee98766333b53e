// Package crashpoint lets a torture campaign end a process at a named moment
// and set its clock wrong. It is empty in every binary that is not built with
// the tag "torture": Store, RPC and Now then return what they are given.
//
// With the tag, two environment variables are read at the start:
//
//   - ONCEWARD_CRASH_AT="after send=3" kills the process, as SIGKILL does, when
//     it passes the named point for the third time. The points are "before X"
//     and "after X" for every X that leaves the process: the calls of the store
//     (claim, renew, release, complete, hold, and "store" with a checkpoint's
//     name, such as "store attempt", "store proof", "store outcome" and
//     "store envelope") and of the chain (look, simulate, send, find, scan).
//   - ONCEWARD_CLOCK_SKEW="-10m" is added to every reading of the clock.
package crashpoint
