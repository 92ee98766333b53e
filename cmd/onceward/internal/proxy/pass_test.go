package proxy_test

import (
	"bufio"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
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

	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
)

// upgrading speaks a protocol of its own after 101: it sends lines back in
// capitals, as a WebSocket server would frames.
func upgrading(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		http.Error(w, "upgrade required", http.StatusUpgradeRequired)
		return
	}
	conn, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\n\r\n")
	_ = buf.Flush()
	for {
		line, err := buf.ReadString('\n')
		if err != nil {
			return
		}
		_, _ = buf.WriteString(strings.ToUpper(line))
		_ = buf.Flush()
	}
}

func TestWebSocketUpgradesPass(t *testing.T) {
	t.Parallel()
	g := newGate(t, backend(t, upgrading).URL)
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", strings.TrimPrefix(g.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	fmt.Fprintf(conn, "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\n\r\n")
	r := bufio.NewReader(conn)
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != "x" {
		t.Fatalf("answer %d %v", res.StatusCode, res.Header)
	}
	for _, word := range []string{"one", "two"} { // one after the other: nothing is kept back
		fmt.Fprintf(conn, "%s\n", word)
		if got, err := r.ReadString('\n'); err != nil || got != strings.ToUpper(word)+"\n" {
			t.Fatalf("got %q, %v", got, err)
		}
	}
}

func TestEventsAreFlushedAtOnce(t *testing.T) {
	t.Parallel()
	next := make(chan struct{})
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for i := range 3 {
			fmt.Fprintf(w, "data: %d\n\n", i)
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})
	g := newGate(t, b.URL)
	res := g.open(http.MethodGet, "/events", nil)
	defer res.Body.Close()
	for i := range 3 {
		want := fmt.Sprintf("data: %d\n\n", i)
		got := make([]byte, len(want))
		if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != want {
			t.Fatalf("event %q, %v", got, err)
		}
		next <- struct{}{}
	}
}

// open sends a request and returns the answer once its head is there.
func (g *gate) open(method, path string, body io.Reader, edits ...func(*http.Request)) *http.Response {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, g.url+path, body)
	if err != nil {
		g.t.Fatal(err)
	}
	for _, edit := range edits {
		edit(req)
	}
	res, err := g.srv.Client().Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	return res
}

func TestTrailersPassBothWays(t *testing.T) {
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		_, _ = io.Copy(sum, r.Body)
		w.Header().Set("Trailer", "X-Sum")
		_, _ = io.WriteString(w, "trailer "+r.Trailer.Get("X-Mark")+r.Trailer.Get("Onceward-Token"))
		w.Header().Set("X-Sum", hex.EncodeToString(sum.Sum(nil)))
	})
	for _, scheme := range []string{"http", "h2c"} {
		g := newGate(t, scheme+strings.TrimPrefix(b.URL, "http"))
		res := g.open(http.MethodPost, "/up", io.MultiReader(strings.NewReader("body")), func(r *http.Request) {
			r.Trailer = http.Header{"X-Mark": {"seen"}, "Onceward-Token": {"999"}}
		})
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		sum := sha256.Sum256([]byte("body"))
		if err != nil || string(body) != "trailer seen" || res.Trailer.Get("X-Sum") != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: body %q, trailer %v, %v", scheme, body, res.Trailer, err)
		}
		// Keyed, the first client gets the trailer, too.
		res = g.open(http.MethodPost, "/up", strings.NewReader("body"), func(r *http.Request) { r.Header.Set("Idempotency-Key", scheme) })
		_, err = io.Copy(io.Discard, res.Body)
		_ = res.Body.Close()
		if err != nil || res.Trailer.Get("X-Sum") != hex.EncodeToString(sum[:]) {
			t.Errorf("%s: keyed trailer %v, %v", scheme, res.Trailer, err)
		}
	}
}

// A body without a key is handed on while it arrives: the backend answers a
// part before the client has sent the next one.
func TestBodiesAreStreamed(t *testing.T) {
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		in := bufio.NewReader(r.Body)
		for {
			line, err := in.ReadString('\n')
			if err != nil {
				return
			}
			_, _ = io.WriteString(w, "echo "+line)
			_ = control.Flush()
		}
	})
	for _, scheme := range []string{"http", "h2c"} {
		g := newGate(t, scheme+strings.TrimPrefix(b.URL, "http"))
		front := &http.Client{Transport: &http.Transport{Protocols: h2cOnly()}}
		read, write := io.Pipe()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url+"/talk", read)
		if err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.WriteString(write, "0\n") }()
		res, err := front.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		out := bufio.NewReader(res.Body)
		for i := range 3 {
			if got, err := out.ReadString('\n'); err != nil || got != fmt.Sprintf("echo %d\n", i) {
				t.Fatalf("%s: got %q, %v", scheme, got, err)
			}
			fmt.Fprintf(write, "%d\n", i+1)
		}
		_ = write.Close()
		_ = res.Body.Close()
		front.CloseIdleConnections()
	}
}

