// Command storebench measures what group commit is worth: the same requests
// on the same store, once with shared commits and once with a commit each.
//
//	go run ./bench/storebench -store sqlite: -callers 256 -duration 10s -json
//
// One request is what a guarded write costs the store: a claim that is durable
// and then a completion with a response of 512 bytes that is durable, every
// request with a new key. The callers send one request after the other. Both
// sides run in turn, in many short rounds, so that whatever else the machine
// does meets both; compare figures of one run only.
//
// "per request" is the same store with a batch size of one: every operation is a
// transaction of its own. In PostgreSQL it has 64 connections, and 64 buckets,
// so that it does not wait for itself.
//
// It measures the store alone, without engine, HTTP or reads.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"time"

	"github.com/onceward/onceward/bench/internal/command"
	"github.com/onceward/onceward/bench/internal/stores"
)

func main() { command.Main("storebench", run) }

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var (
		cfg    config
		asJSON bool
	)
	flags := flag.NewFlagSet("storebench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&cfg.store, "store", "sqlite:", stores.Usage)
	flags.IntVar(&cfg.callers, "callers", 256, "requests at the same time")
	flags.DurationVar(&cfg.duration, "duration", 10*time.Second, "how long each side runs in total")
	flags.IntVar(&cfg.buckets, "buckets", 0, "buckets of the grouped side's tables in PostgreSQL (default: the store's)")
	flags.IntVar(&cfg.rounds, "rounds", 5, "how many turns each side takes")
	flags.IntVar(&cfg.bytes, "bytes", 512, "size of the recorded response")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	if err := command.Parse(flags, args); err != nil {
		return err
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	rep, err := measure(ctx, cfg)
	if err != nil {
		return err
	}
	if asJSON {
		return json.NewEncoder(stdout).Encode(rep)
	}
	return rep.print(stdout)
}
