package postgres_test

import (
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/postgres"
)

func TestContract(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(t *testing.T) onceward.Store {
		return open(t, database(t), postgres.Config{})
	}, oncetest.Abilities()...)
}
