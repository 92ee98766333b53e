//go:build linux

package main_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

const (
	// floodConnections are open at the same time.
	floodConnections = 10_000
	// floodKeys are the requests with random keys of one tenant.
	floodKeys = 2_000
	// floodMemory is what the process may use meanwhile, in MiB.
	floodMemory = 512
)

// TestFlood opens ten thousand connections that say nothing, half a header or
// half a body, and floods the gateway with random keys of one tenant: its
// memory stays bounded, and another tenant is served.
func TestFlood(t *testing.T) {
	t.Parallel()
	plain := filepath.Join(t.TempDir(), "onceward") // the race detector would be measured, too
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", plain, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	path := configFile(t, startChain(t, 100*time.Millisecond))
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, path, string(text)+fmt.Sprintf(`
quotas: {keys_in_flight: 4}
limits: {max_connections: %d, header_timeout: 10m, body_timeout: 10m}
`, floodConnections))
	s := &server{t: t, binary: plain, args: []string{"serve", "-c", path}, env: devSecrets}
	if out, stderr, code := execute(t, "migrate", "-c", path); code != 0 {
		t.Fatalf("%s%s", out, stderr)
	}
	s.start()
	t.Cleanup(s.kill)
	before := resident(t, s.cmd.Process.Pid)

	n := connections(t, strings.TrimPrefix(s.api, "http://"))
	eventually(t, "the gateway holds as many as it may", func() bool {
		return sockets(t, s.cmd.Process.Pid) >= floodConnections
	})
	slow := resident(t, s.cmd.Process.Pid)
	if a := s.post("/v1/rewards", "during", reward("slow", 1), "Authorization", "Bearer other"); a.status != http.StatusOK {
		t.Errorf("another tenant, with %d slow connections: %d %s", n, a.status, a.body)
	}
	counts := flood(t, s)
	flooded := resident(t, s.cmd.Process.Pid)
	t.Logf("%d slow connections, %d random keys (%v); resident MiB: %d at first, %d with the connections, %d after the flood",
		n, floodKeys, counts, before, slow, flooded)
	if flooded > floodMemory {
		t.Errorf("%d MiB are in use", flooded)
	}
}

// allowFiles lets this process open so many files.
func allowFiles(t *testing.T, need uint64) {
	t.Helper()
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	if limit.Cur >= need {
		return
	}
	if limit.Max < need {
		t.Fatalf("this test needs %d open files, and the hard limit is %d: raise it, for instance with ulimit -Hn %d as root",
			need, limit.Max, need)
	}
	limit.Cur = need
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
}

// sockets counts those that a process has open.
func sockets(t *testing.T, pid int) int {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range entries {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}

// connections opens a few more than the gateway admits, and keeps them open.
func connections(t *testing.T, addr string) int {
	t.Helper()
	const n = floodConnections + 100
	allowFiles(t, n+1000)
	says := []string{
		"", "POST /v1/rewards HTTP/1.1\r\nHost: x\r\nAuthoriz",
		"POST /v1/rewards HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\nContent-Type: application/json\r\n\r\n{\"to\":",
	}
	var dialer net.Dialer
	for i := range n {
		c, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
		t.Cleanup(func() { _ = c.Close() })
		if _, err := io.WriteString(c, says[i%3]); err != nil {
			t.Fatalf("connection %d: %v", i, err)
		}
	}
	return n
}

// flood sends random keys of one tenant while another wants something, too.
func flood(t *testing.T, s *server) map[int]int {
	t.Helper()
	var mu sync.Mutex
	counts := make(map[int]int)
	var left atomic.Int64
	left.Store(floodKeys)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	var group sync.WaitGroup
	for worker := range 64 {
		group.Go(func() {
			for {
				i := left.Add(-1)
				if i < 0 {
					return
				}
				a, err := s.call(ctx, http.MethodPost, "/v1/rewards", reward("flood", 1),
					"Idempotency-Key", fmt.Sprintf(`"flood-%d-%d"`, worker, i), "Authorization", "Bearer flooding")
				if err != nil {
					t.Errorf("flooding: %v", err)
					return
				}
				mu.Lock()
				counts[a.status]++
				mu.Unlock()
			}
		})
	}
	for i := range 5 {
		if a := s.post("/v1/rewards", fmt.Sprintf("calm-%d", i), reward("calm", 1), "Authorization", "Bearer other"); a.status != http.StatusOK {
			t.Errorf("another tenant, during the flood: %d %s", a.status, a.body)
		}
	}
	group.Wait()
	return counts
}

var (
	residentLine = regexp.MustCompile(`(?m)^VmRSS:\s+(\d+) kB$`)
	peakLine     = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)
)

// resident is the memory of a process in MiB.
func resident(t *testing.T, pid int) int { return memory(t, pid, residentLine) }

// peak is the most that it ever was.
func peak(t *testing.T, pid int) int { return memory(t, pid, peakLine) }

func memory(t *testing.T, pid int, line *regexp.Regexp) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	m := line.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no resident size in\n%s", status)
	}
	kib, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return kib >> 10
}
