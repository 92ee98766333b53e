package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/strkey"
)

// remains looks into the database and its write-ahead log for what an
// operation has left: the account in its envelopes, and the hash in its answer.
func remains(t testing.TB, path string, a answer, to string) (found []string) {
	t.Helper()
	raw := strkey.MustDecode(strkey.VersionByteAccountID, to)
	hash, _ := a.field(t, "tx_hash").(string)
	hashBytes, err := hex.DecodeString(hash)
	if err != nil || len(hashBytes) != 32 {
		t.Fatalf("no transaction in %s", a.body)
	}
	var data []byte
	for _, name := range []string{"onceward.db", "onceward.db-wal"} {
		part, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		data = append(data, part...)
	}
	forms := map[string][]byte{"the account": []byte(to), "the account's key": raw, "the hash": []byte(hash), "the hash's bytes": hashBytes}
	for from := range 3 { // wherever it stands in what was encoded
		forms[fmt.Sprint("the account's key in base64, from ", from)] = []byte(base64.StdEncoding.EncodeToString(raw[from : from+30]))
	}
	for what, form := range forms {
		if bytes.Contains(data, form) {
			found = append(found, what)
		}
	}
	return found
}

// rotate changes a keyring and has the gateway read it.
func (s *server) rotate(t testing.TB, count int, file string, args ...string) {
	t.Helper()
	done(t, nil, append([]string{"keyring", args[0], file}, args[1:]...)...)
	s.hangup("configuration reloaded", count)
}

// TestServeEncryption switches encryption on for a store in use, rotates its
// keyring, and forgets a tenant.
func TestServeEncryption(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path := configFile(t, rpc)
	file, store, text := filepath.Join(filepath.Dir(path), "keyring.json"), storeOf(path), read(t, path)
	created := done(t, nil, "keyring", "create", file)
	encrypted := func(options string) {
		writeFile(t, path, text+"\nencryption: {keyring_file: \""+file+"\", key_ttl: 1s"+options+"}\nwebhook: {url: \"http://127.0.0.1:1/\", secret_env: HOOK, allow_insecure: true}\n")
	}
	s := startServe(t, path)
	s.env = append([]string{"HOOK=" + webhookSecret}, s.env...)
	mint := func(tenant, key, to string) answer {
		t.Helper()
		return s.post("/v1/rewards", key, reward(to, 1), "Authorization", "Bearer "+tenant)
	}
	plain := mint("alice", "plain", "plain")
	if left := remains(t, path, plain, account("plain")); len(left) < 2 {
		t.Fatalf("without encryption the database holds %v: this search proves nothing", left)
	}
	s.terminate()
	encrypted(", accept_plaintext: true")
	s.start()
	if again := mint("alice", "plain", "plain"); again.body != plain.body {
		t.Errorf("an answer from before: %d %s", again.status, again.body)
	}
	alice, bob := mint("alice", "k", "alice"), mint("bob", "k", "bob")
	for who, a := range map[string]answer{"alice": alice, "bob": bob} {
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", who, a.status, a.body)
		}
	}
	replays := func(when string, want map[string]answer) {
		t.Helper()
		for who, first := range want {
			if a := mint(who, "k", who); a.body != first.body || a.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("%s, %s: %d %s", when, who, a.status, a.body)
			}
		}
	}
	both := map[string]answer{"alice": alice, "bob": bob}
	replays("encrypted", both)

	// Rotation, without a restart.
	var old, next uint32
	if _, err := fmt.Sscanf(created, "key %d", &old); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(done(t, nil, "keyring", "add", file), "key %d", &next); err != nil {
		t.Fatal(err)
	}
	s.hangup("configuration reloaded", 1)
	s.rotate(t, 2, file, "promote", fmt.Sprint(next))
	carol := mint("carol", "k", "carol")
	both["carol"] = carol
	replays("promoted", both)
	at := []string{"--store", store, "--keyring", file, "--reason", "test"}
	done(t, nil, append([]string{"keyring", "rewrap"}, at...)...)
	done(t, nil, append([]string{"keyring", "remove", fmt.Sprint(old)}, at...)...)
	s.hangup("configuration reloaded", 3)
	replays("rotated", both)
	good := read(t, file)
	done(t, nil, "keyring", "create", file+".other")
	writeFile(t, file, read(t, file+".other"))
	s.hangup("the old one stays in force", 1)
	replays("after another's keyring", both)
	writeFile(t, file, good)
	for who, a := range both {
		if left := remains(t, path, a, account(who)); left != nil {
			t.Errorf("the database holds in clear, of %s: %v", who, left)
		}
	}
	forget(t, s, at, mint, both)
	if got := mints(t, rpc); got[account("alice")] != 1 || got[account("alice again")] != 2 || got[account("bob")] != 1 {
		t.Errorf("mints: %v", got)
	}
}

// forget destroys what alice has left. She is told so, others keep theirs, and
// a restart changes nothing.
func forget(t *testing.T, s *server, at []string, mint func(tenant, key, to string) answer, others map[string]answer) {
	t.Helper()
	var list struct {
		Records []struct {
			Scope string `json:"scope"`
			ID    string `json:"operation_id"`
		} `json:"keys"`
	}
	done(t, &list, "keys", "list", at[0], at[1], at[2], at[3], "-o", "json")
	id, scope := fmt.Sprint(others["alice"].field(t, "operation_id")), ""
	for _, r := range list.Records {
		if r.ID == id {
			scope = r.Scope
		}
	}
	if scope == "" {
		t.Fatalf("no operation %s in %+v", id, list)
	}
	done(t, nil, append([]string{"keyring", "forget", scope}, at...)...)
	delete(others, "alice")
	for round := range 2 {
		eventually(t, "alice's answer cannot be read", func() bool { return mint("alice", "k", "alice").status == http.StatusConflict })
		gone := mint("alice", "k", "alice")
		gone.refused(t, "forgotten", http.StatusConflict, "response-unavailable")
		if a := s.get("/v1/operations/"+id, "Authorization", "Bearer alice"); a.status != http.StatusOK || strings.Contains(a.body, "tx_hash") {
			t.Errorf("what is left of the operation: %d %s", a.status, a.body)
		}
		for who, first := range others {
			if a := mint(who, "k", who); a.body != first.body {
				t.Errorf("%s after alice was forgotten: %d %s", who, a.status, a.body)
			}
		}
		if a := mint("alice", fmt.Sprint("new-", round), "alice again"); a.status != http.StatusOK {
			t.Errorf("alice begins anew: %d %s", a.status, a.body)
		}
		if round == 0 {
			s.terminate()
			s.start()
		}
	}
}
