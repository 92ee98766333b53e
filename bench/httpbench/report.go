package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// report is everything that was measured.
type report struct {
	CPUs    int      `json:"cpus"`
	Rounds  int      `json:"rounds"`
	Seconds float64  `json:"seconds_a_round"`
	Systems []system `json:"systems"`
	Cells   []*cell  `json:"cells"`
}

func (r *report) cell(name string, w workload, connections int) *cell {
	i := slices.IndexFunc(r.Cells, func(c *cell) bool {
		return c.System == name && c.Workload == w && c.Connections == connections
	})
	if i < 0 {
		return &cell{}
	}
	return r.Cells[i]
}

func (r *report) connections() (out []int) {
	for _, c := range r.Cells {
		if !slices.Contains(out, c.Connections) {
			out = append(out, c.Connections)
		}
	}
	return out
}

// markdown are the tables for people.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "Requests per second (p50 / p99 in ms); %d processors shared by servers and load, %d rounds of %g s each.\n\n",
		r.CPUs, r.Rounds, r.Seconds)
	r.table(&b, func(c *cell) string { return fmt.Sprintf("**%.0f** (%.1f / %.1f)", c.Rate, c.P50, c.P99) })
	b.WriteString("\nProcessor time a request in µs, of the server and of what it keeps its records in:\n\n")
	r.table(&b, func(c *cell) string { return fmt.Sprintf("%.0f", c.CPU) })
	return b.String()
}

// table writes one figure of every cell.
func (r *report) table(b *strings.Builder, figure func(*cell) string) {
	b.WriteString("| server | durable |")
	rule := strings.Repeat("---:|---:|", len(r.connections()))
	for _, n := range r.connections() {
		fmt.Fprintf(b, " new keys, %d conn. | replays, %d conn. |", n, n)
	}
	b.WriteString("\n|---|---|" + rule + "\n")
	for _, s := range r.Systems {
		durable := "no"
		switch {
		case s.Bare:
			durable = "–"
		case s.Durable:
			durable = "yes"
		}
		fmt.Fprintf(b, "| %s | %s |", s.Name, durable)
		for _, n := range r.connections() {
			for _, w := range []workload{newKeys, replays} {
				b.WriteString(" " + figure(r.cell(s.Name, w, n)) + " |")
			}
		}
		b.WriteString("\n")
	}
}

// write puts the results into files of a directory.
func (r *report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string]string{
		"http.md": r.markdown(), "http.svg": r.svg(), "http.json": string(data) + "\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}
