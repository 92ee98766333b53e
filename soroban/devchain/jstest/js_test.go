package jstest_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

const (
	needNode = "this test needs Node.js 20.19 or newer with npm on PATH: install nodejs and npm, or run make deps"

	installTimeout = 5 * time.Minute
	suiteTimeout   = 5 * time.Minute
)

// TestJavaScriptSDK runs every suite of this directory against a chain that closes ledgers quickly.
func TestJavaScriptSDK(t *testing.T) {
	t.Parallel()
	node := tool(t, "node")
	install(t, tool(t, "npm"))
	chain, url := serve(t)

	ctx, cancel := context.WithTimeout(t.Context(), suiteTimeout)
	defer cancel()
	suites, err := filepath.Glob("*.test.js")
	if err != nil || len(suites) == 0 {
		t.Fatalf("no suites here (%v)", err)
	}
	// One suite at a time: they mint with the same admin, whose transactions are numbered.
	args := append([]string{"--test", "--test-reporter=tap", "--test-concurrency=1"}, suites...)
	cmd := exec.CommandContext(ctx, node, args...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Env = append(os.Environ(), "RPC_URL="+url, "PASSPHRASE="+chain.Passphrase(),
		"ADMIN_SECRET="+devchain.DevAdminSeed, "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1")
	for _, name := range []string{"content", "votes", "reward", "token"} {
		cmd.Env = append(cmd.Env, strings.ToUpper(name)+"_ID="+chain.Contract(name))
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("the suites failed: %v\n%s", err, out)
	}
	t.Log(summary(t, out))
}

func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s not found: %s", name, needNode)
	}
	return path
}

// install brings node_modules to what the lock file says. npm writes its own copy of the lock last, so an older copy
// means that packages are missing or that the lock has changed since.
func install(t *testing.T, npm string) {
	t.Helper()
	lock, err := os.Stat("package-lock.json")
	if err != nil {
		t.Fatal(err)
	}
	installed, err := os.Stat(filepath.Join("node_modules", ".package-lock.json"))
	if err == nil && !installed.ModTime().Before(lock.ModTime()) {
		return
	}
	ctx, cancel := context.WithTimeout(t.Context(), installTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("npm ci: %v; %s\n%s", err, needNode, out)
	}
}

// serve runs a chain in memory on a free loopback port until the test ends.
func serve(t *testing.T) (chain *devchain.Chain, url string) {
	t.Helper()
	chain, err := devchain.Open(devchain.Config{LedgerInterval: 250 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	var listening net.ListenConfig
	listener, err := listening.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: chain.Handler(), ReadHeaderTimeout: 10 * time.Second}
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 2)
	go func() { ended <- chain.Run(ctx) }()
	go func() { ended <- server.Serve(listener) }()
	t.Cleanup(func() {
		stop()
		err := errors.Join(chain.Close(), server.Close(), <-ended, <-ended)
		if err != nil && !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return chain, "http://" + listener.Addr().String()
}

var counts = regexp.MustCompile(`(?m)^# (tests|pass|fail|cancelled|skipped|todo) (\d+)$`)

// summary checks that tests ran, and all of them.
func summary(t *testing.T, tap []byte) string {
	t.Helper()
	var line []string
	got := map[string]string{}
	for _, m := range counts.FindAllStringSubmatch(string(tap), -1) {
		got[m[1]] = m[2]
		line = append(line, m[2]+" "+m[1])
	}
	if got["tests"] == "0" || got["tests"] != got["pass"] || got["tests"] == "" {
		t.Fatalf("not every test of the suites ran: %v\n%s", got, tap)
	}
	return strings.Join(line, ", ")
}
