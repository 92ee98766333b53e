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

// writer commits batches on the store's own connections.
type writer struct {
	pool  *pgxpool.Pool
	sql   *statements
	cfg   Config
	marks *marks
	clock clock
	grown growth
	ended func(ids ...onceward.ID) // told of what has ended, see wakeups

	unmarked bool // batches are not counted: a benchmark's, to see what that costs

	mu      sync.Mutex
	patient int                // timeouts in a row
	busy    map[*pgx.Conn]bool // connections in use
}

func newWriter(pool *pgxpool.Pool, cfg Config, sql *statements, buckets int) (*writer, error) {
	w := &writer{sql: sql, cfg: cfg, marks: newMarks(sql, buckets), busy: make(map[*pgx.Conn]bool)}
	var err error
	w.pool, err = newOwnPool(pool, cfg.Writers+1, w.marks, &w.grown)
	return w, err
}

const (
	maxAttempts = 4
	firstPause  = 5 * time.Millisecond
)

// commit makes a batch durable, in as many transactions as it needs, usually
// one. It decides every operation by itself and returns nil.
func (w *writer) commit(ctx context.Context, batch []*op) error {
	for rest := batch; len(rest) > 0; {
		var now, followers []*op
		now, followers, rest = wave(rest)
		if err := w.settle(ctx, now); err != nil {
			for _, o := range now {
				o.reset()
				o.err = err
			}
		}
		for _, o := range followers {
			o.follow()
		}
	}
	return nil
}

// settle commits one wave, again if that may help. Every operation may be
// repeated: it names its claim, and a claim names its owner.
func (w *writer) settle(ctx context.Context, ops []*op) error {
	pause := firstPause
	for attempt := 1; ; attempt++ {
		err := w.attempt(ops) //nolint:contextcheck // a batch outlives its callers, and is not cancelled
		if err == nil {
			return nil
		}
		why := judge(err)
		if why == faultData && len(ops) > 1 {
			// One of them cannot be stored. It must not take the others along.
			for _, o := range ops {
				if o.err = w.settle(ctx, []*op{o}); o.err != nil {
					o.done = false
				}
			}
			return nil
		}
		if why == faultConnection {
			for _, o := range ops {
				o.unsure = true
			}
		}
		if why != faultAgain && why != faultConnection || attempt == maxAttempts || errors.Is(err, ErrUnsure) {
			return explain("writing", err)
		}
		if !sleep(ctx, pause+rand.N(pause)) { //nolint:gosec // jitter
			return explain("writing", err)
		}
		pause *= 2
	}
}

// attempt runs the operations in one transaction.
func (w *writer) attempt(ops []*op) error {
	conn, err := w.acquire(context.Background())
	if err != nil {
		return err
	}
	defer w.release(conn)
	if err := w.permitted(conn.Conn()); err != nil {
		return err
	}
	timeout := w.timeout()
	t := newTransaction(w, ops)
	err = t.run(conn.Conn(), timeout)
	if codeOf(err) == codeDivisionByZero {
		err = t.runCarefully(conn.Conn(), timeout)
	}
	w.timed(err)
	if err == nil && t.writes() && t.batch == 0 && !w.unmarked {
		err = w.uncounted(conn.Conn(), t)
	}
	switch {
	case err == nil:
		w.marks.acknowledge(t)
		w.grown.ops.Add(int64(len(ops)))
		w.ended(t.ended()...)
	case errors.Is(err, ErrUnsure) || judge(err) == faultConnection:
		abandon(conn.Conn())
	default:
		rollback(conn.Conn())
	}
	return err
}

// sleep waits for d and reports whether ctx is still alive.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// uncounted is for a batch that was committed without being counted, because a
// row is gone. Its operations are told that nobody knows.
func (w *writer) uncounted(conn *pgx.Conn, t *transaction) error {
	if t.expected == 0 {
		return fmt.Errorf("%w: onceward_buckets has no bucket %d; it was changed from outside", ErrSchema, t.bucket)
	}
	w.marks.lose(t.instance, map[int]int64{int(t.bucket): 0})
	return errors.Join(w.permitted(conn), ErrWritesLost)
}

// permitted returns why nothing may be written on a connection that is there,
// after asking whether that has changed.
func (w *writer) permitted(conn *pgx.Conn) error {
	if w.marks.writable() == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if err := w.reconsider(ctx, conn, false); err != nil {
		return err
	}
	return w.marks.writable()
}

// check compares counts outside of a connection's beginning.
func (w *writer) check(conn *pgx.Conn) error {
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	return w.marks.check(ctx, conn)
}

func (w *writer) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := w.pool.Acquire(ctx)
	if err != nil {
		return nil, &connectError{err}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.busy[conn.Conn()] = true
	return conn, nil
}

func (w *writer) release(conn *pgxpool.Conn) {
	w.mu.Lock()
	delete(w.busy, conn.Conn())
	w.mu.Unlock()
	conn.Release()
}

// cutOff ends the connections on which something is still going on.
func (w *writer) cutOff() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for conn := range w.busy {
		wireOf(conn).expired.Store(true)
		_ = conn.PgConn().Conn().Close() // its user finds out
	}
}

// timeout is longer the more often in a row the server did not answer.
func (w *writer) timeout() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return min(w.cfg.WriteTimeout<<w.patient, 10*w.cfg.WriteTimeout)
}

func (w *writer) timed(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err == nil:
		w.patient = 0
	case errors.Is(err, ErrUnsure):
		w.patient = min(w.patient+1, 4)
	}
}

// connectError means that there was no connection: nothing was sent.
type connectError struct{ err error }

func (e *connectError) Error() string { return "postgres: connecting: " + e.err.Error() }
func (e *connectError) Unwrap() error { return e.err }

// judge is classify for what attempt returns.
func judge(err error) fault {
	if _, ok := errors.AsType[*connectError](err); ok {
		return faultFinal // whoever asked can ask again
	}
	if errors.Is(err, ErrWritesLost) || errors.Is(err, ErrSchema) {
		return faultFinal
	}
	return classify(err)
}

// rollback ends a failed transaction, so that its connection can go on.
func rollback(conn *pgx.Conn) {
	if conn.IsClosed() {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), connectTimeout)
	defer cancel()
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		abandon(conn)
	}
}
