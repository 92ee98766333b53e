// Command growth measures how a store does when it holds many keys: latency
// and memory at each of several sizes, in one run.
//
//	go run ./bench/growth -store sqlite: -keys 1,10
//
// It fills the store up to a size in millions of completed records, then lets
// callers make new keys and read replays for a while, and goes on to the next
// size. A replay is a claim of a key that is completed, drawn at random from
// all that are stored.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/onceward/onceward/bench/internal/command"
	"github.com/onceward/onceward/bench/internal/stores"
)

func main() { command.Main("growth", run) }

// config of a run.
type config struct {
	store    string
	sizes    []int64
	callers  int
	duration time.Duration
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var (
		cfg      config
		millions string
		asJSON   bool
	)
	flags := flag.NewFlagSet("growth", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.store, "store", "sqlite:", stores.Usage+"; it should be empty")
	flags.StringVar(&millions, "keys", "1,10", "sizes in `millions` of keys, growing, separated by commas")
	flags.IntVar(&cfg.callers, "callers", 64, "requests at the same time")
	flags.DurationVar(&cfg.duration, "duration", 10*time.Second, "how long new keys, and replays, are measured at each size")
	flags.BoolVar(&asJSON, "json", false, "print one JSON array")
	if err := command.Parse(flags, args); err != nil {
		return err
	}
	for text := range strings.SplitSeq(millions, ",") {
		m, err := strconv.ParseFloat(text, 64)
		size := int64(m * 1e6)
		if err != nil || size < 1 || size > 1e9 || len(cfg.sizes) > 0 && size <= cfg.sizes[len(cfg.sizes)-1] {
			return fmt.Errorf("-keys %q: give growing numbers of millions, up to 1000", millions)
		}
		cfg.sizes = append(cfg.sizes, size)
	}
	if cfg.callers < 1 || cfg.callers > 10_000 || cfg.duration < time.Millisecond {
		return errors.New("-callers has 1 to 10000, -duration at least 1ms")
	}
	rows, err := measure(ctx, cfg, stderr)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(rows)
	}
	return table(stdout, rows)
}

func table(w io.Writer, rows []row) error {
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "keys\tnew/s\tp50 ms\tp99 ms\treplays/s\tp50 ms\tp99 ms\tmemory MiB\tdisk MiB\tfilling/s\t")
	for _, r := range rows {
		fmt.Fprintf(tab, "%d\t%.0f\t%.2f\t%.2f\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\t%.0f\t\n", r.Keys,
			r.New.Rate, r.New.P50, r.New.P99, r.Replay.Rate, r.Replay.P50, r.Replay.P99, r.MemoryMiB, r.DiskMiB, r.FillRate)
	}
	return tab.Flush()
}
