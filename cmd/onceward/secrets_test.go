package main_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

// hidden are secrets of a configuration, by where they come from.
type hidden map[string]string

// found names the secrets that a text holds, in clear or in a usual disguise.
func (h hidden) found(text string) (out []string) {
	for name, secret := range h {
		digits := strings.TrimPrefix(secret, "hex:")
		for _, form := range []string{digits, base64.StdEncoding.EncodeToString([]byte(secret)), strings.ToUpper(digits)} {
			if strings.Contains(text, form) {
				out = append(out, name)
				break
			}
		}
	}
	return out
}

// environ is the environment that the configuration reads.
func (h hidden) environ() (out []string) {
	for name, secret := range h {
		out = append(out, name+"="+secret)
	}
	return out
}

// keyMaterial are the keys in a keyring's JSON.
var keyMaterial = regexp.MustCompile(`"value"\s*:\s*"([A-Za-z0-9+/=]{16,})"`)

// secretive writes a configuration that has every kind of secret, and returns
// it with them. What it tells of outcomes and traces goes to a server that
// fails, so that this is logged.
func secretive(t *testing.T) (path string, secrets hidden) {
	t.Helper()
	broken := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }))
	t.Cleanup(broken.Close)
	path = configFile(t, startChain(t, 100*time.Millisecond),
		"  development_bearer: true # every bearer token is a principal; none is \"anonymous\"\n", "  api_keys: {cache_ttl: 1s}\n",
		"admin:\n", "admin:\n  token_env: T_ADMIN\n",
		"operations:\n", "operations:\n  fingerprint_key_env: T_FINGERPRINT\n",
		"  rpc: [", "  rpc_headers: {X-Provider-Key: {env: T_RPC}}\n  rpc: [",
		"  log: {format: text}\n", "  log: {format: json, level: debug}\n  tracing: {endpoint: \""+broken.URL+"\", headers: {X-Collector-Key: {env: T_TRACES}}}\n")
	file := filepath.Join(filepath.Dir(path), "keyring.json")
	done(t, nil, "keyring", "create", file)
	keyring := strings.TrimSpace(read(t, file))
	material := keyMaterial.FindStringSubmatch(keyring)
	if material == nil {
		t.Fatalf("a keyring whose keys this test does not find: %s", keyring)
	}
	writeFile(t, path, read(t, path)+`
encryption: {keyring_env: T_KEYRING}
webhook: {url: "`+broken.URL+`", secret_env: T_WEBHOOK, allow_insecure: true}
`)
	secrets = hidden{
		"ONCEWARD_DEV_MINTER": devchain.DevAdminSeed, "ONCEWARD_DEV_NONCE": "hex:" + strings.Repeat("5a1d", 16), "ONCEWARD_DEV_CHANNELS": "hex:" + strings.Repeat("c3e7", 16),
		"T_ADMIN": "admin-hush-7c1e", "T_FINGERPRINT": "fingerprint-hush-0123456789", "T_RPC": "provider-hush-93ab", "T_TRACES": "collector-hush-55d0",
		"T_WEBHOOK": "whsec_" + base64.StdEncoding.EncodeToString([]byte("webhook-hush-0123456789abcdef0123")), "T_KEYRING": keyring, "T_KEYRING_KEY": material[1],
	}
	return path, secrets
}

