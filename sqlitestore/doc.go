// Package sqlitestore keeps records in one SQLite file. It is the store for
// one machine: nothing to install, durable before it answers, inspectable with
// any SQLite tool.
//
// Bring a driver; the package imports none:
//
//	import _ "modernc.org/sqlite" // or any other driver for database/sql
//
//	db, err := sql.Open("sqlite", "onceward.db")
//	store, err := sqlitestore.Open(ctx, db, sqlitestore.Config{})
//	defer store.Close(ctx)
//
// # What is guaranteed
//
// Every write that was acknowledged is on the disk: the store sets journal_mode
// to WAL and synchronous to FULL itself, on the one connection that it keeps
// for writing, whatever the DSN says. A write that the disk had no room for is
// refused with ErrDiskFull, and the store goes on once there is room. Any
// number of processes on one machine may share the file; SQLite's lock puts
// their writes in turn, and a process that dies leaves nothing locked.
//
// Concurrent writes share commits (see Config.MaxBatch): under load one
// synchronisation with the disk serves hundreds of operations, a lone one never
// waits for company. Two operations on one key in one commit happen one after
// the other, in the order in which they arrived.
//
// Times are kept to the microsecond: the store behaves as if every time given
// to it were cut off there.
//
// # What is not guaranteed
//
// One disk is one disk: losing it loses the records. A network file system is
// refused where SQLite notices (WAL needs shared memory), and must not be used
// where it does not. A disk that acknowledges what it has not written loses
// what SQLite acknowledged.
//
// # Connections
//
// The store takes one connection out of the pool for itself and reads with the
// others, so the pool must allow at least two: do not SetMaxOpenConns(1). An
// in-memory database is refused, since every connection would see its own; use
// package memstore. Reading connections need no settings. To set some on every
// connection of the pool, use the driver's DSN.
package sqlitestore
