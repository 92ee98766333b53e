// Command retention measures what deleting expired records costs while a table
// with many records is in use, and what size the table settles at.
//
//	go run ./bench/retention -store postgres: -rows 5000000
//
// It loads completed records, a fifth of them expired, and then goes through
// four phases in one run, all under the same traffic of new keys at a fixed rate:
//
//   - quiet: nothing is swept
//   - backlog: sweeps without a limit delete the fifth that has expired
//   - steady: the engine's own sweeps, at the default limit, delete what expires
//     at the rate at which new records come: the table has its final size
//   - quiet again, to see what the machine did meanwhile
//
// Latency counts from when a request was due, so that a pause is not hidden. How
// long records are kept follows from rows and rate: it is virtual time, and
// nothing waits for a day to pass.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/onceward/onceward/bench/internal/command"
)

func main() { command.Main("retention", run) }

// config of a run.
type config struct {
	store         string
	rows          int64
	rate          float64
	callers       int
	quiet, steady time.Duration
	sweeps        time.Duration
	samples       time.Duration
}

func (c *config) validate() error {
	switch {
	case c.rows < 100 || c.rows > 1e9:
		return fmt.Errorf("-rows %d: give 100 to 1000000000", c.rows)
	case c.rate < 1 || c.rate > 1e6:
		return fmt.Errorf("-rate %g: give 1 to 1000000 requests a second", c.rate)
	case c.callers < 1 || c.callers > 10_000:
		return fmt.Errorf("-callers %d: give 1 to 10000", c.callers)
	case c.quiet <= 0 || c.steady <= 0 || c.sweeps <= 0 || c.samples <= 0:
		return errors.New("-quiet, -steady, -sweeps and -samples are longer than nothing")
	}
	return nil
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var (
		cfg    config
		asJSON bool
	)
	flags := flag.NewFlagSet("retention", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.store, "store", "postgres:", "`address` of a PostgreSQL, where a schema is made and dropped; postgres: starts a server")
	flags.Int64Var(&cfg.rows, "rows", 5_000_000, "records that are loaded; a fifth of them has expired")
	flags.Float64Var(&cfg.rate, "rate", 2000, "new keys a `second`, in every phase")
	flags.IntVar(&cfg.callers, "callers", 256, "most requests at the same time")
	flags.DurationVar(&cfg.quiet, "quiet", 30*time.Second, "length of each phase without sweeps")
	flags.DurationVar(&cfg.steady, "steady", 3*time.Minute, "length of the phase with the engine's sweeps")
	flags.DurationVar(&cfg.sweeps, "sweeps", time.Minute, "how often the engine sweeps")
	flags.DurationVar(&cfg.samples, "samples", 10*time.Second, "how often sizes are read")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	if err := command.Parse(flags, args); err != nil {
		return err
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	rep, err := measure(ctx, cfg, stderr)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(rep)
	}
	return rep.print(stdout)
}