// TestServeKeepsSecrets serves with every kind of secret and debug logs, has
// API keys made, used and revoked, and looks for the secrets wherever the
// process and the commands write.
func TestServeKeepsSecrets(t *testing.T) {
	t.Parallel()
	path, secrets := secretive(t)
	done(t, nil, "migrate", "-c", path)
	s := &server{t: t, args: []string{"serve", "-c", path, "--log-level=debug"}, env: secrets.environ()}
	s.start()
	t.Cleanup(s.kill)
	first, seen := apiKeyLife(t, s, path, secrets)

	admin := &server{t: t, api: s.admin, log: s.log}
	admin.get("/", "Authorization", "Bearer wrong").sees(seen, "a wrong admin token")
	for _, page := range []string{"/", "/keys", "/metrics"} {
		a := admin.get(page, "Authorization", "Bearer "+secrets["T_ADMIN"])
		if a.status != http.StatusOK {
			t.Errorf("admin %s: %d %s", page, a.status, a.body)
		}
		a.sees(seen, "admin "+page)
	}
	for _, page := range []string{"/docs", "/openapi.json", "/idempotency-policy", "/readyz", "/healthz", "/nothing"} {
		s.get(page).sees(seen, page)
	}
	text := read(t, path)
	writeFile(t, path, text+"nonsense: 1\n")
	s.hangup("the old one stays in force", 1)
	writeFile(t, path, strings.Replace(text, "poll_interval: 25ms", "poll_interval: 30ms", 1))
	s.hangup("configuration reloaded", 1)
	store, environ := storeOf(path), append(os.Environ(), secrets.environ()...)
	for _, args := range [][]string{
		{"check-config", "-c", path},
		{"migrate", "-c", path},
		{"apikeys", "list", "--store", store, "-o", "json"},
		{"audit", "list", "--store", store, "-o", "json"},
		{"audit", "verify", "--store", store},
		{"keys", "list", "--store", store, "-o", "json"},
		{"keyring", "list", filepath.Join(filepath.Dir(path), "keyring.json")},
	} {
		cmd := exec.CommandContext(t.Context(), binary, args...)
		cmd.Env = environ
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Errorf("onceward %v: %v %s", args, err, out)
		}
		seen["onceward "+strings.Join(args[:2], " ")] = string(out)
	}
	eventually(t, "an attempt to deliver a webhook", func() bool { return strings.Contains(s.log.String(), "webhook not delivered") })
	if code := s.terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	id := fmt.Sprint(first.field(t, "operation_id"))
	for _, says := range []string{`"level":"DEBUG"`, "webhook not delivered", "spans were not exported", `"trace_id"`, `"operation":"` + id + `","trace_id"`} {
		if !strings.Contains(s.log.String(), says) {
			t.Errorf("the log does not speak of %s, so it proves little:\n%.3000s", says, s.log)
		}
	}
	seen["log"] = s.log.String()
	for _, file := range []string{"onceward.db", "onceward.db-wal"} {
		if data, err := os.ReadFile(filepath.Join(filepath.Dir(path), file)); err == nil {
			seen[file] = string(data)
		}
	}
	for where, text := range seen {
		if leaked := secrets.found(text); leaked != nil {
			t.Errorf("%s tells %v", where, leaked)
		}
	}
}

// sees keeps an answer to be looked through.
func (a answer) sees(seen map[string]string, what string) {
	var head bytes.Buffer
	_ = a.header.Write(&head) // a buffer takes everything
	seen[what] = head.String() + a.body
}

// apiKeyLife makes, uses and ends API keys, which it adds to the secrets. It
// returns the first answer, and all of them.
func apiKeyLife(t *testing.T, s *server, path string, secrets hidden) (first answer, seen map[string]string) {
	t.Helper()
	seen, store := make(map[string]string), storeOf(path)
	token, id := createKey(t, store, "alice")
	spare, _ := createKey(t, store, "alice")
	brief, _ := createKey(t, store, "alice", "--expires=1s")
	bob, _ := createKey(t, store, "bob")
	for name, key := range map[string]string{"key": token, "spare key": spare, "brief key": brief, "bob's key": bob} {
		secrets[name] = key[strings.LastIndex(key, "_")+1:] // what follows the id
	}
	if got := secrets.found("Bearer " + token); len(got) != 1 {
		t.Fatalf("looking for secrets finds %v in a key", got)
	}
	mint := func(what string, header ...string) answer {
		t.Helper()
		a := s.post("/v1/rewards", "k", reward("a", 1), header...)
		a.sees(seen, what)
		return a
	}
	first = mint("first", "Authorization", "Bearer "+token)
	if first.status != http.StatusOK {
		t.Fatalf("alice: %d %s", first.status, first.body)
	}
	if a := mint("replay", "X-Api-Key", spare); a.body != first.body || a.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("another key of alice: %d %s", a.status, a.body)
	}
	for what, header := range map[string][]string{
		"nobody": {}, "a key that was not copied well": {"Authorization", "Bearer " + token[:len(token)-1]},
		"another secret": {"Authorization", "Bearer " + token[:len(token)-8] + "aaaaaaaa"}, "basic": {"Authorization", "Basic " + token},
	} {
		mint(what, header...).refused(t, what, http.StatusUnauthorized, "unauthorized")
	}
	if a := s.get("/v1/operations?key=k", "X-Api-Key", bob); a.status != http.StatusNotFound {
		t.Errorf("bob asks for alice's operation: %d %s", a.status, a.body)
	}
	done(t, nil, "apikeys", "revoke", id, "--store", store, "--reason", "stolen")
	for what, header := range map[string][]string{"revoked": {"Authorization", "Bearer " + token}, "expired": {"X-Api-Key", brief}} {
		var a answer
		eventually(t, "the key is "+what, func() bool {
			a = mint(what, header...)
			return a.status != http.StatusOK
		})
		a.refused(t, what, http.StatusUnauthorized, "unauthorized")
	}
	if a := mint("after the revocation", "X-Api-Key", spare); a.body != first.body {
		t.Errorf("the other key of alice: %d %s", a.status, a.body)
	}
	var listed struct {
		Keys []map[string]any `json:"api_keys"`
	}
	if err := json.Unmarshal([]byte(done(t, nil, "apikeys", "list", "--store", store, "-o", "json")), &listed); err != nil || len(listed.Keys) < 3 {
		t.Errorf("%v, %v", listed, err)
	}
	return first, seen
}

