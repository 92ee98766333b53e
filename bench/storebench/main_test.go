package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// output runs the command and returns what it prints.
func output(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestJSON(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"memory", "postgres:", "sqlite:", "sqlite:" + filepath.Join(t.TempDir(), "once.db")} {
		out := output(t, "-store", store, "-callers", "8", "-duration", "60ms", "-rounds", "2", "-json")
		if strings.Contains(out, t.TempDir()) || strings.Count(out, "\n") != 1 {
			t.Errorf("%s: not one line without the address: %s", store, out)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatalf("%s: %v in %s", store, err, out)
		}
		if got["ratio"].(float64) <= 0 || len(got["round_ratios"].([]any)) != 2 {
			t.Errorf("%s: ratio %v of rounds %v", store, got["ratio"], got["round_ratios"])
		}
		for _, name := range []string{"grouped", "per_request"} {
			side := got[name].(map[string]any)
			if side["requests"].(float64) < 8 || side["req_s"].(float64) <= 0 || side["process_cpu_us"].(float64) <= 0 {
				t.Errorf("%s: %s: %v", store, name, side)
			}
			if p50, p99 := side["p50_ms"].(float64), side["p99_ms"].(float64); p50 <= 0 || p99 < p50 {
				t.Errorf("%s: %s: p50 %v, p99 %v", store, name, p50, p99)
			}
			cpu, there := side["server_cpu_us"]
			if _, ok := cpu.(float64); !there || ok != (store == "postgres:") {
				t.Errorf("%s: %s: processor time of the server: %v", store, name, cpu)
			}
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	out := output(t, "-store", "memory", "-callers", "2", "-duration", "20ms", "-rounds", "1")
	for _, want := range []string{"memory, 2 callers", "p99 ms", "grouped", "per request", "ratio "} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestTemporaryDatabaseIsRemoved(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	output(t, "-store", "sqlite:", "-callers", "1", "-duration", "10ms", "-rounds", "1")
	left, err := os.ReadDir(dir)
	if err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"memory, postgres":    {"-store", "mongodb:x"},
		"-callers 0":          {"-callers", "0"},
		"-rounds 0":           {"-rounds", "0"},
		"needs a millisecond": {"-duration", "3ms", "-rounds", "100"},
		"-bytes -1":           {"-bytes", "-1"},
		"unexpected argument": {"now"},
		"opening sqlite":      {"-store", "sqlite:" + filepath.Join(t.TempDir(), "none", "once.db")},
		"opening postgres":    {"-store", "postgres://nobody@127.0.0.1:1/none?connect_timeout=5"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
	if err := run(t.Context(), []string{"-h"}, io.Discard, io.Discard); !errors.Is(err, flag.ErrHelp) {
		t.Error(err)
	}
}