func h2cOnly() *http.Protocols {
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	return p
}

func TestHugeUploadsPass(t *testing.T) {
	t.Parallel()
	const size = 64 << 20
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		sum := sha256.New()
		n, _ := io.Copy(sum, r.Body)
		fmt.Fprintf(w, "%d %x %v", n, sum.Sum(nil), r.ContentLength)
	})
	g := newGate(t, b.URL)
	sum := sha256.New()
	body := io.TeeReader(io.LimitReader(rand.Reader, size), sum)
	res := g.open(http.MethodPost, "/upload", body)
	defer res.Body.Close()
	got, err := io.ReadAll(res.Body)
	if want := fmt.Sprintf("%d %x -1", size, sum.Sum(nil)); err != nil || string(got) != want {
		t.Errorf("got %s, want %s, %v", got, want, err)
	}
	// With a key it is refused, before it is read.
	g.send(http.MethodPost, "/upload", strings.Repeat("x", 2<<20), "Idempotency-Key", "k").is(t, 413, "payload-too-large")
}

// With Expect: 100-continue the backend decides whether the body is sent at
// all.
func TestExpectContinueReachesTheBackend(t *testing.T) {
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.WriteHeader(http.StatusExpectationFailed)
			return
		}
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s, expect %q", body, r.Header.Get("Expect"))
	})
	for _, key := range []string{"", "k"} {
		g := newGate(t, b.URL)
		g.srv.Client().Transport.(*http.Transport).ExpectContinueTimeout = patience
		expect := func(r *http.Request) {
			r.Header.Set("Expect", "100-continue")
			if key != "" {
				r.Header.Set("Idempotency-Key", key)
			}
		}
		res := g.open(http.MethodPost, "/accept", strings.NewReader("body"), expect)
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		want := map[string]string{"": `body, expect "100-continue"`, "k": `body, expect ""`}[key]
		if err != nil || string(body) != want {
			t.Errorf("got %q, want %q, %v", body, want, err)
		}
		if key != "" {
			continue
		}
		unread := &noted{Reader: strings.NewReader("body")}
		res = g.open(http.MethodPost, "/refuse", unread, expect)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusExpectationFailed || unread.read {
			t.Errorf("status %d, body sent: %v", res.StatusCode, unread.read)
		}
	}
}

// noted remembers whether it was read.
type noted struct {
	io.Reader
	read bool
}

func (n *noted) Read(p []byte) (int, error) {
	n.read = true
	return n.Reader.Read(p)
}

func TestInformationalAnswersPass(t *testing.T) {
	t.Parallel()
	b := backend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		_, _ = io.WriteString(w, "ok")
	})
	g := newGate(t, b.URL)
	for _, key := range []string{"", "k"} {
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
				if code == http.StatusEarlyHints && h.Get("Link") != "" {
					hints++
				}
				return nil
			},
		})
		res := g.open(http.MethodPost, "/", strings.NewReader("x"), func(r *http.Request) {
			*r = *r.WithContext(ctx)
			if key != "" {
				r.Header.Set("Idempotency-Key", key)
			}
		})
		_ = res.Body.Close()
		if res.StatusCode != http.StatusOK || hints != 1 {
			t.Errorf("key %q: status %d, %d hints", key, res.StatusCode, hints)
		}
	}
}

// Every protocol in front, every protocol behind.
func TestProtocolsInAndOut(t *testing.T) {
	t.Parallel()
	said := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s", r.Proto, body)
	})
	plain := backend(t, said)
	secure := httptest.NewUnstartedServer(said)
	secure.EnableHTTP2 = true
	secure.StartTLS()
	t.Cleanup(secure.Close)
	roots := secure.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	for _, tc := range []struct{ url, proto string }{
		{plain.URL, "HTTP/1.1"},
		{"h2c" + strings.TrimPrefix(plain.URL, "http"), "HTTP/2.0"},
		{secure.URL, "HTTP/2.0"},
	} {
		g := newGate(t, tc.url, func(c *proxy.Config) {
			c.TLS = &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}
		})
		h2 := &http.Client{Transport: &http.Transport{Protocols: h2cOnly()}}
		for i, client := range []*http.Client{g.srv.Client(), h2} {
			for _, body := range []string{"", "body"} {
				for _, key := range []string{"", fmt.Sprintf("k%d%s", i, body)} {
					req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, g.url, strings.NewReader(body))
					if err != nil {
						t.Fatal(err)
					}
					if key != "" {
						req.Header.Set("Idempotency-Key", key)
					}
					res, err := client.Do(req)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(res.Body)
					_ = res.Body.Close()
					if err != nil || string(got) != tc.proto+" "+body || res.ProtoMajor != i+1 {
						t.Errorf("%s: %s by %s, %v", tc.url, got, res.Proto, err)
					}
				}
			}
		}
		h2.CloseIdleConnections()
	}
}
