package postgres

import (
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/codec"
)

// row is a record and its place in a listing.
type row struct {
	onceward.Record
	id  onceward.ID
	seq int64
}

// cut is what comes back for t once it was stored.
func cut(t time.Time) time.Time { return time.UnixMicro(t.UnixMicro()).UTC() }

func pgUUID[T ~[16]byte](id T) pgtype.UUID { return pgtype.UUID{Bytes: id, Valid: true} }

// scanRow reads the columns that read.sql and list.sql name in the same order.
func scanRow(rows pgx.Rows) (row, error) {
	var (
		r                           row
		id, owner                   pgtype.UUID
		completedAt                 pgtype.Timestamptz
		retention                   int64
		status                      pgtype.Int4
		tombstone                   bool
		header, body, checkpoints   []byte
		claimedAt, lease, expiresAt time.Time
	)
	err := rows.Scan(&r.seq, &id, &r.Key.Scope, &r.Key.Value, &r.Status, &r.Token, &owner, &r.Attempt, &r.Kind, &r.Policy,
		&r.Fingerprint, &retention, &claimedAt, &lease, &completedAt, &expiresAt, &r.Reason,
		&status, &tombstone, &header, &body, &r.Detail, &checkpoints)
	if err != nil {
		return row{}, err
	}
	r.id, r.Owner = id.Bytes, owner.Bytes
	r.Retention = time.Duration(retention)
	r.ClaimedAt, r.LeaseUntil, r.ExpiresAt = claimedAt.UTC(), lease.UTC(), expiresAt.UTC()
	if completedAt.Valid {
		r.CompletedAt = completedAt.Time.UTC()
	}
	if r.Checkpoints, err = codec.DecodeCheckpoints(checkpoints); err != nil {
		return row{}, damaged(r.id, err)
	}
	if status.Valid {
		resp := onceward.Response{Status: int(status.Int32), Tombstone: tombstone, Body: body}
		if resp.Header, err = codec.DecodeHeader(header); err != nil {
			return row{}, damaged(r.id, err)
		}
		r.Response = &resp
	}
	return r, nil
}

func damaged(id onceward.ID, err error) error {
	return fmt.Errorf("postgres: the record %v was changed from outside: %w", id, err)
}
