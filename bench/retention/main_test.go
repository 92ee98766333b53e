package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestRetention(t *testing.T) {
	t.Parallel()
	args := []string{
		"-store", "postgres:", "-rows", "2000", "-rate", "200", "-callers", "8",
		"-quiet", "300ms", "-steady", "1s", "-sweeps", "100ms", "-samples", "200ms", "-json",
	}
	var out bytes.Buffer
	if err := run(t.Context(), args, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var rep report
	if err := json.Unmarshal(out.Bytes(), &rep); err != nil {
		t.Fatal(err)
	}
	if len(rep.Phases) != 4 || len(rep.Samples) < 5 || rep.LoadRate <= 0 {
		t.Fatalf("%s", out.String())
	}
	for _, p := range rep.Phases {
		if p.Name != "backlog" && (p.Rate <= 0 || p.P99 < p.P50 || p.P50 <= 0) {
			t.Errorf("%+v", p)
		}
	}
	quiet, backlog, steady, again := rep.Phases[0], rep.Phases[1], rep.Phases[2], rep.Phases[3]
	if quiet.Swept != 0 || again.Swept != 0 || backlog.Swept < 400 || backlog.sweepRate() <= 0 || steady.Swept == 0 {
		t.Errorf("swept %d, %d, %d, %d", quiet.Swept, backlog.Swept, steady.Swept, again.Swept)
	}
	first, last := rep.Samples[0], rep.Samples[len(rep.Samples)-1]
	if first.TableMiB <= 0 || first.IndexMiB <= 0 || last.Swept != backlog.Swept+steady.Swept || last.Completed < 200 {
		t.Errorf("%+v, %+v", first, last)
	}
	out.Reset()
	if err := rep.print(&out); err != nil || !strings.Contains(out.String(), "swept/s") || !strings.Contains(out.String(), "quiet again") {
		t.Errorf("%v in\n%s", err, out.String())
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"-rows":               {"-rows", "1"},
		"-rate":               {"-rate", "0"},
		"-callers":            {"-callers", "0"},
		"-steady":             {"-steady", "0s"},
		"unexpected":          {"now"},
		"measures PostgreSQL": {"-store", "memory"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
