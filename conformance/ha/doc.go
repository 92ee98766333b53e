// Package ha proves what the PostgreSQL store says about servers that fail: on
// a primary with two standbys whose processes are killed, on one that Patroni
// guards, and over connections that break, stall and end half-way. It holds
// tests only, in a module of its own, so that nobody else needs their
// dependencies.
package ha
