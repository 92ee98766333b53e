package postgres

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/onceward/onceward"
)

// eachBucket runs one query per bucket, all in one round trip on a connection
// of the pool. A query that names one bucket is cheap on every engine.
func (s *Store) eachBucket(ctx context.Context, queue func(b *pgx.Batch, bucket int16)) error {
	if s.closed.Load() {
		return ErrClosed
	}
	b := &pgx.Batch{}
	for bucket := range s.layout.buckets {
		queue(b, int16(bucket))
	}
	return explain("listing", s.pool.SendBatch(ctx, b).Close())
}

// Lapsed implements onceward.LapsedLister.
func (s *Store) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	if req.Limit <= 0 || req.Kinds != nil && len(req.Kinds) == 0 {
		return nil, nil
	}
	type found struct {
		id    onceward.ID
		lease time.Time
	}
	var all []found
	err := s.eachBucket(ctx, func(b *pgx.Batch, bucket int16) {
		b.Queue(s.sql.lapsed, bucket, req.Now, string(req.Policy), req.Kinds, int64(req.Limit)).Query(func(rows pgx.Rows) error {
			for rows.Next() {
				var id pgtype.UUID
				var f found
				if err := rows.Scan(&id, &f.lease); err != nil {
					return err
				}
				f.id = id.Bytes
				all = append(all, f)
			}
			return rows.Err()
		})
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b found) int { return a.lease.Compare(b.lease) })
	var out []onceward.Record
	for _, f := range all[:min(len(all), req.Limit)] {
		r, err := s.byID(ctx, f.id, req.Now)
		switch {
		case errors.Is(err, onceward.ErrNotFound):
		case err != nil:
			return nil, err
		case r.Lapsed(cut(req.Now)): // and not taken over or ended since
			out = append(out, r.Record)
		}
	}
	return out, nil
}

// List implements onceward.Lister.
func (s *Store) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	before, err := parseCursor(req.Cursor)
	if err != nil {
		return onceward.ListResult{}, err
	}
	limit := max(req.Limit, 0)
	rows, err := s.list(ctx, &req, before, limit+1)
	if err != nil {
		return onceward.ListResult{}, err
	}
	return page(rows, limit), nil
}

// list returns the first rows of every bucket that come before a place.
func (s *Store) list(ctx context.Context, req *onceward.ListRequest, before row, limit int) (rows []row, err error) {
	sql := s.sql.list
	if req.Status == onceward.StatusHeld {
		sql = s.sql.listHeld
	}
	err = s.eachBucket(ctx, func(b *pgx.Batch, bucket int16) {
		b.Queue(sql, bucket, before.seq, pgUUID(before.id), req.Now, req.Kind, req.Scope, string(req.Status), int64(limit)).
			Query(func(found pgx.Rows) error {
				for found.Next() {
					r, err := scanRow(found)
					if err != nil {
						return err
					}
					rows = append(rows, r)
				}
				return found.Err()
			})
	})
	return rows, err
}

// page makes a page of rows of which there is one more than the limit if another
// page follows.
func page(rows []row, limit int) (res onceward.ListResult) {
	slices.SortFunc(rows, func(a, b row) int {
		return cmp.Or(cmp.Compare(b.seq, a.seq), bytes.Compare(b.id[:], a.id[:]))
	})
	if len(rows) > limit {
		rows = rows[:limit]
		if limit > 0 {
			res.Next = formatCursor(rows[limit-1])
		}
	}
	for i := range rows {
		res.Records = append(res.Records, rows[i].Record)
	}
	return res
}

// A cursor is the place of the last record shown.
func formatCursor(r row) string {
	return base64.RawURLEncoding.EncodeToString(append(binary.BigEndian.AppendUint64(nil, uint64(r.seq)), r.id[:]...)) //nolint:gosec // back again in parseCursor
}

// parseCursor returns the place that everything to be listed is before.
func parseCursor(s string) (row, error) {
	if s == "" {
		return row{seq: math.MaxInt64}, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != 24 {
		return row{}, errors.New("postgres: the cursor is not one that List returned")
	}
	return row{seq: int64(binary.BigEndian.Uint64(b)), id: onceward.ID(b[8:])}, nil //nolint:gosec // from formatCursor
}
