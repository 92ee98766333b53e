package main_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// failing is a backend on a socket of its own: it answers /warm and keeps the
// connection, acts on anything else, and then hangs up, or says no more.
type failing struct {
	addr  string
	acted sync.Map // path → *atomic.Int64
}

func newFailing(t *testing.T) *failing {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &failing{addr: l.Addr().String()}
	done := make(chan struct{})
	var conns sync.WaitGroup
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() {
				defer c.Close()
				f.serve(c, done)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(done)
		conns.Wait()
	})
	return f
}

func (f *failing) serve(c net.Conn, done <-chan struct{}) {
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		select {
		case <-done:
			_ = c.Close()
		case <-stop:
		}
	}()
	r := bufio.NewReader(c)
	for {
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, req.Body); err != nil {
			return
		}
		if req.URL.Path == "/warm" {
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
			continue
		}
		n, _ := f.acted.LoadOrStore(req.URL.Path, new(atomic.Int64))
		n.(*atomic.Int64).Add(1)
		if !strings.HasPrefix(req.URL.Path, "/silent") {
			return
		}
	}
}

// A backend that hangs up or says nothing has acted once, whatever the request
// looks like; the crash policy decides what a retry does.
func TestProxyBackendFailures(t *testing.T) {
	t.Parallel()
	f := newFailing(t)
	routes := "routes:\n"
	for _, policy := range []string{"hold", "rerun"} {
		routes += fmt.Sprintf("  - {match: /%[1]s/, strip_prefix: /%[1]s, proxy: 'http://%[2]s', proxy_timeout: 5s, key: optional, crash_policy: %[1]s}\n", policy, f.addr)
	}
	routes += "  - {match: /nobody/, proxy: 'http://127.0.0.1:1', key: optional}\n"
	s := startServe(t, proxyFile(t, routes))
	for _, c := range []struct {
		name, method, path, key string
		status                  int
		code                    string
		retry                   int // with the key
		retryCode               string
		acts                    int64 // after the retry
	}{
		{"keyed, hang-up, hold", "POST", "/hold/hangup1", "k1", 502, "backend-failed", 409, "outcome-unknown", 1},
		{"keyed, hang-up, rerun", "POST", "/rerun/hangup2", "k2", 502, "backend-failed", 502, "backend-failed", 2},
		{"keyed, silent, hold", "POST", "/hold/silent3", "k3", 504, "backend-timeout", 409, "outcome-unknown", 1},
		{"keyed, silent, rerun", "POST", "/rerun/silent4", "k4", 504, "backend-timeout", 504, "backend-timeout", 2},
		{"not keyed, hang-up", "POST", "/hold/hangup5", "", 502, "backend-failed", 0, "", 1},
		{"not keyed, DELETE with a key nobody guards", "DELETE", "/hold/hangup6", "k6", 502, "backend-failed", 0, "", 1},
		{"not keyed, silent", "POST", "/hold/silent7", "", 504, "backend-timeout", 0, "", 1},
		{"unreachable", "POST", "/nobody/8", "k8", 502, "backend-unreachable", 502, "backend-unreachable", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			header := []string{}
			if c.key != "" {
				header = append(header, "Idempotency-Key", c.key)
			}
			send := func(method, path string, header ...string) answer {
				a, err := s.call(t.Context(), method, path, "x", header...)
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			if !strings.HasPrefix(c.path, "/nobody") { // a pooled connection that can break
				send("PUT", "/hold/warm").is(t, "warm", 200, "ok")
			}
			send(c.method, c.path, header...).is(t, "first", c.status, c.code)
			if c.retry != 0 {
				var again answer
				eventually(t, "the retry is answered", func() bool {
					again = send(c.method, c.path, header...)
					return again.codeOf(t) != "in-progress"
				})
				again.is(t, "retry", c.retry, c.retryCode)
			}
			_, path, _ := strings.Cut(c.path[1:], "/")
			var acts int64
			if n, ok := f.acted.Load("/" + path); ok {
				acts = n.(*atomic.Int64).Load()
			}
			if acts != c.acts {
				t.Errorf("the backend acted %d times, want %d", acts, c.acts)
			}
		})
	}
}
