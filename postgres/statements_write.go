package postgres

import (
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

// owned are the parameters that every write by an owner begins with.
type owned struct {
	ids, owners []pgtype.UUID
	tokens      []int64
}

func (c *owned) add(o *op) {
	c.ids, c.tokens, c.owners = append(c.ids, pgUUID(o.id)), append(c.tokens, o.by.Token), append(c.owners, pgUUID(o.by.Owner))
}

// queueWrites adds the statements of the operations that name their claim.
func (t *transaction) queueWrites(b *pgx.Batch) {
	t.queueUntil(b, t.w.sql.renew, t.byKind[kindRenew])
	t.queueUntil(b, t.w.sql.release, t.byKind[kindRelease])
	t.queueCheckpoints(b, t.byKind[kindCheckpoint])
	t.queueCompletions(b, t.byKind[kindComplete])
}

// queueUntil adds a statement with one time for each record.
func (t *transaction) queueUntil(b *pgx.Batch, sql string, ops []*op) {
	if len(ops) == 0 {
		return
	}
	var c owned
	var until []time.Time
	for _, o := range ops {
		c.add(o)
		until = append(until, o.until)
	}
	t.queueOwned(b, sql, &c, until)
}

func (t *transaction) queueCheckpoints(b *pgx.Batch, ops []*op) {
	if len(ops) == 0 {
		return
	}
	var c owned
	var blobs [][]byte
	var stamps []int64
	for _, o := range ops {
		c.add(o)
		blobs, stamps = append(blobs, o.blob), append(stamps, o.stamp)
	}
	t.queueOwned(b, t.w.sql.checkpoint, &c, blobs, stamps)
}

func (t *transaction) queueCompletions(b *pgx.Batch, ops []*op) {
	if len(ops) == 0 {
		return
	}
	var c completion
	for _, o := range ops {
		c.add(o)
	}
	t.queueOwned(b, t.w.sql.complete, &c.owned, c.list()...)
}

// queueOwned adds a statement that returns the ids of the rows it changed.
func (t *transaction) queueOwned(b *pgx.Batch, sql string, c *owned, more ...any) {
	args := append([]any{t.bucket, c.ids, c.tokens, c.owners}, more...)
	b.Queue(sql, args...).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var id pgtype.UUID
			if err := rows.Scan(&id); err != nil {
				return err
			}
			t.byID[id.Bytes].done = true
		}
		return rows.Err()
	})
}

// completion are the parameters of complete.sql.
type completion struct {
	owned
	status, reason     []string
	completed, expires []time.Time
	respStatus         []pgtype.Int4
	tombstone          []bool
	header, body       [][]byte
}

func (c *completion) add(o *op) {
	c.owned.add(o)
	r := &o.end
	c.status, c.reason = append(c.status, string(r.Status)), append(c.reason, r.Reason)
	c.completed, c.expires = append(c.completed, r.Now), append(c.expires, r.ExpiresAt)
	var status pgtype.Int4
	var tombstone bool
	var header, body []byte
	if resp := r.Response; resp != nil {
		status = pgtype.Int4{Int32: int32(resp.Status), Valid: true} //nolint:gosec // checked by Complete
		tombstone, header, body = resp.Tombstone, o.blob, resp.Body
	}
	c.respStatus, c.tombstone = append(c.respStatus, status), append(c.tombstone, tombstone)
	c.header, c.body = append(c.header, header), append(c.body, body)
}

// list returns those beyond the claim.
func (c *completion) list() []any {
	return []any{c.status, c.reason, c.completed, c.expires, c.respStatus, c.tombstone, c.header, c.body}
}

// queueReads adds the statement that reads records for answers.
func (t *transaction) queueReads(b *pgx.Batch, ops []*op) {
	var ids []pgtype.UUID
	for _, o := range ops {
		ids = append(ids, pgUUID(o.id))
	}
	b.Queue(t.w.sql.read, t.bucket, ids).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			r, err := scanRow(rows)
			if err != nil {
				return err
			}
			o := t.byID[r.id]
			o.done, o.rec = true, r
		}
		return rows.Err()
	})
}
