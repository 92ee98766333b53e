package main_test

import (
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
	shortLimit = 3 * time.Second
	// longer than any of them.
	longer = shortLimit + shortLimit/2
)

// protocols are tried in front of the gateway and behind it.
var protocols = map[string]bool{"HTTP/1.1": false, "h2c": true}

// patient is a backend that pauses for longer than a client may.
func patient() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /asked", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q %q %q", r.Header["Connection"], r.Header["Upgrade"], r.Header["Http2-Settings"])
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
	return mux
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

// The pauses of a backend are not held against the client, by HTTP/1.1 and
// HTTP/2, in front and behind.
func TestProxyProtocols(t *testing.T) {
	t.Parallel()
	b := localBackend(t, patient())
	s := startServe(t, proxyFile(t, fmt.Sprintf(`
limits: {header_timeout: %[1]s, body_timeout: %[1]s, write_timeout: %[1]s, idle_timeout: %[1]s}
routes:
  - {match: /http/, proxy: %[2]q, strip_prefix: /http, key: optional}
  - {match: /h2c/, proxy: %[3]q, strip_prefix: /h2c, key: optional}
`, shortLimit, b.URL, "h2c"+strings.TrimPrefix(b.URL, "http"))))
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
				"hints": passHints, "slow backend": passSlowBackend, "trailers": passTrailers, "bodiless": passBodiless,
			} {
				t.Run(front+prefix+" "+what, func(t *testing.T) {
					t.Parallel()
					test(t, p)
				})
			}
		}
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
