package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/postgres/pgtest"
)

// binary is the gateway with crash points.
var binary string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "onceward-torture-test-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if binary, err = build(context.Background(), dir, false); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return pgtest.Main(m)
	}())
}

// stores that campaigns run on, each campaign on a database of its own.
var stores = map[string]func(*testing.T) string{
	"SQLite":     func(*testing.T) string { return storeSQLite },
	"PostgreSQL": func(t *testing.T) string { t.Helper(); return pgtest.Database(t) },
}

// attack runs a campaign of the size that a test can afford.
func attack(t *testing.T, store, broken string, ops int, limit time.Duration) *report {
	t.Helper()
	cfg := config{
		store: stores[store](t), ops: ops, processes: 2, channels: 16, clients: 16, restores: 1, faulty: 20,
		seed: rand.Uint64(), interval: 100 * time.Millisecond, limit: limit, broken: broken, binary: binary,
		progress: func(string, ...any) {},
	}
	rep, err := torture(t.Context(), cfg)
	if err != nil {
		t.Fatalf("seed %d: %v", cfg.seed, err)
	}
	return rep
}

// The invariants hold under every fault.
func TestTortureCampaign(t *testing.T) {
	t.Parallel()
	for store := range stores {
		t.Run(store, func(t *testing.T) {
			t.Parallel()
			rep := attack(t, store, "", 100, 30*time.Second)
			var out strings.Builder
			rep.print(&out, false)
			t.Log(out.String())
			if len(rep.violations) > 0 {
				t.Errorf("%d violations", len(rep.violations))
			}
			if rep.happened+rep.refused < rep.operations*9/10 {
				t.Errorf("only %d of %d operations happened: the campaign proves little", rep.happened, rep.operations)
			}
			if store == "PostgreSQL" && sumOf(rep.faults, "database: ") == 0 {
				t.Error("no connection to the database was disturbed")
			}
		})
	}
}

// maxRounds bounds how often a campaign is tried that draws no fault to which
// the missing protection matters.
const maxRounds = 8

// A campaign that cannot fail proves nothing: without any one of the
// protections it does.
func TestTortureNoticesMissingProtections(t *testing.T) {
	t.Parallel()
	// The invariants that each protection is there for.
	for broken, violated := range map[string][]int{
		"rebuild-on-bad-seq":  {4, 9},
		"trust-not-found":     {4, 9},
		"free-on-timeout":     {3, 8},
		"send-before-storing": {2},
		"random-nonce":        {1, 6},
	} {
		t.Run(broken, func(t *testing.T) {
			t.Parallel()
			notices(t, "SQLite", broken, violated)
		})
	}
}

func notices(t *testing.T, store, broken string, violated []int) {
	t.Helper()
	for range maxRounds {
		rep := attack(t, store, broken, 80, 10*time.Second)
		for _, invariant := range rep.broken() {
			if slices.Contains(violated, invariant) {
				t.Logf("caught: %s", rep.violations[slices.IndexFunc(rep.violations, func(v violation) bool { return v.invariant == invariant })].text)
				return
			}
		}
	}
	t.Errorf("%d campaigns without this protection found nothing", maxRounds)
}
