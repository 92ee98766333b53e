package postgres_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

// cutter is a proxy that can break a connection at the worst moment: after the
// server has committed, and before its client hears of it.
type cutter struct {
	addr, target string
	cut          atomic.Int32 // answers to a COMMIT that are still to be swallowed
	cuts         atomic.Int32
}

func newCutter(t *testing.T, target string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // does not wait
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{addr: l.Addr().String(), target: target}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() { c.serve(conn) })
		}
	})
	return c
}

// through returns a pool that leads through a cutter.
func through(t *testing.T, direct *pgxpool.Pool) (*pgxpool.Pool, *cutter) {
	t.Helper()
	cc := direct.Config().ConnConfig
	c := newCutter(t, net.JoinHostPort(cc.Host, strconv.Itoa(int(cc.Port))))
	return connect(t, strings.Replace(cc.ConnString(), c.target, c.addr, 1)), c
}

func (c *cutter) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", c.target) //nolint:noctx // on this machine
	if err != nil {
		return
	}
	defer server.Close()
	go func() {
		defer server.Close()
		_, _ = io.Copy(server, client) // its end is the end of both
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := server.Read(buf)
		// The tag of a COMMIT: it has happened.
		if bytes.Contains(buf[:n], []byte("COMMIT\x00")) && c.cut.Add(-1) >= 0 {
			c.cuts.Add(1)
			return
		}
		if _, werr := client.Write(buf[:n]); err != nil || werr != nil {
			return
		}
	}
}

// TestConnectionsThatBreakAfterTheCommit: every operation is repeated and gives
// the answer that the broken connection kept.
func TestConnectionsThatBreakAfterTheCommit(t *testing.T) {
	t.Parallel()
	direct := connect(t, pgtest.Database(t))
	if err := postgres.Migrate(t.Context(), direct, postgres.MigrateConfig{}); err != nil {
		t.Fatal(err)
	}
	pool, proxy := through(t, direct)
	s := open(t, pool, postgres.Config{CacheBytes: -1})
	breaks := func(name string, do func() error) {
		t.Helper()
		before := proxy.cuts.Load()
		proxy.cut.Store(1)
		if err := do(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if proxy.cuts.Load() != before+1 {
			t.Errorf("%s: the connection did not break", name)
		}
	}
	var rec onceward.Record
	claim := func(value string) func() error {
		return func() error {
			res, err := s.Claim(t.Context(), claimOf(value))
			if err == nil && (!res.Won || res.TookOver) {
				err = errors.New("the claim was not simply won")
			}
			rec = res.Record
			return err
		}
	}
	breaks("Claim", claim("completed"))
	breaks("Renew", func() error {
		return s.Renew(t.Context(), onceward.RenewRequest{Claim: rec.Claim(), Now: time.Now(), LeaseUntil: time.Now().Add(time.Hour)})
	})
	breaks("Checkpoint", func() error {
		return s.Checkpoint(t.Context(), onceward.CheckpointRequest{Claim: rec.Claim(), Checkpoints: []onceward.Checkpoint{{Name: "a"}}})
	})
	breaks("Complete", func() error { return s.Complete(t.Context(), completionOf(rec.Claim())) })
	breaks("Get", func() error {
		got, err := s.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: time.Now()})
		if err == nil && (got.Status != onceward.StatusCompleted || len(got.Checkpoints) != 1) {
			err = errors.New("it is " + string(got.Status))
		}
		return err
	})
	breaks("Claim", claim("released"))
	release := onceward.ReleaseRequest{Claim: rec.Claim(), Now: time.Now()}
	breaks("Release", func() error { return s.Release(t.Context(), release) })
	if err := s.Release(t.Context(), release); !errors.Is(err, onceward.ErrFenced) {
		t.Errorf("released again: %v", err)
	}
}

// TestABackendThatIsTerminated during a claim: the claim is sent again.
func TestABackendThatIsTerminated(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{Buckets: 1})
	s := open(t, pool, postgres.Config{})
	lift := blockade(t, pool)
	errs := claimAll(t.Context(), s, 1)
	await(t, pool, waiting, "Lock", 1)
	query[bool](t, pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
	lift()
	if err := <-errs; err != nil {
		t.Error(err)
	}
}
