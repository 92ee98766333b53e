// Package pgtest starts throwaway PostgreSQL servers for tests: real ones, from
// the binaries of the system, in a temporary directory, on a free loopback port.
//
// A test binary shares one server, and every test has a database of its own:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
//
//	func TestSomething(t *testing.T) {
//		dsn := pgtest.Database(t)
//
// Tests that stop, kill or replicate servers start their own with Start and
// Server.Standby.
//
// A server ends with the process that started it, also when that is killed.
// What is not guaranteed: durability. Unless Options say otherwise a server runs
// with fsync off: it survives being killed itself, and no power failure.
package pgtest
