package postgres

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
)

const (
	// waterLag is how far behind the last sweep the next one begins. Records
	// that are committed late, or by a slow clock, still come after it.
	waterLag = 5 * time.Minute
	// waterLife is how long a sweep trusts the low-water mark, before it looks
	// at everything again.
	waterLife = time.Hour
	// marksLife is how long the row of a store that writes nothing is kept.
	marksLife = 30 * 24 * time.Hour
)

// sweeper keeps, for each bucket, up to where everything was deleted that could
// be: the index is not searched below, where deleted entries still lie.
type sweeper struct {
	mu    sync.Mutex
	water []waterMark
	rate  limiter
	total int64
}

type waterMark struct {
	due   time.Time
	since time.Time // when the whole index was last searched
}

// low returns where to begin in a bucket.
func (w *sweeper) low(bucket int, now time.Time) time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &w.water[bucket]
	if now.Sub(m.since) > waterLife || now.Before(m.since) {
		*m = waterMark{since: now}
	}
	return m.due
}

// swept notes that nothing more can be deleted that is due before a moment.
func (w *sweeper) swept(bucket int, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m := &w.water[bucket]
	if until = until.Add(-waterLag); until.After(m.due) {
		m.due = until
	}
}

// Sweep implements onceward.Sweeper. It deletes windows of due records, bucket
// after bucket, at no more than Config.SweepRate. Any number of stores may sweep
// at the same time: one leaves a bucket alone in which another is at work.
func (s *Store) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	if req.Limit <= 0 {
		return onceward.SweepResult{}, errors.New("postgres: Sweep needs a positive limit")
	}
	if s.closed.Load() {
		return onceward.SweepResult{}, ErrClosed
	}
	if err := s.writer.marks.writable(); err != nil {
		return onceward.SweepResult{}, err
	}
	limit, err := s.sweeper.rate.take(ctx, req.Limit)
	if err != nil {
		return onceward.SweepResult{}, fmt.Errorf("postgres: sweep: %w", err)
	}
	req.Now = cut(req.Now)
	var res onceward.SweepResult
	first := rand.N(s.layout.buckets) //nolint:gosec // spreads the instances
	for i := range s.layout.buckets {
		bucket := (first + i) % s.layout.buckets
		n, more, err := s.sweepPatiently(ctx, bucket, req.Now, limit-res.Deleted)
		res.Deleted += n
		if err != nil {
			return res, explain("sweeping", err)
		}
		if more || res.Deleted == limit {
			res.More = true
			break
		}
	}
	s.sweeper.rate.giveBack(limit - res.Deleted)
	s.sweeper.mu.Lock()
	s.sweeper.total += int64(res.Deleted)
	s.sweeper.mu.Unlock()
	return res, nil
}

// window is what a sweep deletes of a bucket at once: what is due after low and
// before high.
type window struct {
	bucket    int16
	low, high time.Time
	now       time.Time
	tie       bool // everything is due at high, and too much
	limit     int
	last      bool // nothing is left behind it
}

// sweepPatiently repeats what met claims of the same records in another order.
func (s *Store) sweepPatiently(ctx context.Context, bucket int, now time.Time, limit int) (deleted int, more bool, err error) {
	for attempt := 1; ; attempt++ {
		deleted, more, err = s.sweepBucket(ctx, bucket, now, limit)
		if err == nil || judge(err) != faultAgain || attempt == maxAttempts || !sleep(ctx, rand.N(50*time.Millisecond)) { //nolint:gosec // jitter
			return deleted, more, err
		}
	}
}

// sweepBucket deletes at most limit records of a bucket; more says that there
// may be others.
func (s *Store) sweepBucket(ctx context.Context, bucket int, now time.Time, limit int) (deleted int, more bool, err error) {
	conn, err := s.writer.acquire(ctx)
	if err != nil {
		return 0, false, err
	}
	defer s.writer.release(conn)
	w := window{bucket: int16(bucket), low: s.sweeper.low(bucket, now), now: now, limit: limit} //nolint:gosec // below Slots
	found, err := s.findWindow(ctx, conn, &w)
	if err != nil || !found {
		return 0, false, err
	}
	err = guarded(conn.Conn(), s.writer.timeout(), func(ctx context.Context) (err error) { //nolint:contextcheck // a commit is not cancelled
		deleted, err = s.deleteWindow(ctx, conn.Conn(), &w, func() {})
		return err
	})
	if err != nil {
		abandon(conn.Conn()) //nolint:contextcheck // whoever has gone
		return 0, false, err
	}
	if deleted > 0 && w.last {
		s.sweeper.swept(bucket, now)
	}
	return deleted, !w.last, nil
}

