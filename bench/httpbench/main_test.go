package main

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onceward/onceward/bench/internal/load"
)

// TestMain lets the comparison start this binary as the servers under test.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		main()
		return
	}
	os.Exit(m.Run())
}

// The servers that need nothing installed but what all tests need, for a moment each.
func TestCompare(t *testing.T) {
	t.Parallel()
	for only, kinds := range map[string]int{"net/http": 1, "SQLite": 1, "onceward, PostgreSQL": 1, "Fiber, bare": 1, "memory": 1} {
		t.Run(only, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			args := []string{"-only", only, "-connections", "2", "-rounds", "2", "-duration", "30ms", "-out", dir}
			if err := run(t.Context(), args, io.Discard, io.Discard); err != nil {
				t.Fatal(err)
			}
			data, err := os.ReadFile(filepath.Join(dir, "http.json"))
			if err != nil {
				t.Fatal(err)
			}
			var got report
			if err := json.Unmarshal(data, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Systems) != kinds || len(got.Cells) != 2*kinds {
				t.Fatalf("%d systems, %d cells", len(got.Systems), len(got.Cells))
			}
			for _, c := range got.Cells {
				if c.Requests == 0 || c.Rate <= 0 || c.P50 <= 0 || c.P99 < c.P50 || c.CPU < 0 || len(c.RoundRates) != 2 {
					t.Errorf("%+v", c)
				}
			}
			checkTable(t, filepath.Join(dir, "http.md"), only)
			checkXML(t, filepath.Join(dir, "http.svg"))
		})
	}
}

func checkTable(t *testing.T, file, want string) {
	t.Helper()
	table, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(table), want) || !strings.Contains(string(table), "replays, 2 conn.") {
		t.Errorf("no row %q in\n%s", want, table)
	}
}

func checkXML(t *testing.T, file string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for d := xml.NewDecoder(f); ; {
		_, err := d.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func TestReport(t *testing.T) {
	t.Parallel()
	c := &cell{System: "A & B", Workload: newKeys, Connections: 64, Rate: 1234.4, P50: 1.26, P99: 9, res: load.Result{}}
	r := &report{CPUs: 2, Rounds: 3, Seconds: 2, Systems: []system{{Name: "A & B", Durable: true}}, Cells: []*cell{c}}
	if table := r.markdown(); !strings.Contains(table, "| A & B | yes | **1234** (1.3 / 9.0) | **0** (0.0 / 0.0) |") {
		t.Error(table)
	}
	if plot := r.svg(); !strings.Contains(plot, "A &amp; B") || !strings.Contains(plot, ">1234</text>") {
		t.Error(plot)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-connections":     {"-connections", "0"},
		"-rounds":          {"-rounds", "0"},
		"unexpected":       {"now"},
		"no server's name": {"-only", "Apache"},
		"needs the kind":   {"serve"},
		"no server of":     {"serve", "gin"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}

func TestKeys(t *testing.T) {
	t.Parallel()
	var keys keySource
	first := keys.next(nil)
	second := keys.next(nil)
	if len(first) != 36 || len(second) != 36 || bytes.Equal(first, second) {
		t.Errorf("%s, %s", first, second)
	}
}
