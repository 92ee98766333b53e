package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
)

// result is how a command ended.
type result struct {
	stdout, stderr string
	code           int
}

// tool runs a command to its end.
func tool(t testing.TB, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.Env = append(os.Environ(), "ONCEWARD_ACTOR=ops@example")
	err := cmd.Run()
	if _, exit := errors.AsType[*exec.ExitError](err); err != nil && !exit {
		t.Fatal(err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// done runs a command that must succeed, and decodes what it says into v.
func done(t testing.TB, v any, args ...string) string {
	t.Helper()
	r := tool(t, args...)
	if r.code != 0 {
		t.Fatalf("onceward %v ended with %d: %s", args, r.code, r.stderr)
	}
	if v != nil {
		if err := json.Unmarshal([]byte(r.stdout), v); err != nil {
			t.Fatalf("onceward %v: %v in %s", args, err, r.stdout)
		}
	}
	return r.stdout
}

// fails runs a command that must end with a status, saying something.
func fails(t testing.TB, code int, says string, args ...string) {
	t.Helper()
	r := tool(t, args...)
	if r.code != code || !strings.Contains(r.stderr, says) || strings.Contains(r.stderr, "panic") {
		t.Errorf("onceward %v ended with %d and %q; want %d and something about %q", args, r.code, r.stderr, code, says)
	}
}

// database is a store file with operations in it.
type database struct {
	dsn  string
	keys *seal.Keyring // nil when it is not encrypted
}

// use runs f on the store, as a gateway would have it.
func (d *database) use(t testing.TB, f func(eng *onceward.Engine)) {
	t.Helper()
	h, err := storage.Create(t.Context(), d.dsn)
	if err != nil {
		t.Fatal(err)
	}
	store := h.Store
	if d.keys != nil {
		if store, err = seal.Open(t.Context(), h.Store, d.keys, seal.Config{}); err != nil {
			t.Fatal(err)
		}
	}
	eng, err := onceward.New(store, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	f(eng)
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// do makes one operation whose handler ends as given.
func (d *database) do(t testing.TB, key onceward.Key, decision onceward.Decision) (out onceward.Outcome, err error) {
	t.Helper()
	d.use(t, func(eng *onceward.Engine) {
		out, err = eng.Do(t.Context(), onceward.Request{Key: key, Kind: "order", Detail: []byte("d")},
			func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
				op.Conclude(decision, "nobody\x1b[31m knows")
				return onceward.Response{Status: 201, Body: []byte(`{"secret":"hush"}`)}, op.Checkpoint(ctx, "sent", []byte("x"))
			})
	})
	return out, err
}

var (
	finished = onceward.Key{Scope: "key:acme", Value: "0123456789abcdef"}
	unknown  = onceward.Key{Scope: "key:acme", Value: "fedcba9876543210"}
)

func newDatabase(t testing.TB, keys *seal.Keyring) *database {
	t.Helper()
	d := &database{dsn: "sqlite:" + filepath.Join(t.TempDir(), "once.db"), keys: keys}
	if _, err := d.do(t, finished, onceward.Completed); err != nil {
		t.Fatal(err)
	}
	if _, err := d.do(t, unknown, onceward.Unknown); onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
		t.Fatal(err)
	}
	return d
}

type keyPage struct {
	Keys []struct {
		OperationID string `json:"operation_id"`
		Key, Status string
	}
	Next string
}

func TestOperatorLooksAtKeys(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, nil)
	var page keyPage
	done(t, &page, "keys", "list", "--store", d.dsn, "-o", "json", "--limit=1")
	if len(page.Keys) != 1 || page.Keys[0].Status != "HELD" || page.Keys[0].Key != "fedcba98…" || page.Next == "" {
		t.Fatalf("got %+v", page)
	}
	next := page.Next
	page = keyPage{}
	done(t, &page, "operations", "list", "--store", d.dsn, "-o", "json", "--cursor", next, "--show-keys")
	if len(page.Keys) != 1 || page.Keys[0].Key != finished.Value || page.Next != "" {
		t.Fatalf("got %+v", page)
	}
	id := finished.ID().String()
	for _, shown := range []string{
		done(t, nil, "keys", "list", "--store", d.dsn),
		done(t, nil, "operations", "list", "--store", d.dsn, "--scope=key:acme", "--kind=order"),
		done(t, nil, "keys", "show", "--store", d.dsn, id),
		done(t, nil, "operations", "show", "--store", d.dsn, "-o", "json", "--scope=key:acme", "--key", finished.Value),
	} {
		if !strings.Contains(shown, id) || strings.Contains(shown, finished.Value) || strings.Contains(shown, "hush") || strings.Contains(shown, "\x1b") {
			t.Errorf("got %s", shown)
		}
	}
	if shown := done(t, nil, "operations", "show", "--store", d.dsn, "--body", "--show-keys", id); !strings.Contains(shown, "hush") ||
		!strings.Contains(shown, finished.Value) || !strings.Contains(shown, "sent") {
		t.Errorf("got %s", shown)
	}
	if shown := done(t, nil, "keys", "list", "--store", d.dsn, "--status=STARTED"); strings.Contains(shown, "key:acme") {
		t.Errorf("got %s", shown)
	}
}

func TestOperatorDecides(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, nil)
	id := unknown.ID().String()
	body := filepath.Join(t.TempDir(), "body.json")
	if err := os.WriteFile(body, []byte(`{"paid":true}`), 0o600); err != nil {
		t.Fatal(err)
	}
	fails(t, 2, "--reason", "keys", "release", "--store", d.dsn, id)
	fails(t, 1, "HELD", "keys", "hold", "--store", d.dsn, id, "--reason=r")
	fails(t, 1, "COMPLETED", "keys", "release", "--store", d.dsn, finished.ID().String(), "--reason=r")
	fails(t, 1, "reason", "keys", "release", "--store", d.dsn, id, "--reason= ")
	out := done(t, nil, "keys", "complete", "--store", d.dsn, id, "--status=200", "--body-file", body, "--reason=the bank says so")
	if !strings.Contains(out, "COMPLETED") {
		t.Errorf("got %s", out)
	}
	if got, err := d.do(t, unknown, onceward.NotApplied); err != nil || !got.Replayed || string(got.Response.Body) != `{"paid":true}` {
		t.Errorf("the retry got %+v, %v", got, err)
	}

	again := onceward.Key{Scope: "key:acme", Value: "again"}
	if _, err := d.do(t, again, onceward.Unknown); onceward.CodeOf(err) != onceward.CodeOutcomeUnknown {
		t.Fatal(err)
	}
	done(t, nil, "keys", "release", "--store", d.dsn, "--scope=key:acme", "--key=again", "--reason=it never left")
	if got, err := d.do(t, again, onceward.Completed); err != nil || got.Replayed {
		t.Errorf("the retry got %+v, %v", got, err)
	}

	var log struct {
		Entries []struct {
			Seq                                  int64
			Actor, Action, Phase, Target, Reason string
		}
	}
	done(t, &log, "audit", "list", "--store", d.dsn, "-o", "json")
	if len(log.Entries) != 4 || log.Entries[3].Action != "keys complete" || log.Entries[3].Phase != "requested" ||
		log.Entries[3].Reason != "the bank says so" || log.Entries[3].Target != id || log.Entries[3].Actor != "ops@example" ||
		log.Entries[0].Action != "keys release" || log.Entries[0].Phase != "done" {
		t.Fatalf("the log is %+v", log)
	}
	var head struct{ Head string }
	done(t, &head, "audit", "verify", "--store", d.dsn, "-o", "json")
	done(t, nil, "sweep", "--store", d.dsn, "--reason=disk space")
	done(t, nil, "audit", "verify", "--store", d.dsn, "--head", head.Head)
	fails(t, 1, "tampered", "audit", "verify", "--store", d.dsn, "--head", "4:"+strings.Repeat("0", 64))
}

// TestOperatorHoldsARunningOne takes an operation from a gateway at work.
func TestOperatorHoldsARunningOne(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, nil)
	key := onceward.Key{Scope: "key:acme", Value: "running"}
	d.use(t, func(eng *onceward.Engine) {
		_, err := eng.Do(t.Context(), onceward.Request{Key: key}, func(context.Context, *onceward.Operation) (onceward.Response, error) {
			done(t, nil, "keys", "hold", "--store", d.dsn, key.ID().String(), "--reason=it is stuck") //nolint:contextcheck // the test's own ends it
			return onceward.Response{Status: 201}, nil
		})
		if err == nil {
			t.Error("the owner's answer was recorded although the operation was taken away")
		}
		if rec, err := eng.Get(t.Context(), key); err != nil || rec.Status != onceward.StatusHeld {
			t.Errorf("it is %s, %v", rec.Status, err)
		}
	})
}

