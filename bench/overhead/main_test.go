package main

import (
	"bytes"
	"encoding/json"
	"io"
	"strings"
	"testing"
)

func BenchmarkOverhead(b *testing.B) {
	for _, s := range sides() {
		b.Run(s.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.do()
			}
		})
	}
}

func TestJSON(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-rounds", "2", "-requests", "50", "-json"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{sideBare, sideNoKey, sideNew, sideReplay, sideUnstored, sideStoreNew, sideStoreReplay} {
		c, ok := got[name].(map[string]any)
		if !ok || c["ns_op"].(float64) <= 0 {
			t.Errorf("%s: %v", name, got[name])
		}
	}
	for _, name := range []string{"added_no_key", "added_new_key", "added_replay"} {
		if _, ok := got[name].(map[string]any)["allocs_op"].(float64); !ok {
			t.Errorf("%s: %v", name, got[name])
		}
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := run(t.Context(), []string{"-rounds", "1", "-requests", "10"}, &out, io.Discard); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"allocs/op", "guarded, replay", "added to a new key"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestReportSubtracts(t *testing.T) {
	t.Parallel()
	r := newReport(1, 1, map[string]cost{
		sideBare: {100, 10, 1}, sideNoKey: {110, 10, 1},
		sideNew: {1000, 500, 20}, sideStoreNew: {300, 200, 9},
		sideReplay: {700, 400, 10}, sideStoreReplay: {200, 100, 3},
	})
	if r.AddedNewKey != (cost{600, 290, 10}) || r.AddedReplay != (cost{500, 300, 7}) || r.AddedNoKey != (cost{10, 0, 0}) {
		t.Errorf("%+v", r)
	}
	if r.AddedPercent.NoKey != 10 {
		t.Errorf("%v %%", r.AddedPercent.NoKey)
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"-rounds", "0"}, {"-requests", "0"}, {"now"}} {
		if err := run(t.Context(), args, io.Discard, io.Discard); err == nil {
			t.Errorf("%q was accepted", args)
		}
	}
}
