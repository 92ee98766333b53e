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
	store    string
	attacked time.Duration

	operations, happened, underAttack int
	held, refused                     int
	records, transactions, messages   int
	sends, envelopes, bumps, relayed  int
	ledgers                           uint32
	faults, statuses, checks, hits    map[string]int
	violations                        []violation
	reasons                           []string // why operations are held
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
	p("%s, seed %d, %d processes, %d channels, a ledger every %v", r.store, r.cfg.seed, r.cfg.processes, r.cfg.channels, r.cfg.interval)
	if r.cfg.broken != "" {
		p("without the protection %q", r.cfg.broken)
	}
	head("operations")
	row("started", r.operations)
	row("happened", r.happened)
	row("of them under attack, the rest when the faults had ended", r.underAttack)
	row("held for a person", r.held)
	row("signed by users, refused, and did not happen", r.refused)
	row("records", r.records)
	row("transactions in ledgers", r.transactions)
	row("ledgers under attack", int(r.ledgers))
	row("envelopes sent", r.envelopes)
	row("submissions", r.sends)
	row("envelopes that are users' own transactions", r.relayed)
	row("fee bumps", r.bumps)
	row("webhooks, by id", r.messages)
	row("seconds under attack", int(r.attacked.Seconds()))
	row("operations a second under attack", int(float64(r.operations)/r.attacked.Seconds()))
	r.printInvariants(p, head, markdown)
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
	for _, point := range r.neverHit() {
		p("NEVER HIT: no process died %s: this campaign says nothing about that boundary", point)
	}
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

// invariants of the protocol. 0 is what no number stands for: a process that
// ends by itself, panics or races.
var invariants = []string{
	"0 no process ends by itself", "1 at most one success for a key", "2 nothing is sent that is not stored",
	"3 one live attempt for a sequence number", "4 a new attempt only after a proof that holds", "5 outcomes are what the chain says",
	"6 answers do not change", "7 no key is lost", "8 no channel is used while its envelope may live", "9 nothing that was applied is taken for expired",
	"10 fee bumps keep the transaction", "11 kills at every boundary keep 1", "12 a restored database quarantines", "13 one id for each notification",
}

func (r *report) printInvariants(p func(string, ...any), head func(string), markdown bool) {
	violated := make(map[int]int)
	for _, v := range r.violations {
		violated[v.invariant]++
	}
	if markdown {
		p("\n| invariant | checked | violated |\n|---|---:|---:|")
	} else {
		head("invariant                                         checked violated")
	}
	for i, name := range invariants {
		format := "  %-46s %8d %8d"
		if markdown {
			format = "| %s | %d | %d |"
		}
		p(format, name, r.checks[fmt.Sprint(i)], violated[i])
	}
}

// neverHit lists the boundaries at which no process died.
func (r *report) neverHit() []string {
	var out []string
	for _, point := range slices.Sorted(maps.Keys(r.hits)) {
		if r.hits[point] == 0 {
			out = append(out, point)
		}
	}
	return out
}

// broken lists the invariants that were violated.
func (r *report) broken() []int {
	seen := make(map[int]bool)
	for _, v := range r.violations {
		seen[v.invariant] = true
	}
	return slices.Sorted(maps.Keys(seen))
}
