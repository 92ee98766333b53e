package proxy_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
)

// rawBackend accepts connections and hands each to serve.
func rawBackend(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var conns sync.WaitGroup
	var mu sync.Mutex
	var open []net.Conn
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, c)
			mu.Unlock()
			conns.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		mu.Lock()
		for _, c := range open {
			_ = c.Close()
		}
		mu.Unlock()
		conns.Wait()
	})
	return l.Addr().String()
}

// hangUp is a backend that answers "/warm" and keeps the connection, and
// reads every other request to its end, acts on it, and closes the connection
// without a word.
func hangUp(t *testing.T) (addr string, acted *atomic.Int64) {
	acted = new(atomic.Int64)
	return rawBackend(t, func(c net.Conn) {
		r := bufio.NewReader(c)
		for {
			req, err := http.ReadRequest(r)
			if err != nil {
				return
			}
			if _, err := io.Copy(io.Discard, req.Body); err != nil {
				return
			}
			if req.URL.Path != "/warm" {
				acted.Add(1)
				return
			}
			if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"); err != nil {
				return
			}
		}
	}), acted
}

// net/http repeats a request with an Idempotency-Key whose pooled connection
// breaks. The gateway must not: the backend has acted.
func TestABackendThatHangsUpSeesTheRequestOnce(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ name, method, body string }{
		{"POST without body", http.MethodPost, ""},
		{"POST with body", http.MethodPost, "pay"},
		{"PATCH", http.MethodPatch, "pay"},
		{"keyed GET", http.MethodGet, ""},
		{"keyed DELETE", http.MethodDelete, ""},
		{"large body", http.MethodPost, strings.Repeat("x", 200<<10)},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			addr, acted := hangUp(t)
			g := newGate(t, "http://"+addr, func(c *proxy.Config) {
				c.Keys.Methods = []string{"POST", "PATCH", "GET", "DELETE"}
				c.IdleTimeout = patience
			})
			g.send(http.MethodPut, "/warm", "").is(t, 200, "ok") // a connection to reuse
			g.send(tc.method, "/pay", tc.body, "Idempotency-Key", "k", "X-Idempotency-Key", "k").is(t, 502, "backend-failed")
			if n := acted.Load(); n != 1 {
				t.Errorf("the backend acted %d times", n)
			}
			g.send(tc.method, "/pay", tc.body, "Idempotency-Key", "k", "X-Idempotency-Key", "k").is(t, 409, "outcome-unknown")
			if n := acted.Load(); n != 1 {
				t.Errorf("after a retry the backend had acted %d times", n)
			}
		})
	}
}

// A write without a key is not repeated either, even if a header that nobody
// guards would allow it.
func TestAnUnguardedWriteIsNotRepeated(t *testing.T) {
	t.Parallel()
	addr, acted := hangUp(t)
	g := newGate(t, "http://"+addr, func(c *proxy.Config) { c.IdleTimeout = patience })
	g.send(http.MethodPut, "/warm", "").is(t, 200, "ok")
	g.send(http.MethodDelete, "/things/1", "", "Idempotency-Key", "k").is(t, 502, "backend-failed")
	if n := acted.Load(); n != 1 {
		t.Errorf("the backend acted %d times", n)
	}
}

// The premise of the tests above: the transport of net/http does repeat.
func TestNetHTTPWouldRepeat(t *testing.T) {
	t.Parallel()
	addr, acted := hangUp(t)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	do := func(path string) error {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr+path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Idempotency-Key", "k")
		res, err := client.Do(req)
		if err == nil {
			_, _ = io.Copy(io.Discard, res.Body)
			err = res.Body.Close()
		}
		return err
	}
	if err := do("/warm"); err != nil {
		t.Fatal(err)
	}
	if err := do("/pay"); err == nil {
		t.Error("no error")
	}
	if n := acted.Load(); n < 2 {
		t.Errorf("the backend acted %d times: the guard against repetition is not needed any more", n)
	}
}

// A pooled connection that the backend closed while it was idle is no reason
// to fail, as long as nothing was written to it.
func TestAStalePooledConnectionIsReplaced(t *testing.T) {
	t.Parallel()
	var served atomic.Int64
	closed := make(chan struct{}, 64)
	addr := rawBackend(t, func(c net.Conn) {
		req, err := http.ReadRequest(bufio.NewReader(c))
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, req.Body)
		served.Add(1)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // keep-alive, then closed all the same
		_ = c.Close()
		closed <- struct{}{}
	})
	g := newGate(t, "http://"+addr, func(c *proxy.Config) { c.IdleTimeout = patience })
	for i := range 20 {
		// Until the close has arrived, a request may meet it half-way: then
		// its outcome is unknown, and it is not repeated.
		a := g.post("k"+strconv.Itoa(i), "pay")
		if a.status != 200 {
			a.is(t, 502, "backend-failed")
			continue
		}
		<-closed
	}
	if n := served.Load(); n < 1 || n > 20 {
		t.Errorf("the backend served %d requests", n)
	}
}

