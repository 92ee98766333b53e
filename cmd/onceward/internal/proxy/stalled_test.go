package proxy_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
)

// partly is a backend that says when the beginning of a body has come, and what
// became of the rest.
func partly(t *testing.T, began chan<- struct{}, rest chan<- error) *httptest.Server {
	t.Helper()
	return backend(t, func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadFull(r.Body, make([]byte, 3)); err != nil {
			t.Errorf("the beginning: %v", err)
		}
		began <- struct{}{}
		_, err := io.Copy(io.Discard, r.Body)
		rest <- err
	})
}

// impatientFront serves g, and stops waiting for a body once ended is closed.
func impatientFront(t *testing.T, g *gate, ended <-chan struct{}) *httptest.Server {
	t.Helper()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		served := make(chan struct{})
		watched := make(chan struct{})
		go func() {
			defer close(watched)
			select {
			case <-ended:
				if err := http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)); err != nil {
					t.Errorf("no deadline: %v", err)
				}
			case <-served:
			}
		}()
		g.p.ServeHTTP(w, r)
		close(served)
		<-watched
	}))
	srv.Config.Protocols = new(http.Protocols)
	srv.Config.Protocols.SetHTTP1(true)
	srv.Config.Protocols.SetUnencryptedHTTP2(true)
	srv.Start()
	t.Cleanup(srv.Close)
	return srv
}

// A client whose body stops coming has timed out, not the backend, by whatever
// protocol. The backend is told that there will be no more.
func TestAStalledClientIsNotTheBackendsFault(t *testing.T) {
	t.Parallel()
	for _, front := range []string{"HTTP/1", "h2c"} {
		for _, scheme := range []string{"http", "h2c"} {
			t.Run(front+" to "+scheme, func(t *testing.T) {
				t.Parallel()
				began, rest, ended := make(chan struct{}), make(chan error, 1), make(chan struct{})
				b := partly(t, began, rest)
				g := newGate(t, scheme+strings.TrimPrefix(b.URL, "http"))
				srv := impatientFront(t, g, ended)
				client := srv.Client()
				if front == "h2c" {
					tr := &http.Transport{Protocols: h2cOnly()}
					t.Cleanup(tr.CloseIdleConnections)
					client = &http.Client{Transport: tr}
				}
				body, write := io.Pipe()
				defer write.Close()
				go func() {
					_, _ = io.WriteString(write, "abc") // and no more
					<-began
					close(ended)
				}()
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, body)
				if err != nil {
					t.Fatal(err)
				}
				res, err := client.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				a := read(t, res)
				a.is(t, http.StatusRequestTimeout, "request-timeout")
				a.notToBeRepeated(t)
				if err := <-rest; err == nil {
					t.Error("the backend took the part for the whole")
				}
			})
		}
	}
}

// notToBeRepeated checks a problem without a key: nothing keeps the backend from
// acting twice.
func (a answer) notToBeRepeated(t *testing.T) {
	t.Helper()
	var p struct{ Retryable bool }
	if err := json.Unmarshal([]byte(a.body), &p); err != nil || p.Retryable || a.header.Get("Retry-After") != "" {
		t.Errorf("it may be sent again: %v %s", a.header, a.body)
	}
}

// A backend that has everything and does not answer has timed out.
func TestAStalledBackendIsNotTheClientsFault(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	b := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		if n, err := io.Copy(io.Discard, r.Body); n != 3 || err != nil {
			t.Errorf("%d bytes, %v", n, err)
		}
		<-release
	})
	t.Cleanup(func() { close(release) })
	for _, scheme := range []string{"http", "h2c"} {
		g := newGate(t, scheme+strings.TrimPrefix(b.URL, "http"), func(c *proxy.Config) { c.Timeout = 200 * time.Millisecond })
		a := g.send(http.MethodPost, "/api", "abc")
		a.is(t, http.StatusGatewayTimeout, "backend-timeout")
		a.notToBeRepeated(t)
	}
}

// A body that is no body any more, or that the client gives up.
func TestABodyThatBreaksOffIsNotTheBackendsFault(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{"no chunk": "zz\r\n", "hang-up": ""} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			began, ended := make(chan struct{}), make(chan error, 1)
			g := newGate(t, partly(t, began, ended).URL)
			conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
			<-began
			fmt.Fprint(conn, rest)
			if rest == "" {
				if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
					t.Fatal(err)
				}
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			a := read(t, res)
			a.is(t, http.StatusBadRequest, "payload-invalid")
			a.notToBeRepeated(t)
			if err := <-ended; err == nil {
				t.Error("the backend took the part for the whole")
			}
		})
	}
}

// With a key nothing is sent, and nothing claimed, before all of the body is
// there: whatever the crash policy, the client may send it again.
func TestAStalledClientWithAKeyClaimsNothing(t *testing.T) {
	t.Parallel()
	for _, pol := range []onceward.CrashPolicy{onceward.Hold, onceward.Rerun} {
		t.Run(fmt.Sprint(pol), func(t *testing.T) {
			t.Parallel()
			b := backend(t, func(w http.ResponseWriter, r *http.Request) {
				body, err := io.ReadAll(r.Body)
				fmt.Fprintf(w, "%s %v", body, err)
			})
			g := newGate(t, b.URL, policy(pol))
			ended := make(chan struct{})
			close(ended)
			srv := impatientFront(t, g, ended)
			body, write := io.Pipe()
			defer write.Close()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL+"/api/things", body)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Idempotency-Key", "k")
			res, err := srv.Client().Do(req)
			if err != nil {
				t.Fatal(err)
			}
			a := read(t, res)
			a.is(t, http.StatusRequestTimeout, "request-timeout")
			if res.Header.Get("Retry-After") == "" {
				t.Errorf("it may not be sent again: %v %s", a.header, a.body)
			}
			if rec, err := g.eng.Get(t.Context(), onceward.Key{Value: "k"}); !errors.Is(err, onceward.ErrNotFound) {
				t.Errorf("the key is taken: %+v, %v", rec, err)
			}
			g.post("k", "abc").is(t, http.StatusOK, "abc <nil>")
		})
	}
}

// A limit further out than the proxy is the client's to keep, too.
func TestABodyOverALimitIsNotTheBackendsFault(t *testing.T) {
	t.Parallel()
	b := backend(t, func(_ http.ResponseWriter, r *http.Request) {
		if _, err := io.Copy(io.Discard, r.Body); err == nil {
			t.Error("the backend took the part for the whole")
		}
	})
	g := newGate(t, b.URL)
	srv := httptest.NewServer(http.MaxBytesHandler(g.p, 5))
	t.Cleanup(srv.Close)
	g.url = srv.URL
	g.send(http.MethodPost, "/", "abcdef").is(t, http.StatusRequestEntityTooLarge, "payload-too-large")
}
