package main_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const (
	// brief is every limit of the gateway in these tests, and long is what
	// goes on for longer than any of them.
	brief = 2 * time.Second
	long  = brief + brief/2
)

// anything is a backend that does what is rarely done. Requests that end
// without having come whole are counted in broken.
func anything(t *testing.T, broken chan<- string) string {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("/ws", func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_ = buf.Flush()
		for line, err := buf.ReadString('\n'); err == nil; line, err = buf.ReadString('\n') {
			_, _ = buf.WriteString(strings.ToUpper(line))
			_ = buf.Flush()
		}
	})
	mux.HandleFunc("/events", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-time.After(long)
		}
	})
	mux.HandleFunc("/upload", func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, err := io.Copy(sum, r.Body)
		if err != nil {
			broken <- r.Header.Get("X-Name")
			return
		}
		w.Header().Set("Trailer", "X-Sum")
		fmt.Fprintf(w, "%d %s %s", n, r.Trailer.Get("X-Sent"), r.Proto)
		w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	})
	mux.HandleFunc("/endless", func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				broken <- r.Header.Get("X-Name")
				return
			}
		}
	})
	mux.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("Etag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", "5")
		_, _ = io.WriteString(w, "hello")
	})
	mux.HandleFunc("/refuse", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusExpectationFailed) })
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	return srv.URL
}

// Nothing that is not guarded is harmed, however long it takes: the limits of
// the gateway are for clients that stand still, and those are cut off.
func TestServePassesEverythingElse(t *testing.T) {
	t.Parallel()
	broken := make(chan string, 16)
	url := anything(t, broken)
	s := startServe(t, proxyFile(t, fmt.Sprintf(`limits: {header_timeout: %[1]s, body_timeout: %[1]s, write_timeout: %[1]s, idle_timeout: %[1]s}
routes:
  - {match: /, proxy: %[2]q, methods: [PATCH]}
`, brief, url)))
	pass := passing{t: t, s: s, broken: broken}
	for name, test := range map[string]func(*testing.T){
		"websocket": pass.webSocket, "events": pass.events, "slow upload": pass.slowUpload, "huge upload": pass.hugeUpload,
		"expect": pass.expect, "hints, HEAD and 304": pass.heads, "h2c": pass.h2c,
		"reader that stands still": pass.stalledReader, "writer that stands still": pass.stalledWriter,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t) })
	}
}

type passing struct {
	t      *testing.T
	s      *server
	broken chan string
}

func (p passing) dial(t *testing.T) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.s.api, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() }) // it may be closed
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn, bufio.NewReader(conn)
}

func (p passing) open(t *testing.T, client *http.Client, req *http.Request) *http.Response {
	t.Helper()
	res, err := client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", req.Method, req.URL, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func (p passing) request(ctx context.Context, method, path string, body io.Reader) *http.Request {
	req, err := http.NewRequestWithContext(ctx, method, p.s.api+path, body)
	if err != nil {
		p.t.Fatal(err)
	}
	return req
}

func (p passing) webSocket(t *testing.T) {
	conn, r := p.dial(t)
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	res, err := http.ReadResponse(r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%+v, %v", res, err)
	}
	defer res.Body.Close()
	for _, word := range []string{"one", "two"} {
		<-time.After(long)
		fmt.Fprintf(conn, "%s\n", word)
		if got, err := r.ReadString('\n'); err != nil || got != strings.ToUpper(word)+"\n" {
			t.Errorf("got %q, %v", got, err)
		}
	}
}

func (p passing) events(t *testing.T) {
	res := p.open(t, http.DefaultClient, p.request(t.Context(), http.MethodGet, "/events", nil)) //nolint:bodyclose // open closes it
	body, err := io.ReadAll(res.Body)
	if want := "data: 0\n\ndata: 1\n\ndata: 2\n\n"; err != nil || string(body) != want {
		t.Errorf("got %q, %v", body, err)
	}
}

// pieces is a body that comes with pauses.
type pieces struct {
	left  int
	piece []byte
	pause time.Duration
}

func (p *pieces) Read(b []byte) (int, error) {
	if p.left == 0 {
		return 0, io.EOF
	}
	p.left--
	<-time.After(p.pause)
	return copy(b, p.piece), nil
}