func TestWrongUsage(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, nil)
	for _, c := range []struct {
		says string
		args []string
	}{
		{"--store", []string{"keys", "list"}},
		{"no database", []string{"keys", "list", "--store", d.dsn + "x"}},
		{"operation id", []string{"keys", "show", "--store", d.dsn, "abc"}},
		{"--scope and --key", []string{"keys", "show", "--store", d.dsn}},
		{"--scope and --key", []string{"keys", "show", "--store", d.dsn, finished.ID().String(), "--key=a"}},
		{"--limit", []string{"keys", "list", "--store", d.dsn, "--limit=0"}},
		{"--limit", []string{"apikeys", "list", "--store", d.dsn, "--limit=5000"}},
		{"--output", []string{"keys", "list", "--store", d.dsn, "-o", "yaml"}},
		{"--status", []string{"keys", "complete", "--store", d.dsn, unknown.ID().String(), "--status=99", "--reason=r"}},
		{"NUMBER:HASH", []string{"audit", "verify", "--store", d.dsn, "--head=x"}},
		{"not encrypted", []string{"keys", "show", "--store", d.dsn, "--keyring", keyringFile(t), finished.ID().String()}},
	} {
		fails(t, 2, c.says, c.args...)
	}
	fails(t, 1, "never accepted", "keys", "show", "--store", d.dsn, "--scope=x", "--key=y")
	if _, err := os.Stat(strings.TrimPrefix(d.dsn, "sqlite:") + "x"); err == nil {
		t.Error("a database was created for looking at it")
	}
}

func keyringFile(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "keyring.json")
	done(t, nil, "keyring", "create", path)
	return path
}
