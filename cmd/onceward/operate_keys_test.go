package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
)

func TestAPIKeyCommands(t *testing.T) {
	t.Parallel()
	d := newDatabase(t, nil)
	fails(t, 2, "--reason", "apikeys", "create", "--store", d.dsn, "acme")
	var key struct{ ID, Token, Principal string }
	done(t, &key, "apikeys", "create", "--store", d.dsn, "acme", "--note=till 7", "--expires=24h", "--reason=new till", "-o", "json")
	// A new Book each time: a gateway that has not seen the key yet.
	knows := func() (auth.Principal, error) {
		h, err := storage.Create(t.Context(), d.dsn)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = h.Close(t.Context()) }() // only the book is of interest
		book, err := auth.NewBook(h.Store, auth.BookConfig{})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+key.Token)
		return book.Authenticate(r)
	}
	if p, err := knows(); err != nil || p.Scope() != "key:acme" {
		t.Fatalf("got %q, %v", p.Scope(), err)
	}
	listed := done(t, nil, "apikeys", "list", "--store", d.dsn)
	log := done(t, nil, "audit", "list", "--store", d.dsn, "-o", "json")
	secretPart := key.Token[len(key.Token)-40:]
	if !strings.Contains(listed, key.ID) || !strings.Contains(listed, "till 7") || strings.Contains(listed+log, secretPart) {
		t.Errorf("listed:\n%s\nlogged:\n%s", listed, log)
	}
	done(t, nil, "apikeys", "revoke", "--store", d.dsn, key.ID, "--reason=lost")
	if _, err := knows(); err == nil {
		t.Error("the revoked key is accepted")
	}
	fails(t, 1, "no such API key", "apikeys", "revoke", "--store", d.dsn, "nonsense", "--reason=r")
}

func TestKeyringCommands(t *testing.T) {
	t.Parallel()
	file := keyringFile(t)
	read := func() *seal.Keyring {
		t.Helper()
		k, err := seal.ReadKeyring(file)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := read()
	d := newDatabase(t, first)
	id := finished.ID().String()

	// Without the keyring an encrypted store can be listed, and no more.
	if out := done(t, nil, "keys", "list", "--store", d.dsn); !strings.Contains(out, id) {
		t.Errorf("got %s", out)
	}
	fails(t, 2, "encrypted", "keys", "show", "--store", d.dsn, id)
	fails(t, 2, "encrypted", "keys", "release", "--store", d.dsn, unknown.ID().String(), "--reason=r")
	fails(t, 1, "another keyring", "keys", "show", "--store", d.dsn, "--keyring", keyringFile(t), id)
	if out := done(t, nil, "keys", "show", "--store", d.dsn, "--keyring", file, "--body", id); !strings.Contains(out, "hush") {
		t.Errorf("got %s", out)
	}

	// Rotation.
	done(t, nil, "keyring", "add", file)
	second := read().Keys()[1].ID
	fails(t, 1, "still wraps", "keyring", "remove", "--store", d.dsn, "--keyring", file, fmt.Sprint(first.Primary()), "--reason=r")
	done(t, nil, "keyring", "promote", file, fmt.Sprint(second))
	done(t, nil, "keyring", "rewrap", "--store", d.dsn, "--keyring", file, "--reason=yearly")
	done(t, nil, "keyring", "remove", "--store", d.dsn, "--keyring", file, fmt.Sprint(first.Primary()), "--reason=yearly")
	if keys := read().Keys(); len(keys) != 1 || keys[0].ID != second {
		t.Fatalf("left are %v", keys)
	}
	if out := done(t, nil, "keyring", "list", file, "-o", "json"); !strings.Contains(out, fmt.Sprint(second)) {
		t.Errorf("got %s", out)
	}
	d.keys = read()
	if got, err := d.do(t, finished, onceward.NotApplied); err != nil || !got.Replayed {
		t.Errorf("after the rotation the retry got %+v, %v", got, err)
	}

	// A tenant leaves.
	fails(t, 1, "not final", "keyring", "forget", "--store", d.dsn, "--keyring", file, "key:acme", "--reason=contract ended")
	done(t, nil, "keys", "complete", "--store", d.dsn, "--keyring", file, unknown.ID().String(), "--status=200", "--reason=it was paid")
	done(t, nil, "keyring", "forget", "--store", d.dsn, "--keyring", file, "key:acme", "--reason=contract ended")
	fails(t, 1, "no data key", "keyring", "forget", "--store", d.dsn, "--keyring", file, "key:acme", "--reason=contract ended")
	if _, err := d.do(t, finished, onceward.NotApplied); onceward.CodeOf(err) != onceward.CodeResponseUnavailable {
		t.Errorf("after the key is gone the retry got %v", err)
	}
	done(t, nil, "audit", "verify", "--store", d.dsn)
}

// TestCompletion asks bash itself.
func TestCompletion(t *testing.T) {
	t.Parallel()
	script := done(t, nil, "completion", "bash")
	complete := func(words ...string) string {
		t.Helper()
		var quoted []string
		for _, w := range words {
			quoted = append(quoted, "'"+w+"'")
		}
		ask := fmt.Sprintf("%s\nCOMP_WORDS=(%s); COMP_CWORD=%d; _onceward; echo \"${COMPREPLY[@]}\"",
			script, strings.Join(quoted, " "), len(words)-1)
		out, err := exec.CommandContext(t.Context(), "bash", "--norc", "-c", ask).CombinedOutput()
		if err != nil {
			t.Fatalf("bash: %v\n%s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	for want, words := range map[string][]string{
		"keyring keys": {"onceward", "key"},
		"hold":         {"onceward", "keys", "h"},
		"--reason":     {"onceward", "keys", "release", "--rea"},
		"table json":   {"onceward", "keys", "list", "-o", ""},
		"json":         {"onceward", "keys", "list", "--output", "j"},
		"bash":         {"onceward", "completion", "ba"},
		"--show-keys":  {"onceward", "--log-level", "info", "operations", "list", "--sh"},
		"verify":       {"onceward", "audit", "ver"},
		"debug":        {"onceward", "--log-level", "de"},
		"list show":    {"onceward", "operations", ""},
		"--keyring":    {"onceward", "keys", "list", "--store", "sqlite:a", "--keyr"},
		"--rpc-listen": {"onceward", "dev", "--rpc-l"},
		"release":      {"onceward", "keys", "rel"},
		"create":       {"onceward", "apikeys", "cr"},
		"STARTED":      {"onceward", "keys", "list", "--status", "ST"},
	} {
		got := complete(words...)
		if words[len(words)-1] == "" {
			got = strings.Join(withoutFlags(got), " ")
		}
		if got != want {
			t.Errorf("%v completes to %q, want %q", words, got, want)
		}
	}
	if zsh := done(t, nil, "completion", "zsh"); !strings.Contains(zsh, "bashcompinit") {
		t.Error("the script for zsh does not load bashcompinit")
	}
	if fish := done(t, nil, "completion", "fish"); !strings.Contains(fish, "-a release") || !strings.Contains(fish, "-l output -x -a 'table json'") {
		t.Errorf("got %s", fish)
	}
	fails(t, 2, "fish", "completion", "csh")
}

func withoutFlags(s string) (out []string) {
	for w := range strings.FieldsSeq(s) {
		if !strings.HasPrefix(w, "-") {
			out = append(out, w)
		}
	}
	return out
}
