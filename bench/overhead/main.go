// Command overhead measures what the middleware costs per request, over the
// bare handler, with the memory store and without a network.
//
//	go run ./bench/overhead -json
//
// A new key's request, a replay and a request without a key run in turn with
// the bare handler and with the store's own part, in many short rounds. Each
// figure is that of its best round, since other programs only ever add. Times
// are processor time of the whole process, garbage collection included.
//
// "added" is the guarded handler less the bare one less the store's own part:
// what engine and middleware do, together with what the records that the store
// keeps cost the collector. A store that does nothing leaves that out. For a replay the handler does not run, so that
// its time is no part of it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/onceward/onceward/bench/internal/command"
)

func main() { command.Main("overhead", run) }

// run is main without the process.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	var (
		rounds, requests int
		asJSON           bool
	)
	flags := flag.NewFlagSet("overhead", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.IntVar(&rounds, "rounds", 31, "how many turns each side takes")
	flags.IntVar(&requests, "requests", 2*fresh, "requests in a turn")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	if err := command.Parse(flags, args); err != nil {
		return err
	}
	switch {
	case rounds < 1 || rounds > 10_000:
		return fmt.Errorf("-rounds %d: give 1 to 10000", rounds)
	case requests < 1 || requests > 10_000_000:
		return fmt.Errorf("-requests %d: give 1 to 10000000", requests)
	}
	costs, err := measure(ctx, sides(), rounds, requests) //nolint:contextcheck // the requests have contexts of their own
	if err != nil {
		return err
	}
	rep := newReport(rounds, requests, costs)
	if asJSON {
		return json.NewEncoder(stdout).Encode(rep)
	}
	return rep.print(stdout)
}

// Names of the sides.
const (
	sideBare        = "bare"
	sideNoKey       = "no_key"
	sideNew         = "new_key"
	sideReplay      = "replay"
	sideUnstored    = "new_key_no_store"
	sideStoreNew    = "store_new_key"
	sideStoreReplay = "store_replay"
)

func sides() []side {
	return []side{
		{sideBare, bare()},
		{sideNoKey, keyless()},
		{sideNew, newKey()},
		{sideReplay, replay()},
		{sideUnstored, unstored()},
		{sideStoreNew, storeNew()},
		{sideStoreReplay, storeReplay()},
	}
}

// report is what is printed. Its JSON names are read by other programs.
type report struct {
	Rounds      int  `json:"rounds"`
	Requests    int  `json:"requests"` // of each side, in a round
	Bare        cost `json:"bare"`
	NoKey       cost `json:"no_key"`
	NewKey      cost `json:"new_key"`
	Replay      cost `json:"replay"`
	Unstored    cost `json:"new_key_no_store"`
	StoreNewKey cost `json:"store_new_key"`
	StoreReplay cost `json:"store_replay"`
	AddedNoKey  cost `json:"added_no_key"`
	AddedNewKey cost `json:"added_new_key"`
	AddedReplay cost `json:"added_replay"`
	// AddedUnstored is what a new key adds on a store that does nothing.
	AddedUnstored cost `json:"added_new_key_no_store"`
	AddedPercent  struct {
		NoKey float64 `json:"no_key"`
	} `json:"added_percent"`
}

func newReport(rounds, requests int, costs map[string]cost) *report {
	r := &report{
		Rounds: rounds, Requests: requests,
		Bare: costs[sideBare], NoKey: costs[sideNoKey], NewKey: costs[sideNew], Replay: costs[sideReplay],
		StoreNewKey: costs[sideStoreNew], StoreReplay: costs[sideStoreReplay], Unstored: costs[sideUnstored],
	}
	r.AddedNoKey = r.NoKey.less(r.Bare)
	r.AddedNewKey = r.NewKey.less(r.Bare).less(r.StoreNewKey)
	r.AddedReplay = r.Replay.less(r.StoreReplay)
	r.AddedUnstored = r.Unstored.less(r.Bare)
	if r.Bare.Nanos > 0 {
		r.AddedPercent.NoKey = tenth(100 * r.AddedNoKey.Nanos / r.Bare.Nanos)
	}
	return r
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "best of %d rounds of %d requests\n\n", r.Rounds, r.Requests)
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "\tCPU ns/op\tB/op\tallocs/op\t")
	for _, row := range []struct {
		name string
		cost
	}{
		{"bare handler", r.Bare},
		{"guarded, no key", r.NoKey},
		{"guarded, new key", r.NewKey},
		{"guarded, new key, a store that does nothing", r.Unstored},
		{"guarded, replay", r.Replay},
		{"the store's part of a new key", r.StoreNewKey},
		{"the store's part of a replay", r.StoreReplay},
		{"added to a request without key", r.AddedNoKey},
		{"added to a new key", r.AddedNewKey},
		{"added to a new key, a store that does nothing", r.AddedUnstored},
		{"added to a replay", r.AddedReplay},
	} {
		fmt.Fprintf(tab, "%s\t%.0f\t%.0f\t%.1f\t\n", row.name, row.Nanos, row.Bytes, row.Allocs)
	}
	return tab.Flush()
}
