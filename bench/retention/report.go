package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"text/tabwriter"
	"time"

	"github.com/onceward/onceward/bench/internal/command"
	"github.com/onceward/onceward/bench/internal/stores"
)

// report is what is printed. Its JSON names are read by other programs.
type report struct {
	Rows     int64    `json:"rows"`
	Rate     float64  `json:"rate"` // of new keys that was asked for
	CPUs     int      `json:"cpus"`
	LoadRate float64  `json:"load_rows_s"`
	Phases   []*phase `json:"phases"`
	Samples  []sample `json:"samples"`
}

// phase of a run.
type phase struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"req_s"`
	P50     float64 `json:"p50_ms"`
	P99     float64 `json:"p99_ms"`
	Swept   int64   `json:"swept"`
	// SweepSeconds is how long sweeps were at work, waiting for their limit
	// included.
	SweepSeconds float64 `json:"sweep_seconds"`
}

// sweepRate is how many records were deleted per second of sweeping.
func (p *phase) sweepRate() float64 {
	if p.SweepSeconds == 0 {
		return 0
	}
	return float64(p.Swept) / p.SweepSeconds
}

// sample of the table at one moment.
type sample struct {
	Seconds   float64 `json:"seconds"` // since the beginning
	Phase     int     `json:"phase"`   // how many had ended
	TableMiB  float64 `json:"table_mib"`
	IndexMiB  float64 `json:"indexes_mib"`
	Dead      int64   `json:"dead_rows"` // that wait to be cleaned up, by the server's estimate
	Vacuums   int64   `json:"autovacuums"`
	Swept     int64   `json:"swept"`
	Completed int64   `json:"new_keys"` // written by the traffic
}

func newReport(cfg config) *report {
	return &report{Rows: cfg.rows, Rate: cfg.rate, CPUs: runtime.NumCPU()}
}

const activity = `SELECT coalesce(sum(n_dead_tup), 0)::bigint, coalesce(sum(autovacuum_count), 0)::bigint
FROM pg_stat_user_tables WHERE schemaname = $1 AND relname LIKE 'onceward\_keys%'`

// sample reads the table's sizes.
func (t *table) sample(ctx context.Context) error {
	size, err := t.store.Size(ctx)
	if err != nil {
		return err
	}
	s := sample{
		Seconds: command.Round(time.Since(t.begun).Seconds(), 1), Phase: len(t.rep.Phases), Swept: t.swept.Load(),
		Completed: t.keys.Load() - t.cfg.rows,
		TableMiB:  command.Round(stores.MiB(size.Table), 1), IndexMiB: command.Round(stores.MiB(size.Indexes), 1),
	}
	pg := t.store.Postgres
	if err := pg.Pool.QueryRow(ctx, activity, pg.Schema).Scan(&s.Dead, &s.Vacuums); err != nil {
		return err
	}
	t.rep.Samples = append(t.rep.Samples, s)
	return nil
}

func (r *report) print(w io.Writer) error {
	fmt.Fprintf(w, "PostgreSQL, %d records loaded at %.0f a second; %.0f new keys a second asked for; %d processors shared with the load\n\n",
		r.Rows, r.LoadRate, r.Rate, r.CPUs)
	tab := tabwriter.NewWriter(w, 0, 0, 3, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tab, "phase\tseconds\treq/s\tp50 ms\tp99 ms\tswept\tswept/s while sweeping\t")
	for _, p := range r.Phases {
		fmt.Fprintf(tab, "%s\t%.0f\t%.0f\t%.1f\t%.1f\t%d\t%.0f\t\n", p.Name, p.Seconds, p.Rate, p.P50, p.P99, p.Swept, p.sweepRate())
	}
	fmt.Fprintln(tab)
	fmt.Fprintln(tab, "seconds\tphase\ttable MiB\tindexes MiB\tdead rows\tautovacuums\tswept\tnew keys\t")
	for _, s := range r.Samples {
		name := "end"
		if s.Phase < len(r.Phases) {
			name = r.Phases[s.Phase].Name
		}
		fmt.Fprintf(tab, "%.0f\t%s\t%.0f\t%.0f\t%d\t%d\t%d\t%d\t\n",
			s.Seconds, name, s.TableMiB, s.IndexMiB, s.Dead, s.Vacuums, s.Swept, s.Completed)
	}
	return tab.Flush()
}
