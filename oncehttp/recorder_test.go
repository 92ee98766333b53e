package oncehttp_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// dial opens a connection to the server and sends raw bytes.
func (s *site) dial(raw string) (net.Conn, *bufio.Reader) {
	s.t.Helper()
	var d net.Dialer
	conn, err := d.DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		s.t.Fatal(err)
	}
	if _, err := io.WriteString(conn, raw); err != nil {
		s.t.Fatal(err)
	}
	return conn, bufio.NewReader(conn)
}

func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	s, err := r.ReadString('\n')
	if err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return strings.TrimRight(s, "\r\n")
}

const rawPost = "POST /v1/orders HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k\r\nContent-Length: 2\r\nConnection: close\r\n"

// durableFirst fails unless the record was completed when the first byte of
// the answer came.
func TestNoByteLeavesBeforeTheRecord(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"buffered": saying(200, "body"),
		"flushed": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "body")
			w.(http.Flusher).Flush()
		},
		"large": saying(200, strings.Repeat("x", 1<<20+1)),
		"hijacked": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n\r\n")
			_ = conn.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, store := newSpied(t, onceward.Config{}, oncehttp.Options{}, h)
			completing, proceed := make(chan struct{}), make(chan struct{})
			store.set(func(call string) error {
				if call == "complete" {
					close(completing)
					<-proceed
				}
				return nil
			})
			conn, r := s.dial(rawPost + "\r\n{}")
			<-completing
			if err := conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
				t.Fatal(err)
			}
			if b, err := r.Peek(1); err == nil {
				t.Fatalf("byte %q left before the record was durable", b)
			}
			if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
				t.Fatal(err)
			}
			close(proceed)
			if got := line(t, bufio.NewReader(conn)); got != "HTTP/1.1 200 OK" {
				t.Fatal(got)
			}
		})
	}
}

func TestStreamedAnswersLeaveATombstone(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("0123456789", 30)
	for name, c := range map[string]struct {
		h      http.HandlerFunc
		status float64
		body   string
	}{
		"flush": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Set-Cookie", "a=b")
			fmt.Fprint(w, "one ")
			w.(http.Flusher).Flush()
			fmt.Fprint(w, "two")
		}, 200, "one two"},
		"controller": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(202)
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Error(err)
			}
			_, _ = io.WriteString(w, "later")
		}, 202, "later"},
		"large write":    {saying(201, big), 201, big},
		"large bytewise": {func(w http.ResponseWriter, _ *http.Request) { bytewise(w, big) }, 200, big},
		"large copy": {func(w http.ResponseWriter, _ *http.Request) {
			if n, err := io.Copy(w, io.LimitReader(strings.NewReader(big+big), 300)); n != 300 || err != nil {
				t.Error(n, err)
			}
		}, 200, big},
		"by hand": {func(w http.ResponseWriter, r *http.Request) {
			op := onceward.FromContext(r.Context())
			if err := op.Complete(r.Context(), onceward.Response{Status: 206, Tombstone: true}); err != nil {
				t.Error(err)
			}
			fmt.Fprint(w, big)
		}, 206, big},
	} {
		var runs atomic.Int32
		s := newSite(t, onceward.Config{MaxResponseBytes: 256}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
			runs.Add(1)
			c.h(w, r)
		})
		first := s.post("k", "{}")
		if first.body != c.body || first.Header.Get("Idempotency-Key-Expires") == "" {
			t.Errorf("%s: first answer %d %q %v", name, first.StatusCode, first.body, first.Header)
		}
		p := s.post("k", "{}").problem(t, 409, onceward.CodeResponseUnavailable)
		if p["original_status"] != c.status || runs.Load() != 1 {
			t.Errorf("%s: %v, %d runs", name, p, runs.Load())
		}
	}
}

func TestStreamThatCannotBeRecordedDoesNotLeave(t *testing.T) {
	t.Parallel()
	s, store := newSpied(t, onceward.Config{CompleteTimeout: time.Millisecond}, oncehttp.Options{},
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "secret")
			if err := http.NewResponseController(w).Flush(); onceward.CodeOf(err) != onceward.CodeOutcomeUnrecorded {
				t.Errorf("flush: %v", err)
			}
			if _, err := fmt.Fprint(w, "more"); onceward.CodeOf(err) != onceward.CodeOutcomeUnrecorded {
				t.Errorf("write: %v", err)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); onceward.CodeOf(err) != onceward.CodeOutcomeUnrecorded {
				t.Errorf("hijack: %v", err)
			}
			if err := http.NewResponseController(w).Flush(); onceward.CodeOf(err) != onceward.CodeOutcomeUnrecorded {
				t.Errorf("second flush: %v", err)
			}
		})
	store.set(failing("complete"))
	if r := s.post("k", "{}"); strings.Contains(r.body, "secret") {
		t.Fatal(r.body)
	} else {
		r.problem(t, 503, onceward.CodeOutcomeUnrecorded)
	}
}

func TestFlushedErrorStaysReleasable(t *testing.T) {
	t.Parallel()
	var runs atomic.Int32
	s := newSite(t, onceward.Config{MaxResponseBytes: 64}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		n := runs.Add(1)
		w.WriteHeader(503)
		w.(http.Flusher).Flush()
		fmt.Fprint(w, n, strings.Repeat("x", int(n-1)*100))
		w.(http.Flusher).Flush()
	})
	s.post("k", "{}").want(t, 503, "1")
	s.post("k", "{}").want(t, 503, "2"+strings.Repeat("x", 100)) // too large to keep back
	if n := runs.Load(); n != 2 {
		t.Fatalf("%d runs", n)
	}
	all := newSite(t, onceward.Config{}, oncehttp.Options{Replay: oncehttp.ReplayAll}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(503)
		w.(http.Flusher).Flush()
	})
	all.post("k", "{}").want(t, 503, "")
	if p := all.post("k", "{}").problem(t, 409, onceward.CodeResponseUnavailable); p["original_status"] != 503.0 {
		t.Fatal(p)
	}
}

