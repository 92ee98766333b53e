package config_test

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares with a file, or rewrites it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; run the test with -update", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; run the test with -update if that is meant. Got:\n%s", path, got)
	}
}

// Every kind of mistake gets a message of its own, at its own line, and one
// does not hide the next.
func TestMistakes(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/mistakes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, err = config.Parse("mistakes.yaml", data)
	problems, ok := errors.AsType[*config.Problems](err)
	if !ok {
		t.Fatalf("got %v", err)
	}
	golden(t, "testdata/mistakes.txt", problems.Error()+"\n")
	at := make(map[int]bool)
	for _, p := range problems.List {
		at[p.Line] = true
	}
	for i, line := range strings.Split(string(data), "\n") {
		if _, announced, ok := strings.Cut(line, " # "); ok && !at[i+1] && !strings.Contains(announced, "above") {
			t.Errorf("line %d has no message: %s", i+1, line)
		}
	}
}

// minimal is the shortest file for one proxy route.
const minimal = `
store: sqlite:keys.db
auth: {single_tenant: true}
routes:
  - match: POST /orders
    proxy: http://127.0.0.1:3000
`

func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	cfg := parse(t, minimal)
	if cfg.Listen != "127.0.0.1:8080" || cfg.Admin.Listen != "127.0.0.1:8081" || cfg.TLS != nil || cfg.Chain != nil {
		t.Errorf("%+v", cfg)
	}
	if cfg.Operations.Retention.Std() != 24*time.Hour || cfg.Limits.MaxConnections != 10_000 || cfg.Limits.HeaderBytes != 64<<10 {
		t.Errorf("%+v %+v", cfg.Operations, cfg.Limits)
	}
	r := cfg.Routes[0]
	if r.CrashPolicy != "hold" || r.Key != "required" || r.KeyHeader != "Idempotency-Key" || r.TTL.Std() != 24*time.Hour || r.Kind() != "POST /orders" {
		t.Errorf("%+v", r)
	}
	// Where principals are told apart, none may take the place of all others.
	for auth, want := range map[string]int{
		"auth: {single_tenant: true}": 0, "auth: {development_bearer: true}": 0, "auth: {api_keys: {}}": 256,
		"auth: {api_keys: {}}\nlimits: {max_requests: 40}":         10,
		"auth: {api_keys: {}}\nquotas: {keys_in_flight: 0}":        0,
		"auth: {single_tenant: true}\nquotas: {keys_in_flight: 7}": 7,
	} {
		if got := parse(t, strings.Replace(minimal, "auth: {single_tenant: true}", auth, 1)).Quotas.KeysInFlight; got != want {
			t.Errorf("%s: %d keys in flight", auth, got)
		}
	}
	// A route for one method guards it, whatever the general default.
	put := parse(t, strings.Replace(minimal, "POST /orders", "PUT /orders/{id}", 1)).Routes[0]
	if len(put.Methods) != 1 || put.Methods[0] != "PUT" {
		t.Errorf("methods %v", put.Methods)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := dir + "/secret"
	if err := os.WriteFile(path, []byte(" hex:00ff \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := func(name string) string { return map[string]string{"A": "text"}[name] }
	for _, c := range []struct {
		secret config.Secret
		want   string
		fails  string
	}{
		{config.Secret{Env: "A"}, "text", ""},
		{config.Secret{File: path}, "\x00\xff", ""},
		{config.Secret{Env: "B"}, "", "B is not set"},
		{config.Secret{File: dir + "/none"}, "", "no such file"},
		{config.Secret{}, "", "no secret"},
	} {
		got, err := c.secret.Bytes(env)
		if string(got) != c.want || (err == nil) != (c.fails == "") || err != nil && !strings.Contains(err.Error(), c.fails) {
			t.Errorf("%+v: %q, %v", c.secret, got, err)
		}
	}
}

func TestSyntax(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"empty":           {"", "test.yaml: the file is empty"},
		"only a comment":  {"# nothing\n", "test.yaml: the file is empty"},
		"a list":          {"- a\n", "must be a mapping, but is a list"},
		"not YAML":        {"listen: [a\nstore: b", "the file is not YAML"},
		"two documents":   {minimal + "---\nlisten: a:1\n", ":8:1: a second document"},
		"an alias":        {"listen: &a x\nstore: *a\n", "is not supported here"},
		"a tag":           {"listen: !!str x\n", "is not supported here"},
		"a merge":         {"admin:\n  <<: {listen: \"a:1\"}\n", "merge keys are not supported"},
		"deep":            {"store: " + strings.Repeat("[", 40) + strings.Repeat("]", 40), "nested deeper than 32"},
		"too large":       {"# " + strings.Repeat("x", config.MaxFile), "larger than 4194304 bytes"},
		"nothing written": {"tls:\n" + minimal, ":1:1: tls: is empty"},
	} {
		_, err := config.Parse("test.yaml", []byte(c.text))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestUnits(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"90s": "1m30s", "24h": "24h", "1h30m": "1h30m", "500ms": "500ms", "0s": "0s",
	} {
		cfg := parse(t, minimal+"limits: {drain_delay: "+text+"}\n")
		if got := cfg.Limits.DrainDelay.String(); got != want {
			t.Errorf("%s is %s", text, got)
		}
	}
	for _, text := range []string{"5", "1d", "-1s", "1us", "\"\"", "99999999999h", "1.h"} {
		if _, err := config.Parse("test.yaml", []byte(minimal+"limits: {drain_delay: "+text+"}\n")); err == nil {
			t.Errorf("the duration %s is admitted", text)
		}
	}
	for size, want := range map[config.Size]string{1 << 20: "1MiB", 1536: "1536B", 3 << 10: "3KiB", 0: "0B"} {
		if got := size.String(); got != want {
			t.Errorf("%d is %s", int64(size), got)
		}
	}
}

func TestGroups(t *testing.T) {
	t.Parallel()
	const file = "store: {groups: [%s]}\nauth: {single_tenant: true}\nroutes: [{match: POST /x, proxy: \"http://127.0.0.1:3000\"}]\n"
	cfg := parse(t, fmt.Sprintf(file, "{dsn_env: A, slots: 0-31}, {dsn_file: /run/b, slots: 32-63}"))
	if g := cfg.Store.Groups; len(g) != 2 || g[0].DSN.Env != "A" || g[1].DSN.File != "/run/b" || g[1].Slots != "32-63" {
		t.Errorf("%+v", cfg.Store)
	}
	for groups, says := range map[string]string{
		"{dsn_env: A, slots: 0-63}":                                                           "store.groups: needs at least 2",
		"{dsn_env: A, slots: 0-31}, {dsn_env: B, slots: 31-63}":                               "store.groups[1].slots: slot 31 is kept by groups[0], too",
		"{dsn_env: A, slots: 0-29}, {dsn_env: B, slots: \"32-60,63\"}":                        "store.groups: no group keeps the slots 30-31,61-62",
		"{dsn_env: A, slots: 0-29}, {dsn_env: B, slots: 30-64}":                               "slots: \"30-64\" are no slots",
		"{dsn_env: A, slots: 0-31}, {dsn_env: B, slots: 7}":                                   "write \"7\" in quotes",
		"{dsn_env: A, slots: 0-31}, {dsn: \"postgres://user:hunter2@host/db\", slots: 32-63}": "store.groups[1].dsn: a secret is not written into this file",
		"{dsn_env: A, slots: 0-31}, {dsn_env: B, slot: 32-63}":                                "did you mean \"slots\"?",
		"{dsn_env: A, slots: 0-31}, {dsn_env: B, dsn_file: /run/b, slots: 32-63}":             "leave one of them out",
		"{dsn_env: A, slots: 0-31}, {slots: 32-63}":                                           "dsn_env or dsn_file is missing",
	} {
		_, err := config.Parse("x.yaml", fmt.Appendf(nil, file, groups))
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s:\n%v\nwant something about %q", groups, err, says)
		}
	}
}
