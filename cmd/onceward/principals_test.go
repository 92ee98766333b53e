package main_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// API keys, encryption and quotas of a configuration, seen from outside.
func TestServePrincipals(t *testing.T) {
	t.Parallel()
	path := configFile(t, startChain(t, 100*time.Millisecond),
		"  development_bearer: true # every bearer token is a principal; none is \"anonymous\"\n", "  api_keys: {cache_ttl: 1s}\n",
		"    signer: minter\n", "    signer: minter\n    allow: principal.method == \"key\" && request.headers[\"x-role\"] == \"minter\"\n")
	dir := filepath.Dir(path)
	store := "sqlite:" + filepath.Join(dir, "onceward.db")
	keyring := filepath.Join(dir, "keyring.json")
	if _, stderr, code := execute(t, "keyring", "create", keyring); code != 0 {
		t.Fatal(stderr)
	}
	writeFile(t, path, read(t, path)+"\nencryption: {keyring_file: "+keyring+"}\nquotas: {requests_in_flight: 8, keys_stored: 1}\n")
	s := startServe(t, path)
	header := func(args ...string) []string {
		t.Helper()
		out, stderr, code := execute(t, append([]string{"apikeys", "create", "--store", store, "--reason", "test"}, args...)...)
		if code != 0 {
			t.Fatal(stderr)
		}
		for word := range strings.FieldsSeq(out) {
			if strings.HasPrefix(word, "owk_") {
				return []string{"Authorization", "Bearer " + word, "X-Role", "minter"}
			}
		}
		t.Fatalf("no key in %s", out)
		return nil
	}
	alice, bob := header("alice"), header("bob")

	if a := s.post("/v1/rewards", "k", reward("a", 1)); a.status != http.StatusUnauthorized || a.header.Get("WWW-Authenticate") == "" {
		t.Errorf("nobody: %d %s", a.status, a.body)
	}
	if a := s.post("/v1/rewards", "k", reward("a", 1), "Authorization", "Bearer owk_wrong"); a.status != http.StatusUnauthorized {
		t.Errorf("a wrong key: %d %s", a.status, a.body)
	}
	if a := s.post("/v1/rewards", "k", reward("a", 1), alice[:2:2]...); a.status != http.StatusForbidden {
		t.Errorf("without its role: %d %s", a.status, a.body)
	}
	first := s.post("/v1/rewards", "k", reward("a", 1), alice...)
	if first.status != http.StatusOK {
		t.Fatalf("alice: %d %s", first.status, first.body)
	}
	if again := s.post("/v1/rewards", "k", reward("a", 1), alice...); again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("again: %d %s", again.status, again.body)
	}
	if a := s.post("/v1/rewards", "k", reward("b", 1), bob...); a.status != http.StatusOK {
		t.Errorf("bob has keys of his own: %d %s", a.status, a.body)
	}
	eventually(t, "alice has more keys than she may", func() bool {
		a := s.post("/v1/rewards", "more", reward("a", 1), alice...)
		return a.status == http.StatusTooManyRequests && a.header.Get("Retry-After") != ""
	})
	txHash, _ := first.field(t, "tx_hash").(string)
	for _, name := range []string{"onceward.db", "onceward.db-wal"} {
		if text := read(t, filepath.Join(dir, name)); strings.Contains(text, txHash) || strings.Contains(text, "SUCCEEDED") {
			t.Errorf("%s holds an answer in clear", name)
		}
	}
}
