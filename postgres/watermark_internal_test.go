package postgres

import (
	"context"
	"math"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres/pgtest"
)

// marked is a store whose connections count their round trips, with or without
// the watermark.
type marked struct {
	*Store
	trips *atomic.Int64
	keys  atomic.Int64

	elapsed, cpu time.Duration
}

// openMarked makes a store in tables of its own.
func openMarked(tb testing.TB, dsn, schema string, cfg Config, buckets int, counted bool) *marked {
	tb.Helper()
	m := &marked{trips: new(atomic.Int64)}
	pc, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	pc.ShouldPing = func(context.Context, pgxpool.ShouldPingParams) bool { return false } // a trip of its own
	dial := pc.ConnConfig.DialFunc
	pc.ConnConfig.DialFunc = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		return &tripCounter{Conn: c, trips: m.trips}, err
	}
	pool, err := pgxpool.NewWithConfig(tb.Context(), pc)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(pool.Close)
	if err := Migrate(tb.Context(), pool, MigrateConfig{Schema: schema, Buckets: buckets}); err != nil {
		tb.Fatal(err)
	}
	cfg.Schema, cfg.NoWakeups = schema, true // they have trips of their own
	if m.Store, err = Open(tb.Context(), pool, cfg); err != nil {
		tb.Fatal(err)
	}
	m.writer.unmarked = !counted
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(tb.Context()), time.Minute)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			tb.Error(err)
		}
	})
	return m
}

// tripCounter counts how often something was sent and then answered.
type tripCounter struct {
	net.Conn
	trips *atomic.Int64
	sent  atomic.Bool
}

// Write implements net.Conn.
func (c *tripCounter) Write(p []byte) (int, error) {
	c.sent.Store(true)
	return c.Conn.Write(p)
}

// Read implements net.Conn.
func (c *tripCounter) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && c.sent.Swap(false) {
		c.trips.Add(1)
	}
	return n, err
}

// request claims and completes one new key.
func (m *marked) request(ctx context.Context) error {
	now := time.Now()
	res, err := m.Claim(ctx, onceward.ClaimRequest{
		Key: onceward.Key{Scope: "s", Value: strconv.FormatInt(m.keys.Add(1), 10)}, Owner: onceward.NewOwner(),
		Token: now.UnixMicro(), Policy: onceward.Hold, Fingerprint: make([]byte, 32), Retention: time.Hour,
		Now: now, LeaseUntil: now.Add(time.Minute), ExpiresAt: onceward.Never,
	})
	if err != nil {
		return err
	}
	return m.Complete(ctx, onceward.CompleteRequest{
		Claim: res.Record.Claim(), Now: time.Now(), Status: onceward.StatusCompleted, ExpiresAt: now.Add(time.Hour),
		Response: &onceward.Response{Status: 201, Body: make([]byte, 512)},
	})
}

// TestWatermarkCostsNoRoundTrip: a batch is one round trip, counted or not. A
// connection that is new prepares its statements first, so that the round with
// the fewest trips tells.
func TestWatermarkCostsNoRoundTrip(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	const requests, rounds = 5, 20
	for schema, counted := range map[string]bool{"counted": true, "uncounted": false} {
		m := openMarked(t, dsn, schema, Config{Writers: 1}, 1, counted)
		fewest := int64(math.MaxInt64)
		for range rounds {
			before := m.trips.Load()
			for range requests {
				if err := m.request(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			fewest = min(fewest, m.trips.Load()-before)
		}
		if fewest != 2*requests {
			t.Errorf("%s: %d round trips for %d claims and completions", schema, fewest, 2*requests)
		}
		if instance, batch := m.writer.marks.expected(0); (batch >= 2*requests*rounds) != counted {
			t.Errorf("%s: %d batches of %v are known", schema, batch, instance)
		}
	}
}

// BenchmarkWatermark compares batches that are counted with batches that are not,
// in turns, on a server that waits for the disk: rates, the server's processor
// time, and round trips for each request of one claim and one completion.
//
//	go test -run '^$' -bench Watermark -benchtime 20x
func BenchmarkWatermark(b *testing.B) {
	server, err := pgtest.Start(b.Context(), pgtest.Options{Settings: map[string]string{
		"fsync": "on", "full_page_writes": "on", "shared_buffers": "256MB", "max_wal_size": "4GB",
	}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
	})
	for _, c := range []struct {
		name, prefix string
		cfg          Config
		buckets      int
	}{
		{"grouped", "g", Config{}, 0},
		{"each", "e", Config{MaxBatch: 1, Writers: maxWriters}, Slots},
	} {
		b.Run(c.name, func(b *testing.B) {
			with := openMarked(b, server.DSN("postgres"), c.prefix+"_with", c.cfg, c.buckets, true)
			without := openMarked(b, server.DSN("postgres"), c.prefix+"_without", c.cfg, c.buckets, false)
			compareMarked(b, server, with, without)
		})
		err := server.Exec(b.Context(), "postgres", "DROP SCHEMA "+c.prefix+"_with CASCADE; DROP SCHEMA "+c.prefix+"_without CASCADE")
		if err != nil {
			b.Fatal(err)
		}
	}
}

func compareMarked(b *testing.B, server *pgtest.Server, with, without *marked) {
	b.Helper()
	const turn = 4096 // requests
	for _, m := range []*marked{with, without} {
		m.turn(b, server, turn) // warms up
		m.elapsed, m.cpu = 0, 0
		m.trips.Store(0)
	}
	turns := 0
	for b.Loop() {
		order := []*marked{with, without}
		if turns%2 == 1 {
			order[0], order[1] = without, with
		}
		turns++
		for _, m := range order {
			m.turn(b, server, turn)
		}
	}
	requests := float64(turns * turn)
	for name, m := range map[string]*marked{"with": with, "without": without} {
		b.ReportMetric(requests/m.elapsed.Seconds(), name+"-req/s")
		b.ReportMetric(float64(m.cpu.Microseconds())/requests, name+"-server-µs")
		b.ReportMetric(float64(m.trips.Load())/requests, name+"-trips")
	}
	b.ReportMetric(100*(without.elapsed.Seconds()/with.elapsed.Seconds()-1), "rate-change-%")
	b.ReportMetric(100*(with.cpu.Seconds()/without.cpu.Seconds()-1), "server-cpu-change-%")
	b.ReportMetric(0, "ns/op")
}

// turn does n requests with 256 callers.
func (m *marked) turn(b *testing.B, server *pgtest.Server, n int64) {
	b.Helper()
	const callers = 256
	var left atomic.Int64
	left.Store(n)
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	cpu, err := server.CPU()
	if err != nil {
		b.Fatal(err)
	}
	begun := time.Now()
	for range callers {
		wg.Go(func() {
			for left.Add(-1) >= 0 && failed.Load() == nil {
				if err := m.request(b.Context()); err != nil {
					failed.Store(&err)
				}
			}
		})
	}
	wg.Wait()
	m.elapsed += time.Since(begun)
	if err := failed.Load(); err != nil {
		b.Fatal(*err)
	}
	after, err := server.CPU()
	if err != nil {
		b.Fatal(err)
	}
	m.cpu += after - cpu
}
