package postgres

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
)

type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// lossRecheck is how often a store that refuses to write asks whether the loss
// was acknowledged.
const lossRecheck = time.Second

// Loss is one discovery that acknowledged writes are gone.
type Loss struct {
	ID       onceward.Owner
	Instance onceward.Owner // the store that noticed
	Detected time.Time
	// Detail names buckets, batches and the time in which they were
	// acknowledged.
	Detail string
	// Acknowledged is when an operator did; zero until then.
	Acknowledged time.Time
}

// Losses returns what stores have noticed, the newest first, at most 100.
func Losses(ctx context.Context, pool *pgxpool.Pool, schema string) ([]Loss, error) {
	schema = cmp.Or(schema, defaultSchema)
	if err := validSchema(schema); err != nil {
		return nil, err
	}
	rows, err := pool.Query(ctx, text("losses", schema))
	if err != nil {
		return nil, explain("reading losses", err)
	}
	losses, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Loss, error) {
		var l Loss
		var id, instance pgtype.UUID
		var acknowledged pgtype.Timestamptz
		err := row.Scan(&id, &instance, &l.Detected, &l.Detail, &acknowledged)
		l.ID, l.Instance, l.Acknowledged = id.Bytes, instance.Bytes, acknowledged.Time
		return l, err
	})
	return losses, explain("reading losses", err)
}

// AcknowledgeLosses lets all stores write again, once no loss is left that
// nobody has acknowledged. Before it, decide what to do about the operations
// that Losses speaks of: their clients have had an answer, and a retry would run
// them again. Name the losses that were looked at; none means all there are. It
// returns how many were acknowledged.
func AcknowledgeLosses(ctx context.Context, pool *pgxpool.Pool, schema string, losses ...onceward.Owner) (int, error) {
	schema = cmp.Or(schema, defaultSchema)
	if err := validSchema(schema); err != nil {
		return 0, err
	}
	var ids []pgtype.UUID
	for _, id := range losses {
		ids = append(ids, pgUUID(id))
	}
	ct, err := pool.Exec(ctx, text("loss_acknowledge", schema), time.Now(), ids)
	return int(ct.RowsAffected()), explain("acknowledging losses", err)
}

// Ready reports whether the store can write: an error says why not, and wraps
// ErrWritesLost after acknowledged writes were lost, whichever store noticed. Use
// it for a readiness probe.
func (s *Store) Ready(ctx context.Context) error {
	if s.closed.Load() {
		return ErrClosed
	}
	err := s.ready(ctx)
	if err != nil && judge(err) == faultConnection {
		err = s.ready(ctx) // the connection may have been of another time
	}
	return err
}

func (s *Store) ready(ctx context.Context) error {
	conn, err := s.writer.acquire(ctx)
	if err != nil {
		return explain("asking the server", err)
	}
	defer s.writer.release(conn)
	// New connections compare the counts; a pooler in between may have changed
	// servers under the ones we have.
	var standby bool
	err = conn.QueryRow(ctx, "SELECT pg_is_in_recovery()").Scan(&standby)
	if err == nil && standby {
		err = ErrReadOnly
	}
	if err == nil {
		err = s.writer.marks.check(ctx, conn.Conn())
	}
	if err == nil {
		err = s.writer.reconsider(ctx, conn.Conn(), true)
	}
	if err != nil {
		if !errors.Is(err, ErrWritesLost) {
			abandon(conn.Conn()) //nolint:contextcheck // whoever has gone
		}
		return explain("asking the server", err)
	}
	return s.writer.marks.writable()
}

// reconsider learns from the database whether losses were noticed elsewhere, or
// have been acknowledged since.
func (w *writer) reconsider(ctx context.Context, conn *pgx.Conn, now bool) error {
	m := w.marks
	m.mu.Lock()
	l := m.loss
	if l != nil && !now && time.Since(l.asked) < lossRecheck || l == nil && !now {
		m.mu.Unlock()
		return nil
	}
	var id onceward.Owner
	if l != nil {
		l.asked, id = time.Now(), l.id
	}
	m.mu.Unlock()
	m.record(ctx, conn)
	var open int
	var mine bool // still there, and acknowledged
	var detail *string
	if err := conn.QueryRow(ctx, w.sql.lossOpen, pgUUID(id)).Scan(&open, &mine, &detail); err != nil {
		return explain("reading losses", err)
	}
	switch {
	case l == nil && open > 0 && !w.cfg.DespiteLosses:
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.loss == nil {
			m.loss = &loss{id: onceward.NewOwner(), detail: *detail, foreign: true, recorded: true}
		}
	case l != nil && open == 0 && (l.foreign || mine):
		m.forget()
	}
	return nil
}
