// Command torture attacks the gateway and holds what happened against the
// chain.
//
//	go run ./cmd/onceward/torture -ops 20000
//
// It builds the real binary with crash points compiled in, runs several of
// its processes on one database and one development chain, and lets clients
// post, retry and give up, while faults drawn from a seed strike: processes
// killed at every boundary between storing and sending and at random moments,
// answers of the chain lost, delayed, stale or wrong, transactions dropped,
// evicted or included in their last ledger, clocks set wrong, connections to
// PostgreSQL cut, delayed and left half-open, webhooks refused, the database
// replaced by an older copy of itself. Then everything is mended, every key is
// asked for until it has its answer, and the ledgers, the records, the messages
// and what the clients saw are compared, invariant by invariant.
//
// With -break the processes lack one protection; the campaign must then fail.
//
// What it does not do: the seed fixes which faults are drawn and for whom, not
// how the operating system interleaves the processes, so a run cannot be
// repeated exactly.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cfg config
	flags := flag.NewFlagSet("torture", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&cfg.ops, "ops", 2000, "how many operations the clients start")
	flags.Uint64Var(&cfg.seed, "seed", uint64(time.Now().UnixNano()), "what the faults are drawn from; default: the time")
	flags.IntVar(&cfg.processes, "processes", 3, "gateway processes on one database")
	flags.IntVar(&cfg.channels, "channels", 24, "channel accounts that they share")
	flags.IntVar(&cfg.clients, "clients", 32, "clients at the same time")
	flags.IntVar(&cfg.restores, "restores", 1, "how often the database is replaced by an older copy")
	flags.IntVar(&cfg.faulty, "faulty", 8, "percentage of the chain's answers that are lost or wrong")
	flags.DurationVar(&cfg.interval, "ledger-interval", 50*time.Millisecond, "time between two ledgers")
	flags.DurationVar(&cfg.limit, "for", 0, "end the attack then, however many operations were started")
	flags.StringVar(&cfg.broken, "break", "", "take one protection away: "+strings.Join(protections, ", "))
	flags.StringVar(&cfg.store, "store", storeSQLite, `sqlite, "postgres:" for a server that is started and thrown away, or the DSN of one`)
	flags.BoolVar(&cfg.race, "race", false, "build the processes with the race detector")
	flags.StringVar(&cfg.binary, "binary", "", "use this binary, built with -tags torture, instead of building one")
	strict := flags.Bool("every-boundary", false, "fail if no process died at one of the crash points")
	markdown := flags.Bool("markdown", false, "print the report as a Markdown table")
	verbose := flags.Bool("v", false, "print what the processes log")
	if err := flags.Parse(args); err != nil {
		return 2
	}
	if err := cfg.validate(); err != nil || flags.NArg() > 0 {
		fmt.Fprintln(stderr, "torture:", err, flags.Args())
		return 2
	}
	if *verbose {
		cfg.log = func(process int, text string) { fmt.Fprintf(stderr, "process %d:\n%s", process, text) }
	}
	cfg.progress = func(format string, args ...any) { fmt.Fprintf(stderr, format+"\n", args...) }
	rep, err := torture(ctx, cfg)
	if err != nil {
		fmt.Fprintln(stderr, "torture:", err)
		return 1
	}
	rep.print(stdout, *markdown)
	if len(rep.violations) > 0 || *strict && len(rep.neverHit()) > 0 {
		return 1
	}
	return 0
}
