// Command httpbench compares idempotency layers over HTTP, all in one run.
//
//	go run ./bench/httpbench -out DIR
//
// It starts a PostgreSQL, a Redis, and one HTTP server after the other, and
// loads each with requests that have new keys and with replays, over 64 and 256
// connections. The servers take turns in short rounds, so that what else the
// machine does meets them all; compare figures of one run only. The load comes
// from this process, on the same machine.
//
// All servers answer one POST with a body of 512 bytes after reading a small
// JSON body. The bare rows show what the framework does without any guard.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/onceward/onceward/bench/internal/command"
)

func main() { command.Main("httpbench", run) }

// config of a comparison.
type config struct {
	connections []int
	duration    time.Duration
	rounds      int
	out         string
	peers       string
	only        string
}

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	if len(args) > 0 && args[0] == "serve" {
		return serve(ctx, args[1:], stdout)
	}
	var (
		cfg         config
		connections string
	)
	flags := flag.NewFlagSet("httpbench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&connections, "connections", "64,256", "numbers of connections, separated by commas")
	flags.DurationVar(&cfg.duration, "duration", 2*time.Second, "length of a round")
	flags.IntVar(&cfg.rounds, "rounds", 3, "how many turns each server takes")
	flags.StringVar(&cfg.out, "out", "", "`directory` for http.md, http.svg and http.json (default: print the table)")
	flags.StringVar(&cfg.peers, "peers", "", "`directory` of the Express servers, installed with npm; without it they are left out")
	flags.StringVar(&cfg.only, "only", "", "only servers whose name contains this")
	if err := command.Parse(flags, args); err != nil {
		return err
	}
	for text := range strings.SplitSeq(connections, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 || n > 10_000 {
			return fmt.Errorf("-connections %q: give numbers from 1 to 10000", connections)
		}
		cfg.connections = append(cfg.connections, n)
	}
	if cfg.rounds < 1 || cfg.rounds > 1000 || cfg.duration < 10*time.Millisecond {
		return errors.New("-rounds has 1 to 1000, -duration at least 10ms")
	}
	rep, err := compare(ctx, cfg, stderr)
	if err != nil {
		return err
	}
	if cfg.out == "" {
		_, err := io.WriteString(stdout, rep.markdown())
		return err
	}
	return rep.write(cfg.out)
}
