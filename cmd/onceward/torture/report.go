package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"time"
)

// report is what a campaign found.
type report struct {
	cfg      config
	attacked time.Duration

	operations, happened, held int
	records, transactions      int
	sends, envelopes, bumps    int
	faults, statuses           map[string]int
	violations                 []violation
	reasons                    []string // why operations are held
}

const maxShown = 20

// print writes the report. Its last line counts the violations.
func (r *report) print(w io.Writer, markdown bool) {
	p := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	row := func(name string, n int) {
		if markdown {
			p("| %s | %d |", name, n)
		} else {
			p("  %-46s %8d", name, n)
		}
	}
	head := func(title string) {
		if markdown {
			p("\n| %s | |\n|---|---:|", title)
		} else {
			p("\n%s", title)
		}
	}
	p("seed %d, %d processes, %d channels, a ledger every %v", r.cfg.seed, r.cfg.processes, r.cfg.channels, r.cfg.interval)
	if r.cfg.broken != "" {
		p("without the protection %q", r.cfg.broken)
	}
	head("operations")
	row("started", r.operations)
	row("happened", r.happened)
	row("held for a person", r.held)
	row("records", r.records)
	row("transactions in ledgers", r.transactions)
	row("envelopes sent", r.envelopes)
	row("submissions", r.sends)
	row("of them fee bumps", r.bumps)
	row("operations a second under attack", int(float64(r.operations)/r.attacked.Seconds()))
	head("faults injected")
	total := 0
	for _, name := range slices.Sorted(maps.Keys(r.faults)) {
		row(name, r.faults[name])
		total += r.faults[name]
	}
	row("total", total)
	head("answers")
	for _, name := range slices.Sorted(maps.Keys(r.statuses)) {
		row(name, r.statuses[name])
	}
	p("")
	for _, reason := range r.reasons[:min(len(r.reasons), maxShown)] {
		p("held: %s", reason)
	}
	for i, v := range r.violations {
		if i == maxShown {
			p("… and %d more", len(r.violations)-maxShown)
			break
		}
		p("VIOLATION of invariant %d: %s", v.invariant, v.text)
	}
	p("%d violations over %d operations", len(r.violations), r.operations)
}

// broken lists the invariants that were violated.
func (r *report) broken() []int {
	seen := make(map[int]bool)
	for _, v := range r.violations {
		seen[v.invariant] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
