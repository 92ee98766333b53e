package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/onceward/onceward/bench/internal/command"
)

// report is what is printed. Its JSON names are read by other programs.
type report struct {
	Store         string  `json:"store"`
	Callers       int     `json:"callers"`
	Seconds       float64 `json:"seconds"` // of each side
	Rounds        int     `json:"rounds"`
	ResponseBytes int     `json:"response_bytes"`
	CPUs          int     `json:"cpus"`
	Grouped       figures `json:"grouped"`
	PerRequest    figures `json:"per_request"`
	// Ratio is how many times as many requests the grouped side served.
	Ratio float64 `json:"ratio"`
	// RoundRatios is the same for every round, to show the noise.
	RoundRatios []float64 `json:"round_ratios"`
}

// figures of one side.
type figures struct {
	Requests int64   `json:"requests"`
	Rate     float64 `json:"req_s"`
	P50      float64 `json:"p50_ms"`
	P99      float64 `json:"p99_ms"`
	// ServerCPU is the processor time of the store's own server processes for
	// one request; null where the store runs inside the measuring process, and
	// where its server is on another machine.
	ServerCPU *float64 `json:"server_cpu_us"`
	// ProcessCPU is that of the measuring process: the callers, and a store
	// that runs inside it.
	ProcessCPU float64 `json:"process_cpu_us"`
}

func newReport(cfg config, grouped, single *side) *report {
	rep := &report{
		Store: scheme(cfg.store), Callers: cfg.callers, Seconds: cfg.duration.Seconds(), Rounds: cfg.rounds,
		ResponseBytes: cfg.bytes, CPUs: runtime.NumCPU(),
		Grouped: grouped.figures(), PerRequest: single.figures(),
	}
	rep.Ratio = command.Round(grouped.res.Rate()/single.res.Rate(), 2)
	for i := range grouped.rates {
		rep.RoundRatios = append(rep.RoundRatios, command.Round(grouped.rates[i]/single.rates[i], 2))
	}
	return rep
}

// scheme leaves out of an address what may be a password.
func scheme(address string) string {
	name, _, _ := strings.Cut(address, ":")
	return name
}

func (s *side) figures() figures {
	n := s.res.Latency.Count()
	each := func(d time.Duration) float64 {
		return command.Round(float64(d)/float64(time.Microsecond)/float64(max(n, 1)), 1)
	}
	f := figures{
		Requests: n, Rate: command.Round(s.res.Rate(), 0),
		P50: command.Round(s.res.Millis(0.5), 3), P99: command.Round(s.res.Millis(0.99), 3),
		ProcessCPU: each(s.own),
	}
	if s.store.ServerCPU != nil {
		server := each(s.server)
		f.ServerCPU = &server
	}
	return f
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "%s, %d callers, %d rounds of each side, %d bytes a response\n\n",
		r.Store, r.Callers, r.Rounds, r.ResponseBytes)
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "\treq/s\tp50 ms\tp99 ms\tserver CPU µs\tprocess CPU µs\t")
	for _, row := range []struct {
		name string
		figures
	}{{"grouped", r.Grouped}, {"per request", r.PerRequest}} {
		server := "-"
		if row.ServerCPU != nil {
			server = fmt.Sprintf("%.1f", *row.ServerCPU)
		}
		fmt.Fprintf(tab, "%s\t%.0f\t%.2f\t%.2f\t%s\t%.1f\t\n", row.name, row.Rate, row.P50, row.P99, server, row.ProcessCPU)
	}
	if err := tab.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\nratio %.2f (rounds %.2f to %.2f)\n", r.Ratio, slices.Min(r.RoundRatios), slices.Max(r.RoundRatios))
	return err
}
