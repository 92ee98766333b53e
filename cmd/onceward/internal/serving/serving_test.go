package serving_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/serving"
)

// start serves h under the limits and returns its address.
func start(t *testing.T, h http.Handler, limits serving.Limits) string {
	t.Helper()
	l, err := serving.Listen(t.Context(), "127.0.0.1:0", "--listen")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	group := serving.NewGroup(slog.New(slog.DiscardHandler))
	group.Drain(func() {}, 0, 10*time.Second)
	group.Serve(serving.Server{Name: "test", Listener: l, Handler: h, H2C: true, Limits: limits})
	var done sync.WaitGroup
	done.Go(func() {
		if err := group.Wait(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		done.Wait()
	})
	return l.Addr().String()
}

// dial opens a connection and writes what is given.
func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	var d net.Dialer
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// closed waits until the other side has hung up.
func closed(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil && strings.Contains(err.Error(), "i/o timeout") {
		t.Errorf("%s: the connection is still open after a minute", what)
	}
}

// reply is the head of an answer.
type reply struct {
	StatusCode int
	Header     http.Header
}

// get makes one request on a connection of its own.
func get(t *testing.T, addr, body string) reply {
	t.Helper()
	c := dial(t, addr, fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(body), body))
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // only the head is of interest
	return reply{res.StatusCode, res.Header}
}

// echo answers with the body it was sent.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(w, r.Body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
	}
})

func TestSilentConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	const room = 8
	addr := start(t, echo, serving.Limits{MaxConnections: room, HeaderTimeout: time.Hour, BodyTimeout: time.Hour, IdleTimeout: time.Hour})
	silent := make([]net.Conn, 0, 3*room)
	for i := range 3 * room {
		// Nothing, half a header, half a body.
		silent = append(silent, dial(t, addr, []string{
			"", "POST / HTTP/1.1\r\nHost: x", "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		}[i%3]))
		if res := get(t, addr, "served"); res.StatusCode != http.StatusOK {
			t.Fatalf("after %d silent connections: %d", i+1, res.StatusCode)
		}
	}
	// Which of them had to go depends on when the server heard of each.
	gone := make(chan struct{}, len(silent))
	for _, c := range silent {
		go func() {
			_, _ = io.Copy(io.Discard, c) // the end, whatever kind
			gone <- struct{}{}
		}()
	}
	timeout := time.After(time.Minute)
	for i := range len(silent) - room {
		select {
		case <-gone:
		case <-timeout:
			t.Fatalf("after a minute, %d of %d silent connections are open, want at most %d", len(silent)-i, len(silent), room)
		}
	}
}

func TestConnectionsAtWorkStay(t *testing.T) {
	t.Parallel()
	const room = 4
	release, entered := make(chan struct{}), make(chan struct{}, room)
	addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- struct{}{}
		<-release
		_, _ = io.WriteString(w, "done")
	}), serving.Limits{MaxConnections: room, MaxRequests: room})
	var working []net.Conn
	for range room {
		working = append(working, dial(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
		<-entered
	}
	closed(t, "one too many", dial(t, addr, ""))
	close(release)
	for _, c := range working {
		text, err := io.ReadAll(c)
		if err != nil || !strings.Contains(string(text), "done") {
			t.Errorf("a request at work was cut off: %q, %v", text, err)
		}
	}
}

func TestTooManyRequests(t *testing.T) {
	t.Parallel()
	release, entered := make(chan struct{}), make(chan struct{}, 1)
	addr := start(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	}), serving.Limits{MaxRequests: 1})
	dial(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	res := get(t, addr, "")
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") != "1" ||
		res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v", res.StatusCode, res.Header)
	}
	close(release)
}

// Requests whose body is on its way take no place from others.
func TestSlowBodiesTakeNoPlace(t *testing.T) {
	t.Parallel()
	addr := start(t, echo, serving.Limits{MaxRequests: 2, BodyTimeout: time.Hour})
	for range 8 {
		dial(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nslow")
	}
	// One whose length is unknown takes one of half the places.
	dial(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nslow\r\n")
	for range 8 {
		if res := get(t, addr, "quick"); res.StatusCode != http.StatusOK {
			t.Fatal(res.StatusCode)
		}
	}
}

func TestSlowClientsAreCutOff(t *testing.T) {
	t.Parallel()
	endless := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			echo(w, r)
			return
		}
		for chunk := make([]byte, 1<<20); ; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	const short = 200 * time.Millisecond
	addr := start(t, endless, serving.Limits{HeaderTimeout: short, BodyTimeout: short, WriteTimeout: short, IdleTimeout: short})
	for what, text := range map[string]string{
		"nothing":        "",
		"half a header":  "GET / HTTP/1.1\r\nHost:",
		"half a body":    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"half a chunk":   "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
		"half a large":   "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf",
		"no more":        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nfull",
		"no more at all": "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	} {
		closed(t, what, dial(t, addr, text))
	}
	// A client that takes nothing: the handler's writes fail, the server hangs up.
	reader := dial(t, addr, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	waitFor(t, "the server hangs up on a reader that does not read", func() bool {
		_, err := io.WriteString(reader, "x")
		return err != nil
	})
}

// A body that drips fast enough for the pause, but below the rate, ends too.
func TestDrippingBody(t *testing.T) {
	t.Parallel()
	addr := start(t, echo, serving.Limits{BodyTimeout: 500 * time.Millisecond})
	c := dial(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n")
	waitFor(t, "the server hangs up on a dripping body", func() bool {
		_, err := io.WriteString(c, "x")
		return err != nil
	})
}

func waitFor(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// A connection lives through pauses between requests and long answers.
func TestPatienceWhereItIsDue(t *testing.T) {
	t.Parallel()
	const short = 2 * time.Second
	addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		timer := time.NewTimer(short + short/2) // longer than every limit
		defer timer.Stop()
		select {
		case <-timer.C:
			_, _ = w.Write(body)
		case <-r.Context().Done():
		}
	}), serving.Limits{HeaderTimeout: short, BodyTimeout: short, WriteTimeout: short})
	for _, proto := range []string{"HTTP/1.1", "h2c"} {
		for _, body := range []string{"small", strings.Repeat("large", 10_000)} {
			t.Run(fmt.Sprintf("%s with %d bytes", proto, len(body)), func(t *testing.T) {
				t.Parallel()
				exchange(t, addr, proto, body)
			})
		}
	}
}

// exchange makes two requests on one connection.
func exchange(t *testing.T, addr, proto, body string) {
	transport := &http.Transport{Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(proto == "HTTP/1.1")
	transport.Protocols.SetUnencryptedHTTP2(proto == "h2c")
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	for range 2 {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+addr, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		res, err := client.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(res.Body)
		_ = res.Body.Close() // it was read to its end
		if err != nil || string(got) != body || res.StatusCode != http.StatusOK {
			t.Errorf("%s, %d bytes, %v", res.Status, len(got), err)
		}
	}
}

// A large answer in one piece may take longer than the write timeout, as long
// as its reader makes progress.
func TestSlowReadersMakeProgress(t *testing.T) {
	t.Parallel()
	const size, piece, short = 16 << 20, 512 << 10, 2 * time.Second
	addr := start(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, size))
	}), serving.Limits{WriteTimeout: short})
	c := dial(t, addr, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	if err := c.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	tick := time.NewTicker(2 * short * piece / size)
	defer tick.Stop()
	for n := 0; n < size; n += piece {
		if _, err := io.CopyN(io.Discard, res.Body, piece); err != nil {
			t.Fatalf("after %d of %d bytes: %v", n, size, err)
		}
		<-tick.C
	}
}
