package servers

import (
	"context"

	"github.com/onceward/onceward/postgres/pgtest"
)

// Postgres starts a PostgreSQL server that waits for the disk before it
// acknowledges. Its settings are the server's own defaults, but for the room
// for connections, buffers and log that a server of some use has.
func Postgres(ctx context.Context) (*pgtest.Server, error) {
	return pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{
		"fsync":              "on",
		"full_page_writes":   "on",
		"synchronous_commit": "on",
		"shared_buffers":     "256MB",
		"max_wal_size":       "4GB",
		"max_connections":    "300",
		"autovacuum_naptime": "1min",
		"deadlock_timeout":   "1s",
		"jit":                "on",
	}})
}
