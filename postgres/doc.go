// Package postgres keeps records in PostgreSQL 14 or newer: the store for many
// processes that share one table.
//
//	pool, err := pgxpool.New(ctx, "postgres://app@db1,db2/app?target_session_attrs=read-write")
//	store, err := postgres.Open(ctx, pool, postgres.Config{})
//	defer store.Close(ctx)
//
// The tables are made beforehand, by Migrate or with the SQL of MigrationSQL,
// usually by another role than the one that runs (see MigrateConfig.Grant).
//
// # What is guaranteed
//
// A write that was acknowledged is committed; where the server waits for
// synchronous standbys, it is on them, too. No caller's context can cut that
// wait short: the store writes on connections and under contexts of its own, and
// treats a commit whose wait was cancelled on the server as unknown. Answers
// come from rows that the store has locked in a transaction which committed, and
// therefore never from data that only the primary has.
//
// Concurrent operations share commits: one statement of a kind and one
// transaction for everything that waited while the batch before was committed,
// see Config.Writers. Where callers are seen to come back at once, a batch waits
// for them, for a quarter of the last commit's time at most. An operation whose
// outcome is unknown, because the connection broke, is asked for again with the
// same claim.
//
// The store notices when acknowledged writes are gone, because a standby that
// lacked them was promoted or an old backup restored: it then refuses every
// write, see Store.Ready and ErrWritesLost.
//
// Times are kept to the microsecond, and come from the callers.
//
// # What is not guaranteed
//
// A server is as durable as it is set up to be: with fsync off, or with
// asynchronous standbys of which one is promoted, acknowledged writes can be
// lost; the store notices if it was running then. It is not told about a loss
// that happened while no store was running.
//
// # Connections
//
// The store takes the settings of the pool and opens connections of its own:
// Config.Writers to write and read, one more for sweeping and wake-ups, and one
// for each operation with a transaction of its own. The pool itself serves the
// listings of operators. It works behind PgBouncer in transaction mode; before
// PgBouncer 1.21 that needs default_query_exec_mode=cache_describe in the
// connection string, because prepared statements do not survive there.
package postgres
