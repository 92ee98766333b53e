package main_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
)

// expired leaves n operations whose answers were kept for as long as they had to
// be.
func (d *database) expired(t testing.TB, n int) {
	t.Helper()
	h, err := storage.Create(t.Context(), d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	lastWeek := time.Now().AddDate(0, 0, -7)
	eng, err := onceward.New(h.Store, onceward.Config{Now: func() time.Time { return lastWeek }})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		req := onceward.Request{Key: onceward.Key{Scope: "key:acme", Value: fmt.Sprint("expired-", i)}}
		if _, err := eng.Do(t.Context(), req, func(context.Context, *onceward.Operation) (onceward.Response, error) {
			return onceward.Response{Status: 201}, nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A pass says how much it has deleted, to people and to machines, and the audit
// log has who wanted that and why.
func TestSweepCommand(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, nil)
	d.expired(t, 3)
	fails(t, 2, "--reason", "sweep", "--store", d.dsn)
	fails(t, 1, "reason", "sweep", "--store", d.dsn, "--reason= ")
	if got := done(t, nil, "sweep", "--store", d.dsn, "--reason=disk space", "-o", "json"); got != "{\n  \"deleted\": 3\n}\n" {
		t.Errorf("for machines: %q", got)
	}
	d.expired(t, 2)
	for _, want := range []string{"deleted  2\n", "deleted  0\n"} {
		if got := done(t, nil, "sweep", "--store", d.dsn, "--reason=more of it", "--actor=ada"); got != want {
			t.Errorf("for people: %q, want %q", got, want)
		}
	}
	var left keyPage
	if done(t, &left, "keys", "list", "--store", d.dsn, "-o", "json"); len(left.Keys) != 2 {
		t.Errorf("of what has not expired is left: %+v", left)
	}

	var log struct {
		Entries []struct {
			Seq, Request                                 int64
			Actor, Action, Phase, Target, Reason, Detail string
		}
	}
	done(t, &log, "audit", "list", "--store", d.dsn, "-o", "json")
	var told strings.Builder
	for i := range log.Entries {
		e := log.Entries[len(log.Entries)-1-i] // the oldest first
		fmt.Fprintf(&told, "%d %d %s, %s %s%s: %s; %s\n", e.Seq, e.Request, e.Actor, e.Action, e.Phase, e.Target, e.Reason, e.Detail)
	}
	if want := `1 0 ops@example, sweep requested: disk space; 
2 1 ops@example, sweep done: disk space; 3 records deleted
3 0 ada, sweep requested: more of it; 
4 3 ada, sweep done: more of it; 2 records deleted
5 0 ada, sweep requested: more of it; 
6 5 ada, sweep done: more of it; 0 records deleted
`; told.String() != want {
		t.Errorf("the audit log has\n%s, want\n%s", &told, want)
	}
	done(t, nil, "audit", "verify", "--store", d.dsn)
}
