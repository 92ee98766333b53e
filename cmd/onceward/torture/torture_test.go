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
		return m.Run()
	}())
}

// attack runs a campaign of the size that a test can afford.
func attack(t *testing.T, broken string, ops int) *report {
	t.Helper()
	cfg := config{
		ops: ops, processes: 2, channels: 12, clients: 16, restores: 1, faulty: 25,
		seed: rand.Uint64(), interval: 150 * time.Millisecond, broken: broken, binary: binary,
		progress: func(string, ...any) {},
	}
	rep, err := torture(t.Context(), cfg)
	if err != nil {
		t.Fatalf("seed %d: %v", cfg.seed, err)
	}
	return rep
}

// The invariants hold under every fault.
func TestTortureCampaign(t *testing.T) { //nolint:paralleltest // it wants the machine for itself
	rep := attack(t, "", 200)
	var out strings.Builder
	rep.print(&out, false)
	t.Log(out.String())
	if len(rep.violations) > 0 {
		t.Errorf("%d violations", len(rep.violations))
	}
	if rep.happened < rep.operations*9/10 {
		t.Errorf("only %d of %d operations happened: the campaign proves little", rep.happened, rep.operations)
	}
}

// maxRounds bounds how often a campaign is tried that draws no fault to which
// the missing protection matters.
const maxRounds = 8

// A campaign that cannot fail proves nothing: without any one of the
// protections it does.
func TestTortureNoticesMissingProtections(t *testing.T) { //nolint:paralleltest // it wants the machine for itself
	// The invariants that each protection is there for.
	for broken, violated := range map[string][]int{ //nolint:paralleltest // one campaign after the other
		"rebuild-on-bad-seq":  {4, 9},
		"trust-not-found":     {4, 9},
		"free-on-timeout":     {3, 8},
		"send-before-storing": {2},
		"random-nonce":        {1, 6},
	} {
		t.Run(broken, func(t *testing.T) {
			for range maxRounds {
				rep := attack(t, broken, 80)
				for _, invariant := range rep.broken() {
					if slices.Contains(violated, invariant) {
						t.Logf("caught: %s", rep.violations[slices.IndexFunc(rep.violations, func(v violation) bool { return v.invariant == invariant })].text)
						return
					}
				}
			}
			t.Errorf("%d campaigns without this protection found nothing", maxRounds)
		})
	}
}
