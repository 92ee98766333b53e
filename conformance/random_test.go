package conformance_test

import (
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/sqlitestore"
)

// Two stores, one random sequence, equal histories. The memory store is the
// specification.
func TestMetamorphic(t *testing.T) {
	t.Parallel()
	for range 2 {
		oncetest.Metamorphic(t, 0, 600,
			func(*testing.T) onceward.Store { return memstore.New() },
			func(t *testing.T) onceward.Store { return openSQLite(t, sqlitestore.Config{}) },
		)
	}
}