// upload sends a chunked body and compares what arrives.
func (p passing) upload(t *testing.T, client *http.Client, body *pieces) string {
	t.Helper()
	sum, size := sha256.New(), 0
	for range body.left {
		n, _ := sum.Write(body.piece)
		size += n
	}
	req := p.request(t.Context(), http.MethodPost, "/upload", body)
	req.Trailer = http.Header{"X-Sent": {"all"}}
	res := p.open(t, client, req) //nolint:bodyclose // open closes it
	got, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf("%d all HTTP/1.1", size); err != nil || string(got) != want {
		t.Errorf("got %d %q, %v; want %q", res.StatusCode, got, err, want)
	}
	if want := fmt.Sprintf("%x", sum.Sum(nil)); res.Trailer.Get("X-Sum") != want {
		t.Errorf("trailer %v, want %s", res.Trailer, want)
	}
	return res.Proto
}

func (p passing) slowUpload(t *testing.T) {
	p.upload(t, http.DefaultClient, &pieces{left: 15, piece: make([]byte, 4<<10), pause: brief / 10})
}

func (p passing) hugeUpload(t *testing.T) {
	p.upload(t, http.DefaultClient, &pieces{left: 100 << 5, piece: make([]byte, 32<<10)}) // 100 MiB
}

func (p passing) h2c(t *testing.T) {
	client := clientOf(t, true)
	if proto := p.upload(t, client, &pieces{left: 15, piece: make([]byte, 4<<10), pause: brief / 10}); proto != "HTTP/2.0" {
		t.Errorf("served by %s", proto)
	}
	res := p.open(t, client, p.request(t.Context(), http.MethodGet, "/events", nil)) //nolint:bodyclose // open closes it
	if body, err := io.ReadAll(res.Body); err != nil || strings.Count(string(body), "data:") != 3 {
		t.Errorf("got %q, %v", body, err)
	}
}

func (p passing) expect(t *testing.T) {
	for path, want := range map[string]bool{"/upload": true, "/refuse": false} {
		asked := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got100Continue: func() { asked = true }})
		req := p.request(ctx, http.MethodPost, path, strings.NewReader("hello"))
		req.Header.Set("Expect", "100-continue")
		transport := &http.Transport{ExpectContinueTimeout: time.Minute}
		res := p.open(t, &http.Client{Transport: transport}, req) //nolint:bodyclose // open closes it
		if asked != want || (res.StatusCode == http.StatusOK) != want {
			t.Errorf("%s: status %d, asked for the body: %v", path, res.StatusCode, asked)
		}
		_, _ = io.Copy(io.Discard, res.Body) // to the trailers
		transport.CloseIdleConnections()
	}
}

func (p passing) heads(t *testing.T) {
	hints := 0
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
		if code == http.StatusEarlyHints && h.Get("Link") != "" {
			hints++
		}
		return nil
	}})
	res := p.open(t, http.DefaultClient, p.request(ctx, http.MethodHead, "/hints", nil)) //nolint:bodyclose // open closes it
	if res.ContentLength != 5 || res.Header.Get("Etag") != `"1"` || hints != 1 {
		t.Errorf("HEAD: %d bytes, %v, %d hints", res.ContentLength, res.Header, hints)
	}
	req := p.request(t.Context(), http.MethodGet, "/hints", nil)
	req.Header.Set("If-None-Match", `"1"`)
	if res := p.open(t, http.DefaultClient, req); res.StatusCode != http.StatusNotModified || res.Header.Get("Etag") != `"1"` { //nolint:bodyclose // open closes it
		t.Errorf("304: %d %v", res.StatusCode, res.Header)
	}
}

// cutOff waits until the backend has lost the request of that name.
func (p passing) cutOff(t *testing.T, name string) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case got := <-p.broken:
			if got == name {
				return
			}
			p.broken <- got // another's
		case <-timeout:
			t.Fatalf("the backend still serves %s", name)
		}
	}
}

func (p passing) stalledReader(t *testing.T) {
	conn, _ := p.dial(t)
	fmt.Fprintf(conn, "GET /endless HTTP/1.1\r\nHost: x\r\nX-Name: reader\r\n\r\n")
	p.cutOff(t, "reader") // nothing is ever read
}

func (p passing) stalledWriter(t *testing.T) {
	conn, r := p.dial(t)
	fmt.Fprintf(conn, "POST /upload HTTP/1.1\r\nHost: x\r\nX-Name: writer\r\nContent-Length: 1000000\r\n\r\nabc")
	p.cutOff(t, "writer") // nothing more is ever sent
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	answer{res.StatusCode, res.Header, string(body)}.is(t, "stalled writer", http.StatusRequestTimeout, "request-timeout")
}
