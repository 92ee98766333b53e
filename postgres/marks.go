package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/onceward/onceward"
)

// marks remembers how many batches the database has acknowledged to this store,
// in each bucket. The database keeps the same count in a row of this store's
// own, which every batch raises in its own transaction. What is committed is
// lost from its end: if the count is ever below what was acknowledged, the
// batches in between are gone, and with them whatever other stores committed
// since then.
//
// The count is compared by every batch in passing, and whenever a connection was
// made: by then the server may be another one.
type marks struct {
	sql *statements

	mu       sync.Mutex
	instance onceward.Owner
	acked    []acked
	loss     *loss
}

// acked is what was acknowledged in one bucket.
type acked struct {
	batch int64
	at    time.Time
	last  [256]ack // by batch number, the newest; to say what is lost
}

type ack struct {
	batch int64
	at    time.Time
	ops   int
}

// loss is why nothing may be written.
type loss struct {
	id       onceward.Owner
	detail   string
	foreign  bool // noticed by another store
	recorded bool // in the database, where somebody can acknowledge it
	asked    time.Time
}

func newMarks(sql *statements, buckets int) *marks {
	return &marks{sql: sql, instance: onceward.NewOwner(), acked: make([]acked, buckets)}
}

// expected returns what the database must have counted in a bucket, at least;
// 0 when it need not know us.
func (m *marks) expected(bucket int) (instance onceward.Owner, batch int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &m.acked[bucket]
	if a.batch > 0 && time.Since(a.at) > marksLife-24*time.Hour {
		a.batch = 0 // a sweep may have deleted the row of so idle a store
	}
	return m.instance, a.batch
}

func (m *marks) acknowledge(t *transaction) {
	if !t.writes() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	a := &m.acked[t.bucket]
	if t.instance != m.instance || t.batch <= a.batch {
		return
	}
	a.batch, a.at = t.batch, time.Now()
	a.last[a.batch%int64(len(a.last))] = ack{a.batch, a.at, len(t.ops)}
}

// writable returns why nothing may be written.
func (m *marks) writable() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loss == nil {
		return nil
	}
	return fmt.Errorf("%w: %s; nothing is written until an operator acknowledges it: see `onceward losses list`, or postgres.Losses", ErrWritesLost, m.loss.detail)
}

// check compares the database's counts with our own.
func (m *marks) check(ctx context.Context, conn *pgx.Conn) error {
	if m.writable() != nil {
		return nil // known
	}
	b := &pgx.Batch{}
	lost := make(map[int]int64)
	var instance onceward.Owner
	for bucket := range m.acked {
		var expected int64
		if instance, expected = m.expected(bucket); expected == 0 {
			continue
		}
		b.Queue(m.sql.marks, int16(bucket), pgUUID(instance)).QueryRow(func(row pgx.Row) error {
			var found int64
			if err := row.Scan(&found); err != nil && !errors.Is(err, pgx.ErrNoRows) {
				return err
			}
			if found < expected {
				lost[bucket] = found
			}
			return nil
		})
	}
	if b.Len() == 0 {
		return nil
	}
	if err := conn.SendBatch(ctx, b).Close(); err != nil {
		return err
	}
	if len(lost) == 0 {
		return nil
	}
	m.lose(instance, lost)
	m.record(ctx, conn)
	return m.writable()
}

// lose notes that the database has counted fewer batches than it acknowledged.
func (m *marks) lose(instance onceward.Owner, found map[int]int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.loss != nil || instance != m.instance {
		return
	}
	var parts []string
	for bucket := range m.acked {
		if n, ok := found[bucket]; ok {
			parts = append(parts, fmt.Sprintf("bucket %d: %s", bucket, m.acked[bucket].missing(n)))
		}
	}
	m.loss = &loss{id: onceward.NewOwner(), detail: strings.Join(parts, "; ")}
}

// missing says what is lost when the database has counted only to found.
func (a *acked) missing(found int64) string {
	var first, last time.Time
	ops := 0
	for _, k := range a.last {
		if k.batch <= found {
			continue
		}
		ops += k.ops
		if first.IsZero() || k.at.Before(first) {
			first = k.at
		}
		if k.at.After(last) {
			last = k.at
		}
	}
	return fmt.Sprintf("batches %d to %d are gone, at least %d operations acknowledged from %s to %s",
		found+1, a.batch, ops, first.UTC().Format(time.RFC3339Nano), last.UTC().Format(time.RFC3339Nano))
}

// record writes the loss where other stores and operators find it.
func (m *marks) record(ctx context.Context, conn execer) {
	m.mu.Lock()
	defer m.mu.Unlock()
	l := m.loss
	if l == nil || l.recorded {
		return
	}
	_, err := conn.Exec(ctx, m.sql.lossInsert, pgUUID(l.id), pgUUID(m.instance), time.Now(), l.detail)
	l.recorded = err == nil // otherwise again, see Store.reconsider
}

// forget begins anew under another name, after a loss was acknowledged.
func (m *marks) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loss, m.instance = nil, onceward.NewOwner()
	clear(m.acked)
}
