package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func TestGrowth(t *testing.T) {
	t.Parallel()
	for _, store := range []string{"memory", "sqlite:", "postgres:"} {
		var out bytes.Buffer
		args := []string{"-store", store, "-keys", "0.0005,0.002", "-callers", "4", "-duration", "20ms", "-json"}
		if err := run(t.Context(), args, &out, io.Discard); err != nil {
			t.Fatalf("%s: %v", store, err)
		}
		var rows []row
		if err := json.Unmarshal(out.Bytes(), &rows); err != nil {
			t.Fatal(err)
		}
		if len(rows) != 2 || rows[0].Keys < 500 || rows[1].Keys < 2000 {
			t.Fatalf("%s: %+v", store, rows)
		}
		for _, r := range rows {
			if r.New.Rate <= 0 || r.Replay.P99 <= 0 || r.MemoryMiB <= 0 || (r.DiskMiB > 0) != (store != "memory") {
				t.Errorf("%s: %+v", store, r)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for want, args := range map[string][]string{
		"growing numbers": {"-keys", "10,1"},
		"-callers":        {"-callers", "0"},
		"unexpected":      {"now"},
	} {
		err := run(t.Context(), args, io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", args, err, want)
		}
	}
}
