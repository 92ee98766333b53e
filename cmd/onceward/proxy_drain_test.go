package main_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// slowBackend acts, says so, and answers when it is let go. Asked what became
// of an operation, it gives the original answer.
type slowBackend struct {
	url     string
	acted   chan string // the path
	release chan struct{}
	count   sync.Map // path → *atomic.Int64
}

func newSlowBackend(t *testing.T) *slowBackend {
	b := &slowBackend{acted: make(chan string, 16), release: make(chan struct{})}
	b.url = localBackend(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/status/") {
			_, _ = io.WriteString(w, "original")
			return
		}
		n, _ := b.count.LoadOrStore(r.URL.Path, new(atomic.Int64))
		run := n.(*atomic.Int64).Add(1)
		b.acted <- r.URL.Path
		select {
		case <-b.release:
		case <-r.Context().Done():
			return
		}
		fmt.Fprintf(w, "run %d", run)
	})).URL
	return b
}

// runs is how often the backend acted for a path.
func (b *slowBackend) runs(path string) int64 {
	n, ok := b.count.Load(path)
	if !ok {
		return 0
	}
	return n.(*atomic.Int64).Load()
}

// routes are a route for each crash policy.
func (b *slowBackend) routes() string {
	out := "routes:\n"
	for _, policy := range []string{"hold", "rerun", "reconcile"} {
		out += fmt.Sprintf("  - {match: /%s, proxy: %q, crash_policy: %s", policy, b.url, policy)
		if policy == "reconcile" {
			out += fmt.Sprintf(", status_url: %q", b.url+"/status/{id}")
		}
		out += "}\n"
	}
	return out
}

// begin sends a keyed request for each policy and returns when the backend
// has acted on all; the answers, or errors, come with the returned function.
func (b *slowBackend) begin(t *testing.T, s *server) func() map[string]answer {
	t.Helper()
	var clients sync.WaitGroup
	var mu sync.Mutex
	answers := make(map[string]answer)
	for _, policy := range []string{"hold", "rerun", "reconcile"} {
		clients.Go(func() {
			a, err := s.call(t.Context(), http.MethodPost, "/"+policy, "x", "Idempotency-Key", policy)
			if err != nil {
				return // cut off
			}
			mu.Lock()
			defer mu.Unlock()
			answers[policy] = a
		})
	}
	for range 3 {
		<-b.acted
	}
	return func() map[string]answer {
		clients.Wait()
		return answers
	}
}

// What a backend is working on when the process is told to stop is waited for.
func TestProxyDrainWaits(t *testing.T) {
	t.Parallel()
	b := newSlowBackend(t)
	s := startServe(t, proxyFile(t, "limits: {drain_timeout: 5m}\n"+b.routes()))
	answers := b.begin(t, s)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody else gets in", func() bool {
		_, err := s.call(t.Context(), http.MethodGet, "/healthz", "", "Connection", "close")
		return err != nil
	})
	close(b.release)
	got := answers()
	for policy, a := range got {
		a.is(t, policy, 200, "run 1")
	}
	if len(got) != 3 {
		t.Errorf("only %d answers came", len(got))
	}
	<-s.done
	if code := s.cmd.ProcessState.ExitCode(); code != 0 {
		t.Errorf("exit status %d", code)
	}
}

// What is not finished in time follows its crash policy at another instance.
func TestProxyDrainLeavesTheRestToAnother(t *testing.T) {
	t.Parallel()
	b := newSlowBackend(t)
	path := proxyFile(t, "limits: {drain_timeout: 0s}\n"+b.routes())
	one, two := startServe(t, path), startServe(t, path)
	answers := b.begin(t, one)
	if code := one.terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	for policy, a := range answers() { // cut off, or told that nobody knows
		if a.status < 400 {
			t.Errorf("%s: %d %s", policy, a.status, a.body)
		}
	}
	status := func(key string) string {
		a := two.get("/v1/operations?key=" + key)
		if a.status != http.StatusOK {
			return ""
		}
		s, _ := a.field(t, "status").(string)
		return s
	}
	eventually(t, "the other instance has asked", func() bool { return status("reconcile") == "SUCCEEDED" })
	eventually(t, "the key is held", func() bool { return status("hold") == "HELD" })
	close(b.release)
	for policy, w := range map[string]retried{
		"hold": {409, "outcome-unknown", 1}, "reconcile": {200, "original", 1}, "rerun": {200, "run 2", 2},
	} {
		var a answer
		eventually(t, policy+" is answered", func() bool {
			a = two.post("/"+policy, policy, "x")
			return a.codeOf(t) != "in-progress"
		})
		a.is(t, policy, w.status, w.says)
		if n := b.runs("/" + policy); n != int64(w.acts) {
			t.Errorf("%s: the backend acted %d times, want %d", policy, n, w.acts)
		}
	}
}
