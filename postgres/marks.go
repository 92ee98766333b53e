package postgres

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/onceward/onceward"
)

// marks remembers how many batches the database has acknowledged to this store,
// in each bucket. The database keeps the same count in a row of this store's
// own, raised by every batch in its own transaction; if it is ever found lower,
// acknowledged writes are gone.
type marks struct {
	instance onceward.Owner

	mu    sync.Mutex
	acked []int64
	lost  error
}

func newMarks(buckets int) *marks {
	return &marks{instance: onceward.NewOwner(), acked: make([]int64, buckets)}
}

func (m *marks) acknowledged(bucket int) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.acked[bucket]
}

func (m *marks) acknowledge(t *transaction) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.acked[t.bucket] = max(m.acked[t.bucket], t.batch)
}

// writable returns why nothing may be written.
func (m *marks) writable() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.lost
}

// check compares the database's count of a bucket with our own.
func (m *marks) check(conn *pgx.Conn, sql *statements, bucket int) error {
	acked := m.acknowledged(bucket)
	if acked == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	var found int64
	err := conn.QueryRow(ctx, sql.marks, int16(bucket), pgUUID(m.instance)).Scan(&found) //nolint:gosec // below Slots
	if err != nil && err != pgx.ErrNoRows {                                              //nolint:errorlint // never wrapped
		return err
	}
	if found >= acked {
		return nil
	}
	return m.lose(bucket, acked, found)
}

func (m *marks) lose(bucket int, acked, found int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lost = fmt.Errorf("%w: bucket %d: batch %d was acknowledged, the database has %d (%v)", ErrWritesLost, bucket, acked, found, time.Now())
	return m.lost
}
