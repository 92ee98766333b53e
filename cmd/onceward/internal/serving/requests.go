package serving

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// requests bounds the requests of a server: those that still arrive and those
// that are being answered are two things. A client that sends slowly takes no
// place from those that are answered; when too many send slowly, the one that
// has been silent longest is cut off.
type requests struct {
	next     http.Handler
	limits   Limits
	arriving turns
	working  atomic.Int64
	streamed atomic.Int64 // those of working whose body still arrives
}

func newRequests(next http.Handler, limits Limits) *requests {
	return &requests{next: next, limits: limits, arriving: turns{max: limits.MaxConnections}}
}

// ServeHTTP implements http.Handler.
func (q *requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := &writer{ResponseWriter: w, ctl: http.NewResponseController(w), timeout: q.limits.WriteTimeout}
	_ = out.ctl.SetWriteDeadline(time.Time{}) // what the last answer left
	defer out.extend()                        // for what is still buffered
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		q.answer(out, r)
		return
	}
	body := &body{ReadCloser: r.Body, ctl: out.ctl, timeout: q.limits.BodyTimeout}
	defer body.leave()
	if r.ContentLength < 0 || r.ContentLength > smallBody || r.Header.Get("Expect") != "" {
		q.stream(out, r, body)
		return
	}
	data, ok := q.receive(out, r, body)
	if !ok {
		return
	}
	own := *r
	own.Body = io.NopCloser(bytes.NewReader(data))
	q.answer(out, &own)
}

// receive reads a small body before its request takes a place.
func (q *requests) receive(w *writer, r *http.Request, b *body) ([]byte, bool) {
	turn, ok := q.arriving.enter(func() { _ = b.ctl.SetReadDeadline(time.Unix(1, 0)) }) // its Read fails now
	if !ok {
		refuse(w, r)
		return nil, false
	}
	defer turn.leave()
	b.turn = turn
	data := make([]byte, 0, min(r.ContentLength, 1<<10)) // what was announced may never come
	buf := bytes.NewBuffer(data)
	if _, err := buf.ReadFrom(b); err != nil {
		// It came too slowly, or was cut off: hardly anybody waits for an answer.
		w.Header().Set("Connection", "close")
		oncehttp.WriteProblem(w, withKey(r), &onceward.Error{Code: oncehttp.CodeRequestTimeout})
		return nil, false
	}
	return buf.Bytes(), true
}

// stream answers a request whose body is handed on as it comes. Half of all
// places are kept for others.
func (q *requests) stream(w *writer, r *http.Request, b *body) {
	if q.streamed.Add(1) > int64(max(q.limits.MaxRequests/2, 1)) {
		q.streamed.Add(-1)
		refuse(w, r)
		return
	}
	defer q.streamed.Add(-1)
	own := *r
	own.Body = b
	q.answer(w, &own)
}

// answer runs the handler, if there is a place for it.
func (q *requests) answer(w *writer, r *http.Request) {
	defer q.working.Add(-1)
	if q.working.Add(1) > int64(q.limits.MaxRequests) {
		refuse(w, r)
		return
	}
	if turn, ok := r.Context().Value(turnKey{}).(*turn); ok {
		if !turn.begin() {
			return // its connection had to make room
		}
		defer turn.end()
	}
	q.next.ServeHTTP(w, r)
}

// body is a request's body that must keep coming while somebody reads it. A
// handler that pauses, for instance because a backend is slow, does not count
// against the client: in HTTP/2 a deadline ends the stream even if nobody is
// reading, so there is none then.
type body struct {
	io.ReadCloser
	ctl      *http.ResponseController
	timeout  time.Duration
	waited   time.Duration // for the client
	received int64
	turn     *turn

	mu    sync.Mutex
	ended bool // there is nothing left to read
	left  bool // the handler has returned; a transport may still be reading
}

// Read implements io.Reader. It fails when the client pauses too long, or is
// too slow on the whole.
func (b *body) Read(p []byte) (int, error) {
	average := b.timeout + time.Duration(b.received/minRate)*time.Second - b.waited
	began := time.Now()
	b.allow(began.Add(min(b.timeout, average)))
	if b.turn != nil && !b.turn.alive() {
		return 0, errCutOff
	}
	n, err := b.ReadCloser.Read(p)
	b.waited += time.Since(began)
	b.received += int64(n)
	if b.turn != nil && n > 0 {
		b.turn.touch()
	}
	if errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.ended = true
		b.mu.Unlock()
	}
	if err == nil || errors.Is(err, io.EOF) { // or the connection would end with the deadline
		b.allow(time.Time{})
	}
	return n, err
}

// allow sets the deadline while the handler runs.
func (b *body) allow(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.left {
		_ = b.ctl.SetReadDeadline(until) // a connection without deadlines is a test's
	}
}

// leave gives the client time for what the handler has left unread.
func (b *body) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left = true
	if !b.ended {
		_ = b.ctl.SetReadDeadline(time.Now().Add(b.timeout))
	}
}

var errCutOff = errors.New("serving: too many requests were arriving")

// writer is a ResponseWriter whose client must take what is written. Between
// two writes there is no deadline: in HTTP/2 it would end the stream of a
// handler that has nothing to say for a while.
type writer struct {
	http.ResponseWriter
	ctl     *http.ResponseController
	timeout time.Duration
}

// maxWrite is what a client must take within the timeout, in bytes. A slow
// reader of a large answer makes progress in such steps.
const maxWrite = 16 << 10

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *writer) extend() { _ = w.ctl.SetWriteDeadline(time.Now().Add(w.timeout)) }
func (w *writer) relax()  { _ = w.ctl.SetWriteDeadline(time.Time{}) }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	w.extend()
	defer w.relax()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (n int, err error) {
	defer w.relax()
	for {
		step := p[n:min(len(p), n+maxWrite)]
		w.extend()
		var m int
		m, err = w.ResponseWriter.Write(step)
		n += m
		if err != nil || n >= len(p) {
			return n, err
		}
	}
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *writer) FlushError() error {
	w.extend()
	defer w.relax()
	return w.ctl.Flush()
}
