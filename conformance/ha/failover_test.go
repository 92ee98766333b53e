package ha_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// TestFailoverLosesNothing: the primary is killed under load and the standby
// that has received most takes over. Every acknowledgement stands, every caller
// gets its answer, what competing clients were told is one consistent history,
// and no store mistakes this for a loss.
func TestFailoverLosesNothing(t *testing.T) {
	t.Parallel()
	c := newCluster(t, quorum)
	pool := connect(t, c.dsn())
	if d, err := postgres.CheckDurability(t.Context(), pool); err != nil || d.Standbys != 2 || d.Asynchronous != 0 {
		t.Errorf("durability: %+v, %v", d, err)
	}
	stores := []*postgres.Store{open(t, pool, postgres.Config{}), open(t, pool, postgres.Config{})}
	l := start(t.Context(), 32, stores...)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := compete(t.Context(), seed, stores[0], stores[1])
	l.awaitMore(t, 30)
	r.awaitRounds(t, 2)
	before := l.book.acks.Load()
	began := time.Now()
	if err := c.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	promoted := c.elect(t)
	l.awaitMore(t, 10)
	r.awaitRounds(t, 2)
	t.Logf("every caller served again %v after the kill", time.Since(began).Round(time.Millisecond))
	b := l.end(t)
	r.check(t)
	claims, completions := b.lost(t, promoted)
	t.Logf("%d acknowledgements before the kill, %d in all; lost %d claims, %d completions", before, b.acks.Load(), claims, completions)
	if claims+completions != 0 {
		t.Errorf("%d acknowledged claims and %d completions are lost", claims, completions)
	}
	for _, s := range stores {
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("after the failover: %v", err)
		}
	}
}

// TestAStalledStandbyIsPromoted and TestAsynchronousStandbys are controls: the
// test above can see a loss, and the stores notice it.
func TestAStalledStandbyIsPromoted(t *testing.T) {
	t.Parallel()
	loses(t, quorum, func(c *cluster) []*pgtest.Server { return []*pgtest.Server{c.n3} })
}

func TestAsynchronousStandbys(t *testing.T) {
	t.Parallel()
	loses(t, "", func(c *cluster) []*pgtest.Server { return []*pgtest.Server{c.n2, c.n3} })
}

// loses promotes n3 after it was stalled, maybe with the other one, while writes
// were acknowledged: those and no others are lost.
func loses(t *testing.T, synchronous string, stalled func(*cluster) []*pgtest.Server) {
	t.Helper()
	c := newCluster(t, synchronous)
	pool := connect(t, c.dsn())
	d, err := postgres.CheckDurability(t.Context(), pool)
	if err != nil {
		t.Fatal(err)
	}
	if warned := strings.Contains(fmt.Sprint(d.Warnings), "asynchronously"); warned != (synchronous == "") {
		t.Errorf("with synchronous_standby_names = '%s' the warnings are %q", synchronous, d.Warnings)
	}
	stores := []*postgres.Store{open(t, pool, postgres.Config{}), open(t, pool, postgres.Config{})}
	kept := start(t.Context(), 8, stores...)
	kept.awaitMore(t, 5)
	keptBook := kept.end(t)
	c.caughtUp(t)
	for _, s := range stalled(c) {
		if err := s.CutOff(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	gone := newBook()
	const keys = 200
	for i := range keys {
		if err := once(t.Context(), stores[i%len(stores)], gone, fmt.Sprint("gone-", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range stores {
		if err := s.Ready(t.Context()); err != nil {
			t.Fatalf("before the failover: %v", err)
		}
	}
	if err := c.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	promoteAlone(t, c.n3)

	if claims, completions := keptBook.lost(t, c.n3); claims+completions != 0 {
		t.Errorf("%d claims and %d completions are lost that the standby had", claims, completions)
	}
	claims, completions := gone.lost(t, c.n3)
	t.Logf("of %d acknowledged keys lost: %d claims, %d completions", keys, claims, completions)
	if claims != keys || completions != keys {
		t.Errorf("the test sees %d claims and %d completions lost, want all %d", claims, completions, keys)
	}
	refuses(t, c, stores)
}

// refuses: the stores that were there when writes were acknowledged say what is
// lost and write nothing, until somebody acknowledges it.
func refuses(t *testing.T, c *cluster, stores []*postgres.Store) {
	t.Helper()
	for i, s := range stores {
		value := fmt.Sprint("refused-", i)
		if err := once(t.Context(), s, newBook(), value); !errors.Is(err, postgres.ErrWritesLost) {
			t.Errorf("store %d writes on: %v", i, err)
		}
		err := s.Ready(t.Context())
		if !errors.Is(err, postgres.ErrWritesLost) || !strings.Contains(err.Error(), "operations acknowledged from") {
			t.Errorf("store %d is ready: %v", i, err)
		}
		if n := query[int](t, c.n3, "SELECT count(*)::int FROM onceward_keys WHERE key = $1", value)[0]; n != 0 {
			t.Errorf("store %d has written %s", i, value)
		}
	}
	pool := connect(t, c.dsn())
	losses, err := postgres.Losses(t.Context(), pool, "")
	if err != nil || len(losses) == 0 {
		t.Fatalf("losses %+v, %v", losses, err)
	}
	t.Logf("noticed: %s", losses[0].Detail)
	if n, err := postgres.AcknowledgeLosses(t.Context(), pool, ""); err != nil || n != len(losses) {
		t.Errorf("acknowledged %d of %d, %v", n, len(losses), err)
	}
	for i, s := range stores {
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("store %d after the acknowledgement: %v", i, err)
		}
		if err := once(t.Context(), s, newBook(), fmt.Sprint("after-", i)); err != nil {
			t.Errorf("store %d after the acknowledgement: %v", i, err)
		}
	}
}