// TestMalformedSecrets: a secret that cannot be used is refused without being
// repeated.
func TestMalformedSecrets(t *testing.T) {
	t.Parallel()
	path, good := secretive(t)
	done(t, nil, "migrate", "-c", path)
	text := read(t, path)
	elsewhere := func(change func(string) string) string {
		other := filepath.Join(t.TempDir(), "onceward.yaml")
		writeFile(t, other, change(text))
		return other
	}
	store := text[strings.Index(text, "store: "):]
	store, _, _ = strings.Cut(store, "\n")
	for name, c := range map[string]struct {
		env, secret string
		path        string
		says        string
	}{
		"signer":      {"ONCEWARD_DEV_MINTER", "SHUSH4JQD33XUI6H7HKFF2NDUME47T5CA6KE7ZFCWDSX4DL2UGJBMXSU", path, "minter"},
		"nonce":       {"ONCEWARD_DEV_NONCE", "hex:hush5a5a5a", path, "nonce_secret"},
		"channels":    {"ONCEWARD_DEV_CHANNELS", "hush-short", path, "channels.seed"},
		"keyring":     {"T_KEYRING", `{"primaryKeyId":1,"key":[{"keyData":{"value":"hush"}}]}`, path, "encryption.keyring"},
		"fingerprint": {"T_FINGERPRINT", "hush", path, "fingerprint_key"},
		"webhook":     {"T_WEBHOOK", "whsec_hush!", path, "webhook"},
		"database": {"T_DSN", "postgres://app:hush@127.0.0.1:1/app", elsewhere(func(s string) string {
			return strings.Replace(s, store, "store: {dsn_env: T_DSN}", 1)
		}), ""},
		"database without a scheme": {"T_DSN", "host=db user=app password=hush", elsewhere(func(s string) string {
			return strings.Replace(s, store, "store: {dsn_env: T_DSN}", 1)
		}), "scheme"},
		"database that is no URL": {"T_DSN", "postgres://app:hush%zz@127.0.0.1:1/app", elsewhere(func(s string) string {
			return strings.Replace(s, store, "store: {dsn_env: T_DSN}", 1)
		}), "DSN"},
		"secret in the place of its name": {"T_X", "x-hush-x", elsewhere(func(s string) string {
			return strings.Replace(s, "token_env: T_ADMIN", "token_env: x-hush-x", 1)
		}), "admin.token_env"},
		"password in the file": {"T_X", "app:hush@", elsewhere(func(s string) string {
			return strings.Replace(s, store, "store: \"postgres://app:hush@db/app\"", 1)
		}), "dsn_env"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			secrets := maps.Clone(good)
			secrets[c.env] = c.secret
			cmd := exec.CommandContext(t.Context(), binary, "serve", "-c", c.path, "--log-level=debug")
			cmd.Env = append(os.Environ(), secrets.environ()...)
			out, err := cmd.CombinedOutput()
			if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), c.says) {
				t.Errorf("%v\n%s", err, out)
			}
			if leaked := secrets.found(string(out)); leaked != nil || strings.Contains(strings.ToLower(string(out)), "hush") {
				t.Errorf("it tells %v\n%s", leaked, out)
			}
		})
	}
}