// resetting is an HTTP/2 backend that resets every request after it has been
// read, as one that acted and then broke.
func resetting(t *testing.T, code http2.ErrCode) (addr string, acted *atomic.Int64) {
	acted = new(atomic.Int64)
	return rawBackend(t, func(c net.Conn) {
		preface := make([]byte, len(http2.ClientPreface))
		if _, err := io.ReadFull(c, preface); err != nil {
			return
		}
		f := http2.NewFramer(c, c)
		if err := f.WriteSettings(); err != nil {
			return
		}
		path := ""
		decoder := hpack.NewDecoder(4096, func(h hpack.HeaderField) {
			if h.Name == ":path" {
				path = h.Value
			}
		})
		for {
			frame, err := f.ReadFrame()
			if err != nil {
				return
			}
			ended := false
			switch v := frame.(type) {
			case *http2.HeadersFrame:
				if _, err := decoder.Write(v.HeaderBlockFragment()); err != nil {
					return
				}
				ended = v.StreamEnded()
			case *http2.DataFrame:
				ended = v.StreamEnded()
			case *http2.SettingsFrame:
				if !v.IsAck() {
					err = f.WriteSettingsAck()
				}
			}
			if ended && path == "/warm" {
				var block bytes.Buffer
				err = errors.Join(hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: ":status", Value: "204"}),
					f.WriteHeaders(http2.HeadersFrameParam{
						StreamID: frame.Header().StreamID, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true,
					}))
			} else if ended {
				acted.Add(1)
				err = f.WriteRSTStream(frame.Header().StreamID, code)
			}
			if err != nil {
				return
			}
		}
	}), acted
}

func TestAnHTTP2ResetIsNotRepeated(t *testing.T) {
	t.Parallel()
	for _, code := range []http2.ErrCode{http2.ErrCodeProtocol, http2.ErrCodeRefusedStream, http2.ErrCodeInternal} {
		for name, body := range map[string]string{"empty": "", "body": "pay"} {
			t.Run(code.String()+" "+name, func(t *testing.T) {
				t.Parallel()
				addr, acted := resetting(t, code)
				g := newGate(t, "h2c://"+addr)
				g.send(http.MethodPut, "/warm", "").is(t, 204, "")
				g.post("k", body).is(t, 502, "backend-failed")
				if n := acted.Load(); n != 1 {
					t.Errorf("the backend acted %d times", n)
				}
				if rec, _ := g.record("k"); rec.Status != onceward.StatusHeld {
					t.Errorf("record: %s", rec.Status)
				}
			})
		}
	}
}

// Nothing was sent: the key is free again, whatever the policy.
func TestADialFailureReleasesTheKey(t *testing.T) {
	t.Parallel()
	for _, pol := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile} {
		t.Run(string(pol), func(t *testing.T) {
			t.Parallel()
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			addr := l.Addr().String()
			_ = l.Close()
			g := newGate(t, "http://"+addr, policy(pol), func(c *proxy.Config) {
				if pol == onceward.Reconcile {
					c.StatusURL = "http://" + addr + "/status/{id}"
				}
			})
			a := g.post("k", "pay")
			a.is(t, 502, "backend-unreachable")
			if a.header.Get("Retry-After") == "" || !strings.Contains(a.body, `"retryable":true`) {
				t.Errorf("%v %s", a.header, a.body)
			}
			if rec, found := g.record("k"); found {
				t.Errorf("record left: %s", rec.Status)
			}
		})
	}
}

// A TLS handshake that fails is a dial that failed.
func TestAFailedHandshakeReleasesTheKey(t *testing.T) {
	t.Parallel()
	addr := rawBackend(t, func(c net.Conn) {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		_, _ = c.Read(make([]byte, 1024))
	})
	g := newGate(t, "https://"+addr)
	g.post("k", "pay").is(t, 502, "backend-unreachable")
	if rec, found := g.record("k"); found {
		t.Errorf("record left: %s", rec.Status)
	}
}
