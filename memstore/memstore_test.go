package memstore_test

import (
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
)

func TestStore(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(*testing.T) onceward.Store { return memstore.New() }, oncetest.Abilities()...)
}
