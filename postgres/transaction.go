package postgres

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/onceward/onceward"
)

// transaction is one attempt at a wave of operations, all of one bucket.
type transaction struct {
	w      *writer
	bucket int16
	ops    []*op
	byKind [kinds][]*op
	byID   map[onceward.ID]*op
	// What the transaction found, true once it has committed.
	instance onceward.Owner
	expected int64 // what the database must have counted before
	batch    int64 // its number by the database's count, 0 when it was not counted
}

func newTransaction(w *writer, ops []*op) *transaction {
	t := &transaction{w: w, bucket: int16(ops[0].bucket), ops: ops, byID: make(map[onceward.ID]*op, len(ops))} //nolint:gosec // below Slots
	for _, o := range ops {
		o.reset()
		if o.stamp == 0 { // here, where operations on one record come in their order
			o.stamp = w.clock.next()
		}
		t.byKind[o.kind] = append(t.byKind[o.kind], o)
		t.byID[o.id] = o
	}
	return t
}

// writes reports whether anything but reads is in it.
func (t *transaction) writes() bool { return len(t.byKind[kindRead]) < len(t.ops) }

// ended returns the operations that the transaction has ended.
func (t *transaction) ended() (ids []onceward.ID) {
	for _, k := range []kind{kindComplete, kindRelease} {
		for _, o := range t.byKind[k] {
			if o.done {
				ids = append(ids, o.id)
			}
		}
	}
	return ids
}

// minToken is the lowest token that its claims propose.
func (t *transaction) minToken() int64 {
	low := int64(math.MaxInt64)
	for _, k := range []kind{kindClaim, kindClaimHeld} {
		for _, o := range t.byKind[k] {
			low = min(low, o.claim.Token)
		}
	}
	return low
}

// run sends everything in one round trip.
func (t *transaction) run(conn *pgx.Conn, timeout time.Duration) error {
	return send(conn, timeout, t.queue)
}

// queue adds the statements. Reads come first: who lost a claim is answered
// with the record as it was before the owner gave it up, instead of claiming
// again and again. The one that counts the batch comes last: it undoes the
// others when they must not be.
func (t *transaction) queue(b *pgx.Batch) {
	if ops := t.byKind[kindRead]; len(ops) > 0 {
		t.queueReads(b, ops)
	}
	if ops := t.byKind[kindClaim]; len(ops) > 0 {
		t.queueClaims(b, t.w.sql.claim, ops)
	}
	if ops := t.byKind[kindClaimHeld]; len(ops) > 0 {
		t.queueClaims(b, t.w.sql.claimHeld, ops)
	}
	t.queueWrites(b)
	if t.writes() && !t.w.unmarked {
		t.queueMark(b)
	}
}

// queueMark counts the batch in the row of this store.
func (t *transaction) queueMark(b *pgx.Batch) {
	now := time.Now()
	t.instance, t.expected = t.w.marks.expected(int(t.bucket))
	instance := pgUUID(t.instance)
	var q *pgx.QueuedQuery
	if t.expected == 0 {
		q = b.Queue(t.w.sql.markFirst, t.bucket, instance, t.minToken(), now)
	} else {
		q = b.Queue(t.w.sql.mark, t.bucket, instance, t.expected, t.minToken(), now)
	}
	t.batch = 0
	q.Query(func(rows pgx.Rows) error {
		for rows.Next() {
			if err := rows.Scan(&t.batch); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// runCarefully is for when the batch was undone: it finds out whether writes
// were lost, and otherwise chooses tokens above everything that was ever swept.
// The lock keeps sweepers out until the claims are committed.
func (t *transaction) runCarefully(conn *pgx.Conn, timeout time.Duration) error {
	rollback(conn)
	if err := t.w.check(conn); err != nil {
		return err
	}
	for _, o := range t.ops {
		o.reset()
	}
	return guarded(conn, timeout, func(ctx context.Context) error {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return err
		}
		var floor int64
		if err := tx.QueryRow(ctx, t.w.sql.floor, t.bucket).Scan(&floor); err != nil {
			return fmt.Errorf("reading the bucket's token: %w", err)
		}
		for _, k := range []kind{kindClaim, kindClaimHeld} {
			for _, o := range t.byKind[k] {
				o.claim.Token = max(o.claim.Token, floor+1)
			}
		}
		b := &pgx.Batch{}
		t.queue(b)
		if err := tx.SendBatch(ctx, b).Close(); err != nil {
			return err
		}
		return tx.Commit(ctx)
	})
}