// findWindow looks how far the limit reaches. It reports false when nothing is
// due.
func (s *Store) findWindow(ctx context.Context, conn *pgxpool.Conn, w *window) (found bool, err error) {
	var n int
	var oldest, newest *time.Time
	err = conn.QueryRow(ctx, s.sql.sweepWindow, w.bucket, w.low, w.now, int64(w.limit)+1).Scan(&n, &oldest, &newest)
	switch {
	case err != nil:
		return false, err
	case n == 0:
		s.sweeper.swept(int(w.bucket), w.now)
		return false, nil
	case n <= w.limit:
		w.high, w.last = w.now.Add(time.Microsecond), true
	case newest.After(*oldest):
		w.high = *newest
	default:
		w.high, w.tie = *oldest, true
	}
	return true, nil
}

// deleteWindow deletes, and raises the floor of the tokens, in one transaction.
// A claim that comes to a key that is being deleted waits for its commit, and
// then sees the floor.
func (s *Store) deleteWindow(ctx context.Context, conn *pgx.Conn, w *window, beforeCommit func()) (deleted int, err error) {
	tx, err := conn.Begin(ctx)
	if err != nil {
		return 0, err
	}
	defer tx.Rollback(ctx) //nolint:errcheck // the first error says more
	var floor int64
	err = tx.QueryRow(ctx, s.sql.sweepLock, w.bucket).Scan(&floor)
	if errors.Is(err, pgx.ErrNoRows) {
		w.last = true // another store is at it
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	var rows pgx.Rows
	if w.tie {
		rows, err = tx.Query(ctx, s.sql.sweepTie, w.bucket, w.high, w.now, int64(w.limit))
	} else {
		rows, err = tx.Query(ctx, s.sql.sweep, w.bucket, w.low, w.high, w.now)
	}
	if err != nil {
		return 0, err
	}
	tokens, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return 0, err
	}
	for _, token := range tokens {
		floor = max(floor, token)
	}
	if _, err := tx.Exec(ctx, s.sql.sweepFloor, w.bucket, floor); err != nil {
		return 0, err
	}
	if _, err := tx.Exec(ctx, s.sql.sweepMarks, w.bucket, time.Now().Add(-marksLife)); err != nil {
		return 0, err
	}
	beforeCommit() // what a test does there
	return len(tokens), tx.Commit(ctx)
}

// Backlog is what waits for a sweep.
type Backlog struct {
	// Records that have expired and are not deleted yet; counted up to
	// MaxBacklog in each bucket.
	Records int
	// Oldest is when the first of them was due; zero when there is none.
	Oldest time.Time
	// Swept is how many this store has deleted since it was opened.
	Swept int64
}

// MaxBacklog bounds what Backlog counts in one bucket.
const MaxBacklog = 100_000

// Backlog measures what waits for a sweep at a moment. It reads the index of due
// records up to MaxBacklog in each bucket: call it once a minute, not once a
// second.
func (s *Store) Backlog(ctx context.Context, now time.Time) (Backlog, error) {
	s.sweeper.mu.Lock()
	out := Backlog{Swept: s.sweeper.total}
	s.sweeper.mu.Unlock()
	err := s.eachBucket(ctx, func(b *pgx.Batch, bucket int16) {
		b.Queue(s.sql.backlog, bucket, cut(now), int64(MaxBacklog)).QueryRow(func(r pgx.Row) error {
			var n int
			var oldest *time.Time
			if err := r.Scan(&n, &oldest); err != nil {
				return err
			}
			out.Records += n
			if oldest != nil && (out.Oldest.IsZero() || oldest.Before(out.Oldest)) {
				out.Oldest = oldest.UTC()
			}
			return nil
		})
	})
	return out, err
}
