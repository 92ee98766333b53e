package main_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"
)

const (
	// shortLimit is what every limit on clients is set to.
	shortLimit = 2 * time.Second
	// longer than any of them.
	longer = shortLimit + shortLimit/2
)

// protocols are tried in front of the gateway and behind it.
var protocols = map[string]bool{"HTTP/1.1": false, "h2c": true}

// passing is the backend of the tests of what must pass unharmed.
func passing() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /ws", shouting)
	mux.HandleFunc("GET /asked", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %q %q", r.Header["Connection"], r.Header["Upgrade"], r.Header["Http2-Settings"])
	})
	mux.HandleFunc("GET /events", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 2 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			pause(r.Context(), longer)
		}
	})
	mux.HandleFunc("POST /hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		pause(r.Context(), longer)
		_, _ = io.WriteString(w, "ok")
	})
	mux.HandleFunc("POST /count", func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Pause") != "" {
			pause(r.Context(), longer) // and takes nothing meanwhile
		}
		n, err := io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "X-Seen")
		fmt.Fprintf(w, "%d %v", n, err)
		w.Header().Set("X-Seen", r.Trailer.Get("X-Mark"))
	})
	mux.HandleFunc("GET /page", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"1"`)
		if r.Header.Get("If-None-Match") == `"1"` {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "page")
	})
	mux.HandleFunc("GET /endless", func(w http.ResponseWriter, r *http.Request) {
		for chunk := make([]byte, 64<<10); r.Context().Err() == nil; {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	mux.HandleFunc("POST /expect/accept", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s, expect %q", body, r.Header.Get("Expect"))
	})
	mux.HandleFunc("POST /expect/refuse", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusExpectationFailed)
	})
	mux.HandleFunc("POST /silent", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	})
	return mux
}

// shouting answers lines in capitals once the connection is upgraded.
func shouting(w http.ResponseWriter, _ *http.Request) {
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	for _ = buf.Flush(); ; _ = buf.Flush() {
		line, err := buf.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = buf.WriteString(strings.ToUpper(line))
	}
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// passed is one way through the gateway.
type passed struct {
	s      *server
	client *http.Client
	prefix string
}

// heard is an answer whose head is there. Its body is closed with the test.
type heard struct {
	path    string
	status  int
	length  int64
	header  http.Header
	body    io.Reader
	trailer func() http.Header
}

// do sends a request.
func (p *passed) do(t *testing.T, method, path string, body io.Reader, edits ...func(*http.Request)) *heard {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, p.s.api+p.prefix+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, edit := range edits {
		edit(req)
	}
	res, err := p.client.Do(req)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	return &heard{path, res.StatusCode, res.ContentLength, res.Header, res.Body, func() http.Header { return res.Trailer }}
}

// text reads a body to its end.
func text(t *testing.T, res *heard) string {
	t.Helper()
	data, err := io.ReadAll(res.body)
	if err != nil {
		t.Errorf("%s: %q, %v", res.path, data, err)
	}
	return string(data)
}

// Everything passes unharmed through a gateway with tight limits on clients,
// by HTTP/1.1 and HTTP/2, in front and behind.
func TestProxyPassesUnharmed(t *testing.T) {
	t.Parallel()
	b := localBackend(t, passing())
	s := startServe(t, proxyFile(t, fmt.Sprintf(`
limits: {header_timeout: %[1]s, body_timeout: %[1]s, write_timeout: %[1]s, idle_timeout: %[1]s}
routes:
  - {match: /http/, proxy: %[2]q, strip_prefix: /http, key: optional}
  - {match: /h2c/, proxy: %[3]q, strip_prefix: /h2c, key: optional}
`, shortLimit, b.URL, "h2c"+strings.TrimPrefix(b.URL, "http"))))
	t.Run("upgrade", func(t *testing.T) {
		t.Parallel()
		passUpgrade(t, s)
	})
	t.Run("no upgrade to HTTP/2", func(t *testing.T) {
		t.Parallel()
		// A backend that followed it would be talked to behind the gateway's back.
		a := s.get("/http/asked", "Connection", "Upgrade, HTTP2-Settings", "Upgrade", "h2c", "HTTP2-Settings", "AAMAAABkAAQAoAAAAAIAAAAA")
		if a.body != "[] [] []" {
			t.Errorf("the backend was asked for %s", a.body)
		}
	})
	t.Run("stalled clients", func(t *testing.T) {
		t.Parallel()
		stalledClients(t, s)
	})
	for front, h2c := range protocols {
		for _, prefix := range []string{"/http", "/h2c"} {
			p := &passed{s: s, client: clientOf(t, h2c), prefix: prefix}
			for what, test := range map[string]func(*testing.T, *passed){
				"events": passEvents, "hints": passHints, "slow upload": passSlowUpload, "slow backend": passSlowBackend,
				"trailers": passTrailers, "bodiless": passBodiless, "expect": passExpect,
			} {
				t.Run(front+prefix+" "+what, func(t *testing.T) {
					t.Parallel()
					test(t, p)
				})
			}
		}
	}
}

func passUpgrade(t *testing.T, s *server) {
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(s.api, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprint(conn, "GET /http/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close() // a 101 has none
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("%d %v", res.StatusCode, res.Header)
	}
	for _, word := range []string{"one", "two"} {
		fmt.Fprintln(conn, word)
		if got, err := r.ReadString('\n'); err != nil || got != strings.ToUpper(word)+"\n" {
			t.Fatalf("got %q, %v", got, err)
		}
		pause(t.Context(), longer)
	}
}

func passEvents(t *testing.T, p *passed) {
	res := p.do(t, http.MethodGet, "/events", http.NoBody)
	for i := range 2 {
		want := fmt.Sprintf("data: %d\n\n", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(res.body, got); err != nil || string(got) != want {
			t.Fatalf("event %d: %q, %v", i, got, err)
		}
	}
	if rest := text(t, res); rest != "" {
		t.Errorf("after the events: %q", rest)
	}
}

func passHints(t *testing.T, p *passed) {
	for _, key := range []string{"", t.Name()} {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints {
					hints++
				}
				return nil
			},
		})
		res := p.do(t, http.MethodPost, "/hints", strings.NewReader("x"), func(r *http.Request) {
			*r = *r.WithContext(ctx)
			if key != "" {
				r.Header.Set("Idempotency-Key", strings.NewReplacer("/", "-", " ", "-").Replace(key))
			}
		})
		if body := text(t, res); res.status != http.StatusOK || body != "ok" || hints != 1 {
			t.Errorf("key %q: %d %q, %d hints", key, res.status, body, hints)
		}
	}
}

// A body that takes longer than every limit, and keeps coming.
func passSlowUpload(t *testing.T, p *passed) {
	const pieces, piece = 16, 8 << 10
	read, write := io.Pipe()
	go func() {
		for range pieces {
			if _, err := write.Write(make([]byte, piece)); err != nil {
				return
			}
			pause(t.Context(), longer/pieces)
		}
		_ = write.Close()
	}()
	res := p.do(t, http.MethodPost, "/count", read)
	if got, want := text(t, res), fmt.Sprintf("%d <nil>", pieces*piece); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A backend that takes nothing for longer than a client may pause.
func passSlowBackend(t *testing.T, p *passed) {
	const size = 24 << 20 // more than fits between
	res := p.do(t, http.MethodPost, "/count", io.LimitReader(zeros{}, size), func(r *http.Request) {
		r.Header.Set("X-Pause", "yes")
	})
	if got, want := text(t, res), fmt.Sprintf("%d <nil>", size); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func passTrailers(t *testing.T, p *passed) {
	res := p.do(t, http.MethodPost, "/count", io.MultiReader(strings.NewReader("body")), func(r *http.Request) {
		r.Trailer = http.Header{"X-Mark": {"marked"}}
	})
	if got := text(t, res); got != "4 <nil>" || res.trailer().Get("X-Seen") != "marked" {
		t.Errorf("%q, trailer %v", got, res.trailer())
	}
}

func passBodiless(t *testing.T, p *passed) {
	res := p.do(t, http.MethodHead, "/page", http.NoBody)
	if body := text(t, res); res.status != http.StatusOK || res.length != 4 || body != "" {
		t.Errorf("HEAD: %d, length %d, %q", res.status, res.length, body)
	}
	res = p.do(t, http.MethodGet, "/page", http.NoBody, func(r *http.Request) { r.Header.Set("If-None-Match", `"1"`) })
	if body := text(t, res); res.status != http.StatusNotModified || res.header.Get("ETag") != `"1"` || body != "" {
		t.Errorf("304: %d %v %q", res.status, res.header, body)
	}
	res = p.do(t, http.MethodGet, "/page", http.NoBody)
	if body := text(t, res); body != "page" {
		t.Errorf("afterwards: %q", body)
	}
}

// unread fails the test that reads it.
type unread struct{ t *testing.T }

// Read implements io.Reader.
func (u unread) Read([]byte) (int, error) {
	u.t.Error("a body was sent that the backend had refused")
	return 0, io.EOF
}

func passExpect(t *testing.T, p *passed) {
	expect := func(r *http.Request) { r.Header.Set("Expect", "100-continue") }
	ends := !p.client.Transport.(*http.Transport).Protocols.UnencryptedHTTP2() && p.prefix == "/http"
	want := `body, expect ""` // Go's HTTP/2 does not wait
	if ends {
		want = `body, expect "100-continue"`
	}
	if got := text(t, p.do(t, http.MethodPost, "/expect/accept", strings.NewReader("body"), expect)); got != want {
		t.Errorf("accepted: %q", got)
	}
	if !ends {
		return
	}
	res := p.do(t, http.MethodPost, "/expect/refuse", unread{t}, expect)
	if res.status != http.StatusExpectationFailed {
		t.Errorf("refused: %d", res.status)
	}
}

// stalledClients make no progress, and are cut off.
func stalledClients(t *testing.T, s *server) {
	addr := strings.TrimPrefix(s.api, "http://")
	for what, says := range map[string]string{
		"nothing": "", "half a header": "GET /http/page HTTP/1.1\r\nHost:",
		"half a body":  "POST /http/count HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf",
		"half a chunk": "POST /http/count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nhalf",
		"idle":         "GET /http/page HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		fmt.Fprint(conn, says)
		if _, err := io.Copy(io.Discard, conn); err != nil && strings.Contains(err.Error(), "i/o timeout") {
			t.Errorf("%s: the connection is still open after a minute", what)
		}
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprint(conn, "GET /http/endless HTTP/1.1\r\nHost: x\r\n\r\n")
	eventually(t, "a reader that takes nothing is cut off", func() bool {
		_, err := io.WriteString(conn, "x")
		return err != nil
	})
	// In HTTP/2 it is the stream that ends.
	h2 := &passed{s: s, client: clientOf(t, true), prefix: "/http"}
	read, write := io.Pipe()
	defer write.Close()
	go func() { _, _ = io.WriteString(write, "half") }()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.api+"/http/count", read)
	if err != nil {
		t.Fatal(err)
	}
	res, err := h2.client.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	if ctx.Err() != nil || err == nil && res.StatusCode < 400 {
		t.Errorf("half a body in HTTP/2: %v %v", res, err)
	}
}
