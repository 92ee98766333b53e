package main_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

// execute runs the binary to its end.
func execute(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var out, errs strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run() // its exit status is what matters
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// devSecrets are what a printed configuration asks the environment for.
var devSecrets = []string{
	"ONCEWARD_DEV_MINTER=" + devchain.DevAdminSeed,
	"ONCEWARD_DEV_NONCE=hex:" + strings.Repeat("5a", 32),
	"ONCEWARD_DEV_CHANNELS=hex:" + strings.Repeat("c3", 32),
}

// configFile writes a configuration for a chain at rpc: that of dev, with
// changes made to its text.
func configFile(t testing.TB, rpc string, replace ...string) string {
	t.Helper()
	dir := t.TempDir()
	text, stderr, code := execute(t, "dev", "--print-config", "--rpc-url="+rpc, "--data="+dir,
		"--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--lease=1s", "--ledger-interval=100ms")
	if code != 0 {
		t.Fatalf("dev --print-config: exit status %d\n%s", code, stderr)
	}
	path := filepath.Join(dir, "onceward.yaml")
	writeFile(t, path, strings.NewReplacer(replace...).Replace(text))
	return path
}

func writeFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// startServe migrates the store of a configuration and serves it.
func startServe(t testing.TB, path string, args ...string) *server {
	t.Helper()
	if out, stderr, code := execute(t, "migrate", "-c", path); code != 0 || !strings.Contains(out, "schema version") {
		t.Fatalf("migrate: exit status %d\n%s%s", code, out, stderr)
	}
	s := &server{t: t, args: append([]string{"serve", "-c", path}, args...), env: devSecrets}
	s.start()
	t.Cleanup(s.kill)
	return s
}

func TestServeThePrintedConfiguration(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path := configFile(t, rpc)
	s := startServe(t, path)
	if _, stderr, code := execute(t, "serve", "-c", path); code != 1 || !strings.Contains(stderr, "ONCEWARD_DEV_NONCE is not set") {
		t.Errorf("without its secrets: exit status %d\n%s", code, stderr)
	}
	first := s.post("/v1/rewards", "k1", reward("a", 100))
	if first.status != http.StatusOK || first.field(t, "status") != "SUCCEEDED" {
		t.Fatalf("first: %d %s", first.status, first.body)
	}
	second := s.post("/v1/rewards", "k1", reward("a", 100))
	if second.body != first.body || second.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("second: %d %v %s", second.status, second.header, second.body)
	}
	if got := mints(t, rpc)[account("a")]; got != 1 {
		t.Errorf("%d mints", got)
	}
	for path, want := range map[string]string{"/healthz": `"ok"`, "/readyz": `"schema":"ok"`} {
		if a := s.get(path); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	if code := s.terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

func TestServeRefusesAnOldSchema(t *testing.T) {
	t.Parallel()
	path := configFile(t, startChain(t, 100*time.Millisecond))
	s := &server{t: t, args: []string{"serve", "-c", path}, env: devSecrets}
	cmd := exec.CommandContext(t.Context(), binary, s.args...)
	cmd.Env = append(os.Environ(), s.env...)
	out, err := cmd.CombinedOutput()
	if err == nil || cmd.ProcessState.ExitCode() != 1 || !strings.Contains(string(out), "onceward migrate") {
		t.Errorf("%v\n%s", err, out)
	}
	if sql, stderr, code := execute(t, "migrate", "--print", "-c", path); code != 0 || !strings.Contains(sql, "CREATE TABLE") {
		t.Errorf("migrate --print: %d %s", code, stderr)
	}
}

func TestCheckConfig(t *testing.T) {
	t.Parallel()
	path := configFile(t, "http://127.0.0.1:1")
	if out, stderr, code := execute(t, "check-config", "-c", path); code != 0 || !strings.Contains(out, "3 routes") {
		t.Errorf("%d %s%s", code, out, stderr)
	}
	writeFile(t, path, "listen: 127.0.0.1:1\nstroe: sqlite:x.db\nroutes: []\n")
	_, stderr, code := execute(t, "check-config", "-c", path)
	if code != 1 || !strings.Contains(stderr, path+":2:1: stroe: unknown field; did you mean \"store\"?") {
		t.Errorf("%d\n%s", code, stderr)
	}
	if out, _, code := execute(t, "check-config", "--schema"); code != 0 || !strings.Contains(out, "json-schema.org") {
		t.Errorf("%d %.200s", code, out)
	}
}

func TestAdminToken(t *testing.T) {
	t.Parallel()
	path := configFile(t, startChain(t, 100*time.Millisecond), "admin:\n", "admin:\n  token_env: ADMIN_TOKEN\n")
	if out, stderr, code := execute(t, "migrate", "-c", path); code != 0 {
		t.Fatalf("%s%s", out, stderr)
	}
	s := &server{t: t, args: []string{"serve", "-c", path}, env: append([]string{"ADMIN_TOKEN=open-sesame"}, devSecrets...)}
	s.start()
	t.Cleanup(s.kill)
	s.api = s.admin // ask the other listener
	for authorization, want := range map[string]int{
		"": 401, "Bearer wrong": 401, "Bearer open-sesame": 200,
		"Basic b25jZXdhcmQ6b3Blbi1zZXNhbWU=": 200, "Basic cm9vdDpvcGVuLXNlc2FtZQ==": 401,
	} {
		if a := s.get("/", "Authorization", authorization); a.status != want {
			t.Errorf("%q: %d", authorization, a.status)
		}
	}
	if strings.Contains(s.log.String(), "open-sesame") {
		t.Error("the token is in the log")
	}
}

// Spans reach the collector that the file names, the last ones as the process
// ends.
func TestServeExportsTraces(t *testing.T) {
	t.Parallel()
	var spans atomic.Int64
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/traces" {
			spans.Add(1)
		}
	}))
	t.Cleanup(collector.Close)
	path := configFile(t, startChain(t, 100*time.Millisecond), "observability:\n", "observability:\n  tracing: {endpoint: \""+collector.URL+"\"}\n")
	s := startServe(t, path)
	if a := s.post("/v1/rewards", "k", reward("a", 1)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if code := s.terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if spans.Load() == 0 {
		t.Error("no spans were exported")
	}
}