func TestIgnoreFlushKeepsWhatAProxyStreams(t *testing.T) {
	t.Parallel()
	backend := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		for i := range 3 {
			fmt.Fprint(w, i)
			w.(http.Flusher).Flush()
		}
	})
	target, err := url.Parse(backend.url)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Method = http.MethodPut // not keyed there
	}}
	s := newSite(t, onceward.Config{}, oncehttp.Options{IgnoreFlush: true}, proxy.ServeHTTP)
	s.post("k", "{}").want(t, 200, "012")
	if r := s.post("k", "{}"); !r.replayed() || r.body != "012" {
		t.Fatalf("%d %q", r.StatusCode, r.body)
	}
}

func TestHijack(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		w.WriteHeader(500)
		if _, err := w.Write(nil); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("write: %v", err)
		}
		if err := http.NewResponseController(w).Flush(); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("flush: %v", err)
		}
		_, _ = buf.WriteString("HTTP/1.1 101 Switching Protocols\r\n\r\nraw")
		_ = buf.Flush()
	})
	_, r := s.dial(rawPost + "\r\n{}")
	if got := line(t, r); got != "HTTP/1.1 101 Switching Protocols" {
		t.Fatal(got)
	}
	p := s.call("POST", "/v1/orders", "{}", "Idempotency-Key", "k").problem(t, 409, onceward.CodeResponseUnavailable)
	if p["original_status"] != 101.0 {
		t.Fatal(p)
	}
	// Where hijacking is not possible, nothing has happened.
	h := guard(t, newEngine(t), oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		if _, _, err := w.(http.Hijacker).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Error(err)
		}
		fmt.Fprint(w, "plain")
	})
	for range 2 {
		rec := newRecorder()
		h.ServeHTTP(rec, keyed("k", "{}"))
		if rec.Code != 200 || rec.Body.String() != "plain" {
			t.Fatal(rec.Code, rec.Body)
		}
	}
}

func TestInformationalAnswersPass(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(103)
		w.WriteHeader(201)
		w.WriteHeader(103) // too late
		w.WriteHeader(500) // superfluous
		fmt.Fprint(w, "ok")
	})
	_, r := s.dial(rawPost + "\r\n{}")
	if got := line(t, r); got != "HTTP/1.1 103 Early Hints" {
		t.Fatal(got)
	}
	rest, err := io.ReadAll(r)
	if err != nil || !strings.Contains(string(rest), "HTTP/1.1 201 Created") || strings.Count(string(rest), "HTTP/1.1") != 1 {
		t.Fatalf("%s %v", rest, err)
	}
	s.call("POST", "/v1/orders", "{}", "Idempotency-Key", "k").want(t, 201, "ok")
}

func TestTrailersReachTheFirstClient(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(200)
		fmt.Fprintf(w, "%s %s", body, r.Trailer.Get("X-Sent"))
		w.Header().Set("X-Sum", "42")
		w.Header().Set("X-Late", "ignored")
	})
	req := s.request("POST", "/", "body", "Idempotency-Key", "k")
	req.ContentLength, req.Trailer = -1, http.Header{"X-Sent": {"sent"}}
	first := do(t, req)
	first.want(t, 200, "body sent")
	if first.Trailer.Get("X-Sum") != "42" || first.Header.Get("X-Late") != "" || first.Header.Get("X-Sum") != "" {
		t.Fatal(first.Header, first.Trailer)
	}
	again := s.call("POST", "/", "body", "Idempotency-Key", "k")
	again.want(t, 200, "body sent")
	if len(again.Trailer) != 0 || again.Header.Get("X-Sum") != "" {
		t.Fatal(again.Header, again.Trailer)
	}
}

func TestExpectContinueIsAnsweredOnlyWhenTheBodyIsWanted(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{MaxBodyBytes: 4}, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
	})
	head := func(key string, length int) string {
		return fmt.Sprintf("POST / HTTP/1.1\r\nHost: x\r\nIdempotency-Key: %s\r\nContent-Length: %d\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n", key, length)
	}
	conn, r := s.dial(head("k", 2))
	if got := line(t, r); got != "HTTP/1.1 100 Continue" {
		t.Fatal(got)
	}
	_, _ = io.WriteString(conn, "{}")
	if rest, err := io.ReadAll(r); err != nil || !strings.HasSuffix(string(rest), "\r\n\r\n{}") {
		t.Fatalf("%s %v", rest, err)
	}
	for want, raw := range map[string]string{
		"HTTP/1.1 400 Bad Request":              head("a b", 2),
		"HTTP/1.1 413 Request Entity Too Large": head("k", 5),
	} {
		_, r := s.dial(raw)
		if got := line(t, r); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestDeadlinesReachTheConnection(t *testing.T) {
	t.Parallel()
	s := newSite(t, onceward.Config{}, oncehttp.Options{}, func(w http.ResponseWriter, _ *http.Request) {
		rc := http.NewResponseController(w)
		if err := errors.Join(rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Now().Add(time.Minute)),
			rc.EnableFullDuplex()); err != nil {
			t.Error(err)
		}
	})
	s.post("k", "{}").want(t, 200, "")
}
