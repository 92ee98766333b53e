package storage

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
)

// ErrWritesLost means that a store has noticed that acknowledged writes are
// gone, and writes nothing until an operator acknowledges that.
var ErrWritesLost = postgres.ErrWritesLost

// Loss is one discovery that acknowledged writes are gone.
type Loss struct {
	ID       onceward.Owner
	Database string // of several; which one
	Detected time.Time
	// Detail says what is lost: batches, how many operations, of what time.
	Detail       string
	Acknowledged time.Time // zero until then

	database *database
}

// losses returns what the databases have to say, what is open first.
func losses(ctx context.Context, all []*database) (out []Loss, err error) {
	for _, d := range all {
		found, err := postgres.Losses(ctx, d.pool, d.schema)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		for _, l := range found {
			out = append(out, Loss{
				ID: l.ID, Database: d.name, Detected: l.Detected, Detail: l.Detail, Acknowledged: l.Acknowledged, database: d,
			})
		}
	}
	slices.SortStableFunc(out, func(a, b Loss) int {
		if a.Acknowledged.IsZero() != b.Acknowledged.IsZero() {
			if a.Acknowledged.IsZero() {
				return -1
			}
			return 1
		}
		return b.Detected.Compare(a.Detected)
	})
	return out, nil
}

// acknowledge lets stores write again that refused because of these losses.
func acknowledge(ctx context.Context, all []*database, acknowledged []Loss) error {
	for _, d := range all {
		var ids []onceward.Owner
		for _, l := range acknowledged {
			if l.database == d {
				ids = append(ids, l.ID)
			}
		}
		if len(ids) == 0 {
			continue // no name would mean all of them
		}
		if _, err := postgres.AcknowledgeLosses(ctx, d.pool, d.schema, ids...); err != nil {
			return fmt.Errorf("%s: %w", d.name, err)
		}
	}
	return nil
}
