package serving

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"
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
	out.relax()       // of what ended the answer before
	defer out.limit() // what is buffered is written when this returns
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		q.answer(out, r)
		return
	}
	_ = out.ctl.SetReadDeadline(time.Now().Add(q.limits.BodyTimeout)) // also for what the handler leaves unread
	body := &body{ReadCloser: r.Body, ctl: out.ctl, timeout: q.limits.BodyTimeout, began: time.Now()}
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
		refuse(w)
		return nil, false
	}
	defer turn.leave()
	b.turn = turn
	data := make([]byte, 0, min(r.ContentLength, 1<<10)) // what was announced may never come
	buf := bytes.NewBuffer(data)
	if _, err := buf.ReadFrom(b); err != nil {
		// It came too slowly, or was cut off: nobody waits for an answer.
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusRequestTimeout)
		return nil, false
	}
	return buf.Bytes(), true
}

// stream answers a request whose body is handed on as it comes. Half of all
// places are kept for others.
func (q *requests) stream(w *writer, r *http.Request, b *body) {
	if q.streamed.Add(1) > int64(max(q.limits.MaxRequests/2, 1)) {
		q.streamed.Add(-1)
		refuse(w)
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
		refuse(w)
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

const tooBusy = `{"type":"about:blank","title":"The server is busy","status":503,` +
	`"detail":"Nothing was done. Send the request again with the same key.","code":"busy","retryable":true}` + "\n"

// refuse answers a request that there is no place for.
func refuse(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = io.WriteString(w, tooBusy) // the client has gone
}

// body is a request's body that must keep coming.
type body struct {
	io.ReadCloser
	ctl      *http.ResponseController
	timeout  time.Duration
	began    time.Time
	received int64
	turn     *turn
}

// Read implements io.Reader. It fails when the client pauses too long, or is
// too slow on the whole.
func (b *body) Read(p []byte) (int, error) {
	now := time.Now()
	deadline := now.Add(b.timeout)
	if average := b.began.Add(b.timeout + time.Duration(b.received/minRate)*time.Second); average.Before(deadline) {
		deadline = average
	}
	_ = b.ctl.SetReadDeadline(deadline) // a connection without deadlines is a test's
	if b.turn != nil && !b.turn.alive() {
		return 0, errCutOff
	}
	n, err := b.ReadCloser.Read(p)
	b.received += int64(n)
	if b.turn != nil && n > 0 {
		b.turn.touch()
	}
	if errors.Is(err, io.EOF) {
		_ = b.ctl.SetReadDeadline(time.Time{}) // or the connection would end with it
	}
	return n, err
}

var errCutOff = errors.New("serving: too many requests were arriving")

// writer is a ResponseWriter whose client must take what is written. Between
// two writes the handler may take its time: a stream of events may be silent.
type writer struct {
	http.ResponseWriter
	ctl     *http.ResponseController
	timeout time.Duration
}

// Unwrap is for http.ResponseController.
func (w *writer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// limit bounds what is written from now on; relax ends that.
func (w *writer) limit() { _ = w.ctl.SetWriteDeadline(time.Now().Add(w.timeout)) }
func (w *writer) relax() { _ = w.ctl.SetWriteDeadline(time.Time{}) }

// WriteHeader implements http.ResponseWriter.
func (w *writer) WriteHeader(status int) {
	w.limit()
	defer w.relax()
	w.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (w *writer) Write(p []byte) (int, error) {
	w.limit()
	defer w.relax()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *writer) Flush() { _ = w.FlushError() }

// FlushError is for http.ResponseController.
func (w *writer) FlushError() error {
	w.limit()
	defer w.relax()
	return w.ctl.Flush()
}
