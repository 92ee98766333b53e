package main_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban/devchain"
)

// daemon is a running "onceward signer".
type daemon struct {
	t            testing.TB
	seed, socket string
	cmd          *exec.Cmd
	log          *lockedBuffer
}

func startSigner(t testing.TB) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	d := &daemon{t: t, seed: filepath.Join(dir, "seed"), socket: filepath.Join(dir, "sock"), log: &lockedBuffer{}}
	t.Cleanup(func() {
		d.kill()
		_ = os.RemoveAll(dir)
	})
	writeFile(t, d.seed, devchain.DevAdminSeed+"\n")
	d.start()
	return d
}

// start runs the daemon and returns once it listens.
func (d *daemon) start() {
	d.t.Helper()
	d.cmd = exec.CommandContext(context.Background(), binary, "signer", "--listen=unix:"+d.socket, "--seed-file="+d.seed)
	d.cmd.Stderr = d.log
	out, err := d.cmd.StdoutPipe()
	if err == nil {
		err = d.cmd.Start()
	}
	if err != nil {
		d.t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, d.socket) {
		d.t.Fatalf("%q, %v\n%s", line, err, d.log)
	}
}

func (d *daemon) kill() {
	if d.cmd == nil {
		return
	}
	_ = d.cmd.Process.Kill() // it may have ended already
	_ = d.cmd.Wait()
	d.cmd = nil
}

var sentLine = regexp.MustCompile(`(?m)^onceward_rpc_calls_total\{method="sendTransaction",[^}]*\} (\d+)$`)

// sent is how often this gateway has offered a transaction to the chain.
func (s *server) sent() (n int) {
	s.t.Helper()
	for _, m := range sentLine.FindAllStringSubmatch(s.scrape(), -1) {
		one, err := strconv.Atoi(m[1])
		if err != nil {
			s.t.Fatal(err)
		}
		n += one
	}
	return n
}

// insist asks for a mint until it is done.
func (s *server) insist(key string) {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); <-tick.C {
		a, err := s.call(s.t.Context(), http.MethodPost, "/v1/rewards", reward(key, 1), "Idempotency-Key", key)
		switch {
		case err == nil && a.status == http.StatusOK:
			return
		case err == nil && slices.Contains([]int{http.StatusAccepted, http.StatusConflict, http.StatusServiceUnavailable}, a.status):
		default:
			s.t.Errorf("%s: %v %d %s", key, err, a.status, a.body)
			return
		}
	}
	s.t.Errorf("%s is not minted within a minute", key)
}

// TestServeRemoteSigner mints through a daemon that is killed and started
// again: a clear 503 or a completion, and never a second mint.
func TestServeRemoteSigner(t *testing.T) {
	t.Parallel()
	d, rpc := startSigner(t), startChain(t, 100*time.Millisecond)
	address := keypair.MustParseFull(devchain.DevAdminSeed).Address()
	path := configFile(t, rpc, "minter: {secret_env: ONCEWARD_DEV_MINTER}", "minter: {socket: "+d.socket+", address: "+address+"}")
	s := startServe(t, path)
	if a := s.post("/v1/rewards", "k", reward("a", 1)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	d.kill()
	before := s.sent()
	down := s.post("/v1/rewards", "down", reward("down", 1))
	down.refused(t, "without its signer", http.StatusServiceUnavailable, "chain-unavailable")
	if s.sent() != before || strings.Contains(down.body, d.socket) {
		t.Errorf("%d sent, %s", s.sent()-before, down.body)
	}
	if again := s.post("/v1/rewards", "k", reward("a", 1)); again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("a replay needs no signer: %d %s", again.status, again.body)
	}
	if a := s.get("/v1/operations?key=down"); a.status != http.StatusNotFound {
		t.Errorf("the key is not free: %d %s", a.status, a.body)
	}
	d.start()
	const keys = 9
	var clients sync.WaitGroup
	var answered atomic.Int64
	for i := range keys {
		clients.Go(func() {
			defer answered.Add(1)
			s.insist(fmt.Sprintf("signed-%d", i))
		})
	}
	for round := range int64(3) {
		eventually(t, "some are answered", func() bool { return answered.Load() >= 2*round })
		d.kill()
		d.start()
	}
	clients.Wait()
	if a := s.post("/v1/rewards", "down", reward("down", 1)); a.status != http.StatusOK {
		t.Errorf("with its signer again: %d %s", a.status, a.body)
	}
	minted := mints(t, rpc)
	for i := range keys {
		if n := minted[account(fmt.Sprintf("signed-%d", i))]; n != 1 {
			t.Errorf("key %d was minted %d times", i, n)
		}
	}
	if minted[account("a")] != 1 || minted[account("down")] != 1 {
		t.Errorf("mints: %v", minted)
	}
	if log := s.log.String() + d.log.String(); strings.Contains(log, devchain.DevAdminSeed) || !strings.Contains(log, "is the daemon running?") {
		t.Errorf("the log:\n%.2000s", log)
	}
}

