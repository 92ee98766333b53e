// Package oncetest is the one suite that every onceward.Store must pass, and
// the tools to attack what is built on stores. It needs the standard library
// only, so that anyone's store can prove itself:
//
//	func TestStore(t *testing.T) {
//		oncetest.Run(t, func(t *testing.T) onceward.Store { return mystore.New() })
//	}
//
// Run holds every sentence of the contract in onceward.Store as a case of its
// own. Metamorphic plays one random sequence of operations, reproducible by its
// seed, on several stores and compares what they answer. Faulty makes the n-th
// call fail, before or after it took effect. Clients lets several clients work
// on one store at the same time, a Recorder writes their history down, and Check
// finds in it what may never happen.
//
// What is guaranteed: the suite never sleeps, never depends on the time of day
// and never skips; an optional ability that a store lacks is logged, or fails
// when it was required. Times are compared to the microsecond, the finest that
// a store must keep.
//
// What is not: durability. A suite that runs inside one process cannot see what
// a crash or a lost disk leaves behind.
package oncetest
