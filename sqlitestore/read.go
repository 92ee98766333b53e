package sqlitestore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/onceward/onceward"
)

// row is a record and its place in a listing.
type row struct {
	onceward.Record
	seq int64
}

// scanRow reads the columns that every SELECT of sql/ names in the same order.
func scanRow(from interface{ Scan(dest ...any) error }) (row, error) {
	var (
		r                                      row
		owner, header, body, checkpoints       []byte
		retention, claimedAt, lease, expiresAt int64
		completedAt, status                    sql.NullInt64
		tombstone                              bool
	)
	err := from.Scan(&r.seq, &r.Key.Scope, &r.Key.Value, &r.Status, &r.Token, &owner, &r.Attempt, &r.Kind, &r.Policy,
		&r.Fingerprint, &retention, &claimedAt, &lease, &completedAt, &expiresAt, &r.Reason,
		&status, &tombstone, &header, &body, &r.Detail, &checkpoints)
	if err != nil {
		return row{}, err
	}
	copy(r.Owner[:], owner)
	r.Retention = time.Duration(retention)
	r.ClaimedAt, r.LeaseUntil, r.ExpiresAt = moment(claimedAt), moment(lease), moment(expiresAt)
	if completedAt.Valid {
		r.CompletedAt = moment(completedAt.Int64)
	}
	if r.Checkpoints, err = decodeCheckpoints(checkpoints); err != nil {
		return row{}, err
	}
	if status.Valid {
		resp := onceward.Response{Status: int(status.Int64), Tombstone: tombstone, Body: body}
		if resp.Header, err = decodeHeader(header); err != nil {
			return row{}, err
		}
		r.Response = &resp
	}
	return r, nil
}

// sameKey guards against two keys of one id: the id is a hash.
func sameKey(stored, asked onceward.Key) error {
	if stored != asked {
		return fmt.Errorf("sqlitestore: the record %v belongs to another key; the row was changed from outside, or two keys have one id", asked.ID())
	}
	return nil
}

// read runs a query on a connection of the pool, again if the file was locked.
func (s *Store) read(ctx context.Context, query func() error) error {
	if s.closed.Load() {
		return ErrClosed
	}
	return retryBusy(ctx, s.cfg.BusyTimeout, query)
}

// byID returns the row, or ErrNotFound when it is absent or expired.
func (s *Store) byID(ctx context.Context, id onceward.ID, now time.Time) (row, error) {
	var r row
	err := s.read(ctx, func() (err error) {
		r, err = scanRow(s.get.QueryRowContext(ctx, id[:]))
		return err
	})
	switch {
	case errors.Is(err, sql.ErrNoRows) || err == nil && r.Expired(moment(micros(now))):
		return row{}, onceward.ErrNotFound
	case err != nil:
		return row{}, explain("reading", err)
	}
	return r, nil
}

// Get implements onceward.Store.
func (s *Store) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	r, err := s.byID(ctx, req.Key.ID(), req.Now)
	if err == nil {
		err = sameKey(r.Key, req.Key)
	}
	if err != nil {
		return onceward.Record{}, err
	}
	return r.Record, nil
}

// Find implements onceward.Finder.
func (s *Store) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	r, err := s.byID(ctx, req.ID, req.Now)
	return r.Record, err
}

// rows runs a listing.
func (s *Store) rows(ctx context.Context, name string, args ...any) ([]row, error) {
	var out []row
	err := s.read(ctx, func() error {
		out = nil
		rows, err := s.db.QueryContext(ctx, single(name), args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			r, err := scanRow(rows)
			if err != nil {
				return err
			}
			out = append(out, r)
		}
		return rows.Err()
	})
	return out, explain("listing", err)
}

func records(rows []row) []onceward.Record {
	var out []onceward.Record
	for i := range rows {
		out = append(out, rows[i].Record)
	}
	return out
}

// Lapsed implements onceward.LapsedLister.
func (s *Store) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	var kinds any // NULL selects all
	if req.Kinds != nil {
		b, err := json.Marshal(req.Kinds)
		if err != nil {
			return nil, fmt.Errorf("sqlitestore: kinds: %w", err)
		}
		kinds = string(b)
	}
	rows, err := s.rows(ctx, sqlLapsed, micros(req.Now), string(req.Policy), kinds, max(req.Limit, 0))
	return records(rows), err
}

// List implements onceward.Lister.
func (s *Store) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	before, err := parseCursor(req.Cursor)
	if err != nil {
		return onceward.ListResult{}, err
	}
	limit := max(req.Limit, 0)
	name := sqlList
	if req.Status == onceward.StatusHeld {
		name = sqlListHeld
	}
	var scope any // NULL selects all
	if req.Scope != nil {
		scope = *req.Scope
	}
	rows, err := s.rows(ctx, name, before, micros(req.Now), req.Kind, scope, string(req.Status), int64(limit)+1)
	if err != nil {
		return onceward.ListResult{}, err
	}
	var res onceward.ListResult
	if len(rows) > limit {
		rows = rows[:limit]
		if limit > 0 {
			res.Next = formatCursor(rows[limit-1].seq)
		}
	}
	res.Records = records(rows)
	return res, nil
}

func formatCursor(seq int64) string {
	return base64.RawURLEncoding.EncodeToString(strconv.AppendInt(nil, seq, 10))
}

// parseCursor returns the seq that everything to be listed is below.
func parseCursor(s string) (int64, error) {
	if s == "" {
		return math.MaxInt64, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err == nil {
		var seq int64
		if seq, err = strconv.ParseInt(string(b), 10, 64); err == nil && seq > 0 {
			return seq, nil
		}
	}
	return 0, errors.New("sqlitestore: the cursor is not one that List returned")
}

// Recall implements onceward.Recaller.
func (s *Store) Recall(key onceward.Key, now time.Time) *onceward.Record {
	rec := s.writer.cache.Shared(key.ID(), now)
	if rec == nil || rec.Key != key || s.closed.Load() {
		return nil
	}
	return rec
}
