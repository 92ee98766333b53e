package proxy

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"time"
)

// errConnSealed ends a request that net/http was about to write a second time.
var errConnSealed = errors.New("proxy: this connection may not be written to any more")

// maxDials bounds how often a keyed request looks for a connection that is
// still alive.
const maxDials = 4

// transport sends requests to the backend. Those of an operation are written
// to at most one connection, whatever happens to it.
//
// net/http repeats a request by itself when a pooled connection breaks under
// it and the request counts as replayable: a safe method or an Idempotency-Key
// header, and a body it can have again. HTTP/2 also repeats after some stream
// resets, whatever the method. Here no header and no body gives that licence,
// and a connection that a request was written to stays the only one.
type transport struct {
	base *http.Transport
	h2c  bool // HTTP/2 from the first byte
}

func newTransport(cfg *Config, h2c bool) *transport {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout}
	t := &transport{h2c: h2c}
	protocols := new(http.Protocols)
	switch {
	case h2c:
		protocols.SetUnencryptedHTTP2(true)
	default:
		protocols.SetHTTP1(true)
		protocols.SetHTTP2(true) // over TLS, if the backend offers it
	}
	t.base = &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return &countedConn{Conn: conn}, nil
		},
		TLSClientConfig:       cfg.TLS.Clone(),
		TLSHandshakeTimeout:   cfg.DialTimeout,
		Protocols:             protocols,
		DisableCompression:    true, // bytes pass as they are
		MaxIdleConnsPerHost:   cfg.MaxIdle,
		MaxConnsPerHost:       cfg.MaxConns,
		IdleConnTimeout:       cfg.IdleTimeout,
		ResponseHeaderTimeout: cfg.Timeout,
		ExpectContinueTimeout: time.Second,
	}
	return t
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	c := callOf(req.Context())
	if c == nil {
		return t.base.RoundTrip(req)
	}
	for n := 1; ; n++ {
		w := &watch{shared: t.h2c}
		res, err := t.base.RoundTrip(t.once(req, c.body, w))
		if err == nil {
			c.sent = true
			return res, nil
		}
		if w.maybeSent() {
			c.sent = true
			return nil, err
		}
		if !w.stale || n == maxDials || cause(req.Context()) != nil {
			return nil, err
		}
		// A pooled connection that the backend had closed: not a byte of the
		// request has left.
	}
}

// once returns req with a body that net/http cannot have a second time.
func (t *transport) once(req *http.Request, body []byte, w *watch) *http.Request {
	req = req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotConn: w.gotConn}))
	req.GetBody = nil
	req.ContentLength = int64(len(body))
	req.TransferEncoding = nil
	switch {
	case len(body) > 0:
		req.Body = io.NopCloser(bytes.NewReader(body))
	case t.plainHTTP1(req) && needsLength(req.Method):
		// Without a replayable header an empty body gives no licence either,
		// and is sent as Content-Length: 0.
		req.Body = http.NoBody
	default:
		// http.NoBody would give one: to safe methods, and to all of HTTP/2.
		req.Body = struct{ io.ReadCloser }{http.NoBody}
	}
	return req
}

func (t *transport) plainHTTP1(req *http.Request) bool { return !t.h2c && req.URL.Scheme == "http" }

// needsLength reports whether servers expect a length with the method even
// where there is no body.
func needsLength(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// watch follows one request to its connection.
type watch struct {
	mu     sync.Mutex
	shared bool // HTTP/2: what is written may be another request's
	got    bool
	stale  bool // the connection came from the pool
	conn   *countedConn
	mark   int64 // bytes that were written on conn before
	spent  bool  // an earlier connection was written to
}

// gotConn is called by net/http before it writes, and again when it is about
// to repeat the request.
func (w *watch) gotConn(info httptrace.GotConnInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.got && w.wroteLocked() {
		w.spent = true
	}
	w.got, w.stale, w.conn = true, info.Reused, nil
	conn := info.Conn
	if t, ok := conn.(*tls.Conn); ok {
		if t.ConnectionState().NegotiatedProtocol == "h2" {
			w.shared = true
		}
		conn = t.NetConn()
	}
	if counted, ok := conn.(*countedConn); ok && !w.shared {
		w.conn, w.mark = counted, counted.count()
		if w.spent {
			counted.seal()
		}
	}
}

// wroteLocked reports whether the request may have been written to the
// connection. It cannot be afterwards.
func (w *watch) wroteLocked() bool {
	return w.conn == nil || w.conn.seal() != w.mark
}

// maybeSent reports whether a byte of the request may have left. When it says
// no, none will.
func (w *watch) maybeSent() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.got && (w.spent || w.wroteLocked())
}

// countedConn counts what is written, so that "nothing was sent" can be known
// instead of guessed from an error.
type countedConn struct {
	net.Conn

	mu      sync.Mutex
	written int64
	sealed  bool
}

// Write implements net.Conn. A write that has begun counts in full.
func (c *countedConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if c.sealed {
		c.mu.Unlock()
		return 0, fmt.Errorf("%w", errConnSealed)
	}
	c.written += int64(len(p))
	c.mu.Unlock()
	n, err := c.Conn.Write(p)
	if n == 0 && err != nil {
		c.mu.Lock()
		c.written -= int64(len(p))
		c.mu.Unlock()
	}
	return n, err
}

func (c *countedConn) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.written
}

// seal refuses every further write, and returns what was written.
func (c *countedConn) seal() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.sealed = true
	return c.written
}
