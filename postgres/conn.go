package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// wire is what the store knows of one of its own connections.
type wire struct {
	connected atomic.Bool
	unsure    atomic.Bool // the server stopped waiting for its standbys
	expired   atomic.Bool // we closed it, because the server did not answer
	born      int64       // how many operations the store had seen by then
}

// growth counts the operations of a store. The server plans a statement when a
// connection first uses it, by the size that the table has then: on an empty
// table it reads all of it, and goes on to do so when it has grown. Connections
// are therefore replaced when the store has done as much again as it had before
// them, about twenty times in all.
type growth struct{ ops atomic.Int64 }

const (
	growthStep = 500
	growthEnd  = 10_000_000 // by then the table has been analysed
)

func (g *growth) outgrown(w *wire) bool {
	ops := g.ops.Load()
	return w.born < growthEnd && ops > 2*w.born+growthStep
}

const wireKey = "github.com/onceward/onceward/postgres"

func wireOf(conn *pgx.Conn) *wire {
	w, ok := conn.PgConn().CustomData()[wireKey].(*wire)
	if !ok { // not a connection of newOwnPool
		w = &wire{}
		conn.PgConn().CustomData()[wireKey] = w
	}
	return w
}

const connectTimeout = 10 * time.Second

// newOwnPool makes a pool of the store's own with the settings of the caller's:
// the same server and hooks, watched more closely. A new connection may lead to
// another server, and so the first thing it does is to look for lost writes.
func newOwnPool(pool *pgxpool.Pool, conns int, m *marks, g *growth) (*pgxpool.Pool, error) {
	cfg := pool.Config()
	cfg.MaxConns, cfg.MinConns, cfg.MinIdleConns = int32(conns), 0, 0 //nolint:gosec // validated to be small
	before := cfg.BeforeConnect
	cfg.BeforeConnect = func(ctx context.Context, cc *pgx.ConnConfig) error {
		if before != nil {
			if err := before(ctx, cc); err != nil {
				return err
			}
		}
		watch(cc)
		return nil
	}
	after := cfg.AfterConnect
	cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		if after != nil {
			if err := after(ctx, conn); err != nil {
				return err
			}
		}
		wireOf(conn).born = g.ops.Load()
		if err := m.check(ctx, conn); !errors.Is(err, ErrWritesLost) {
			return err
		}
		return nil // the connection is good, what is written on it is not: see writer.permitted
	}
	release := cfg.AfterRelease
	cfg.AfterRelease = func(conn *pgx.Conn) bool {
		return !g.outgrown(wireOf(conn)) && (release == nil || release(conn))
	}
	// Its context ends nothing but the making of minimum connections.
	own, err := pgxpool.NewWithConfig(context.Background(), cfg)
	if err != nil {
		return nil, fmt.Errorf("postgres: the pool's settings: %w", err)
	}
	return own, nil
}

// watch makes cc report what the server says on its connection, keeps the
// driver from cancelling statements on the server, and notices dead peers.
func watch(cc *pgx.ConnConfig) {
	w := &wire{}
	if cc.ConnectTimeout == 0 {
		cc.ConnectTimeout = connectTimeout
	}
	notice := cc.OnNotice
	cc.OnNotice = func(conn *pgconn.PgConn, n *pgconn.Notice) {
		if abandonsStandbys(n) {
			w.unsure.Store(true)
		}
		if notice != nil {
			notice(conn, n)
		}
	}
	after := cc.AfterConnect
	cc.AfterConnect = func(ctx context.Context, conn *pgconn.PgConn) error {
		conn.CustomData()[wireKey] = w
		w.connected.Store(true)
		if after != nil {
			return after(ctx, conn)
		}
		return nil
	}
	dial := cc.DialFunc
	cc.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if w.connected.Load() {
			// A second dial is the driver's wish to cancel. A commit that
			// waits for standbys must not be: it would count as done.
			return nil, errors.New("postgres: statements are not cancelled")
		}
		conn, err := dial(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok && err == nil {
			err = tcp.SetKeepAliveConfig(net.KeepAliveConfig{
				Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 4,
			})
		}
		return conn, err
	}
}

// abandonsStandbys recognises "canceling wait for synchronous replication": the
// transaction has committed on this server and maybe on no other. The message
// may be translated; the routine that sends it is not.
func abandonsStandbys(n *pgconn.Notice) bool {
	return n.Routine == "SyncRepWaitForLSN" || strings.Contains(n.Message, "synchronous replication")
}

// genericPlans keeps the server from planning a statement again for a small
// batch: that takes it longer than the batch, and comes to the same plan.
const genericPlans = "SET LOCAL plan_cache_mode = force_generic_plan"

// send runs the queued statements as one transaction in one round trip. Any
// error but one that classify knows means that the outcome is unknown.
//
// No context can end it: the caller's must not, and the driver would cancel the
// statement on the server. After the timeout the connection is closed without a
// word, and the server goes on or not.
func send(conn *pgx.Conn, timeout time.Duration, queue func(b *pgx.Batch)) error {
	b := &pgx.Batch{}
	b.Queue("BEGIN")
	b.Queue(genericPlans)
	queue(b)
	b.Queue("COMMIT").Exec(func(ct pgconn.CommandTag) error {
		if ct.String() != "COMMIT" {
			return errors.New("postgres: the server answered COMMIT with " + ct.String())
		}
		return nil
	})
	return guarded(conn, timeout, func(ctx context.Context) error {
		return conn.SendBatch(ctx, b).Close()
	})
}

// guarded runs do on a connection under the rules of send.
func guarded(conn *pgx.Conn, timeout time.Duration, do func(ctx context.Context) error) error {
	w := wireOf(conn)
	w.unsure.Store(false)
	timer := time.AfterFunc(timeout, func() {
		w.expired.Store(true)
		_ = conn.PgConn().Conn().Close() // whoever uses it finds out
	})
	err := do(context.Background())
	timer.Stop()
	switch {
	case w.expired.Load():
		return errors.Join(ErrUnsure, err)
	case w.unsure.Load():
		return errors.Join(ErrUnsure, err)
	default:
		return err
	}
}

// abandon closes a connection of which nothing good is expected any more.
func abandon(conn *pgx.Conn) {
	_ = conn.PgConn().Conn().Close() // a graceful end could wait for the server
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // tells the pool
}