// budgets bound a route by operations, and another by the sum of an amount.
const budgets = `    budgets: [{param: amount, limit: "160", window: 87600h}]
    signer: minter`

// TestServeLimits: budgets of routes, signers and fees refuse as documented,
// send nothing, and outlive reloads, restarts and crashes.
func TestServeLimits(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path := configFile(t, rpc)
	text := read(t, path)
	at := strings.LastIndex(text, "    signer: minter") // of the rewards
	text = text[:at] + budgets + text[at+len("    signer: minter"):]
	writeFile(t, path, text)
	s := startServe(t, path)
	reloads := 0
	reload := func(replace ...string) {
		t.Helper()
		reloads++
		writeFile(t, path, strings.NewReplacer(replace...).Replace(text))
		s.hangup("configuration reloaded", reloads)
	}
	mint := func(key string, amount int) answer { return s.post("/v1/rewards", key, reward(key, amount)) }
	want := func(what string, a answer) {
		t.Helper()
		if a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", what, a.status, a.body)
		}
	}
	// What is held of a budget is not lost in a reload: 159 are left, and all of them fit.
	want("the first", mint("a", 1))
	reload("poll_interval: 25ms", "poll_interval: 30ms")
	before := s.sent()
	mint("b", 160).refused(t, "one too many", http.StatusTooManyRequests, "rate-limited")
	if s.sent() != before {
		t.Error("what was refused was sent")
	}
	want("the rest", mint("b", 159))
	want("a replay", mint("b", 159))
	mint("c", 1).refused(t, "nothing is left", http.StatusTooManyRequests, "rate-limited")
	if a := s.post("/v1/content", "other", fmt.Sprintf(`{"author":%q,"content_hash":%q,"uri":"u"}`, account("a"), strings.Repeat("ab", 32))); a.status != http.StatusOK {
		t.Errorf("another route: %d %s", a.status, a.body)
	}
	s.terminate()
	s.start()
	mint("c", 1).refused(t, "after a restart", http.StatusTooManyRequests, "rate-limited")
	s.kill()
	s.start()
	mint("c", 1).refused(t, "after a crash", http.StatusTooManyRequests, "rate-limited")

	reloads = 0
	reload(budgets, "    signer: minter", "secret_env: ONCEWARD_DEV_MINTER", "secret_env: ONCEWARD_DEV_MINTER, per_day: 2")
	day := time.Now().UTC().YearDay()
	want("one signature", mint("d", 1))
	s.kill()
	s.start()
	reloads = 0
	want("two signatures", mint("e", 1))
	before = s.sent()
	third := mint("f", 1)
	if day == time.Now().UTC().YearDay() { // else it is of another window
		third.refused(t, "three signatures", http.StatusServiceUnavailable, "chain-unavailable")
	}
	reload(budgets, "    signer: minter", "nonce_secret_env:", "fee_budget: {limit: \"1\", window: 87600h}\n  nonce_secret_env:")
	mint("g", 1).refused(t, "no fees", http.StatusServiceUnavailable, "chain-unavailable")
	if s.sent() != before && third.status != http.StatusOK {
		t.Errorf("%d sent beyond the limits", s.sent()-before)
	}
	if got := mints(t, rpc); got[account("a")] != 1 || got[account("b")] != 1 || got[account("c")]+got[account("g")] != 0 {
		t.Errorf("mints: %v", got)
	}
}
