package oncehttp

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"strconv"

	"github.com/onceward/onceward"
)

// recorder is the ResponseWriter of a guarded handler. It keeps the answer
// back until the record is durable, so that no byte of a final answer leaves
// before that. An answer that cannot be kept back, because it is too large or
// is flushed, completes the record with a tombstone first and then streams.
type recorder struct {
	x      *exchange
	w      http.ResponseWriter
	mode   mode
	status int // 0 until the handler decided
	// fields is the header as it was when the handler decided.
	fields []headerField
	space  [4]headerField // where fields begins, to save an allocation
	values [4]string      // where the values that are recorded begin
	// length is the Content-Length that the handler declared, or -1; written
	// counts what it wrote, refused writes included, as net/http does.
	length, written int64

	buf []byte
	err error // why mode is broken
}

type mode int

const (
	buffering mode = iota // the answer is kept back
	streaming             // it goes to the client as the handler writes it
	hijacked              // the connection is the handler's
	broken                // it may not leave: its record could not be written
)

// Unwrap lets http.ResponseController reach what this type does not change,
// such as deadlines.
func (rec *recorder) Unwrap() http.ResponseWriter { return rec.w }

// Header implements http.ResponseWriter.
func (rec *recorder) Header() http.Header { return rec.w.Header() }

// WriteHeader implements http.ResponseWriter. Informational answers pass: they
// say nothing about the outcome.
func (rec *recorder) WriteHeader(status int) {
	if rec.mode == hijacked {
		return
	}
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("oncehttp: invalid WriteHeader code %d", status)) // as net/http does
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		if rec.status == 0 && rec.mode == buffering {
			rec.w.WriteHeader(status)
		}
		return
	}
	if rec.status != 0 {
		return
	}
	rec.status = status
	h := rec.w.Header()
	rec.fields = appendFields(rec.space[:0], h)
	rec.length = -1
	if v := h["Content-Length"]; len(v) > 0 {
		if n, err := strconv.ParseInt(v[0], 10, 64); err == nil {
			rec.length = n
		}
	}
}

// Write implements http.ResponseWriter.
func (rec *recorder) Write(p []byte) (int, error) {
	if err := rec.admit(len(p)); err != nil {
		return 0, err
	}
	if rec.mode == streaming {
		return rec.w.Write(p)
	}
	rec.buf = append(rec.buf, p...)
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (rec *recorder) WriteString(s string) (int, error) {
	if err := rec.admit(len(s)); err != nil {
		return 0, err
	}
	if rec.mode == streaming {
		return io.WriteString(rec.w, s)
	}
	rec.buf = append(rec.buf, s...)
	return len(s), nil
}

// admit prepares for n more bytes.
func (rec *recorder) admit(n int) error {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	switch {
	case rec.mode == broken:
		return rec.err
	case rec.mode == hijacked:
		return http.ErrHijacked
	case !bodyAllowed(rec.status):
		return http.ErrBodyNotAllowed
	}
	rec.written += int64(n)
	if rec.length >= 0 && rec.written > rec.length {
		return http.ErrContentLength
	}
	if rec.mode == buffering && len(rec.buf)+n > rec.x.g.maxResponse {
		return rec.stream()
	}
	return nil
}

// ReadFrom implements io.ReaderFrom, so that io.Copy needs no buffer of its
// own, and hands a large file on to the connection.
func (rec *recorder) ReadFrom(src io.Reader) (n int64, err error) {
	var chunk [4 << 10]byte
	for rec.mode != streaming {
		m, err := src.Read(chunk[:])
		if m > 0 {
			if _, err := rec.Write(chunk[:m]); err != nil {
				return n, err
			}
			n += int64(m)
		}
		if errors.Is(err, io.EOF) {
			return n, nil
		}
		if err != nil {
			return n, err
		}
	}
	m, err := io.Copy(rec.w, src)
	return n + m, err
}

// Flush implements http.Flusher.
func (rec *recorder) Flush() { _ = rec.FlushError() }

// FlushError begins to stream, if the answer is one that will be final. An
// error answer stays back: what becomes of its key is known only when the
// handler has returned.
func (rec *recorder) FlushError() error {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	switch rec.mode {
	case broken:
		return rec.err
	case hijacked:
		return http.ErrHijacked
	case buffering, streaming:
	}
	if rec.mode == buffering && (rec.x.g.opt.IgnoreFlush || !rec.final()) {
		return nil
	}
	if err := rec.stream(); err != nil {
		return err
	}
	return http.NewResponseController(rec.w).Flush()
}

// Hijack implements http.Hijacker. The record is completed before the handler
// gets the connection: what it writes there is out of sight.
func (rec *recorder) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if rec.mode == broken {
		return nil, nil, rec.err
	}
	conn, buf, err := http.NewResponseController(rec.w).Hijack()
	if err != nil || rec.mode != buffering {
		return conn, buf, err
	}
	rec.mode = hijacked
	rec.status = cmp.Or(rec.status, http.StatusSwitchingProtocols)
	if err := rec.complete(); err != nil {
		_ = conn.Close() // nothing may be said on it
		return nil, nil, err
	}
	return conn, buf, nil
}

// stream completes the record, unless the answer is an error that will not be
// kept, and lets out what was kept back.
func (rec *recorder) stream() error {
	if rec.mode != buffering {
		return rec.err
	}
	if rec.final() {
		if err := rec.complete(); err != nil {
			return err
		}
	}
	rec.mode = streaming
	return rec.emit()
}

// complete records a tombstone, durably.
func (rec *recorder) complete() error {
	op := rec.x.op
	if !op.Ended() { // the handler may have completed it itself
		if err := op.Complete(context.WithoutCancel(rec.x.r.Context()), rec.tombstone()); err != nil {
			rec.err = err
			if rec.mode == buffering {
				rec.mode = broken
			}
			return err
		}
	}
	rec.x.expires = op.Record().ExpiresAt
	return nil
}

func (rec *recorder) tombstone() onceward.Response {
	return onceward.Response{Status: rec.status, Header: rec.header(), Tombstone: true}
}

// header copies what is kept of the header.
func (rec *recorder) header() http.Header {
	return rec.x.g.replayable.filter(rec.fields, rec.values[:0])
}

// final reports whether the answer would complete the key.
func (rec *recorder) final() bool {
	resp := rec.tombstone()
	return rec.x.g.opt.Replay(&resp)
}

// response is the answer as the engine records it, once the handler has
// returned.
func (rec *recorder) response() onceward.Response {
	if rec.status == 0 {
		rec.WriteHeader(http.StatusOK)
	}
	if rec.mode != buffering || rec.status == http.StatusSwitchingProtocols {
		return rec.tombstone()
	}
	rec.sniff()
	return onceward.Response{Status: rec.status, Header: rec.header(), Body: rec.buf}
}

// sniff names the content type where net/http would: the replay must have the
// one that the first client saw.
func (rec *recorder) sniff() {
	if len(rec.buf) == 0 {
		return
	}
	for _, f := range rec.fields {
		switch f.name {
		case "Content-Type", "Transfer-Encoding":
			return
		case "Content-Encoding":
			if len(f.values) > 0 && f.values[0] != "" {
				return
			}
		}
	}
	rec.fields = append(rec.fields, headerField{"Content-Type", []string{http.DetectContentType(rec.buf)}})
}

// emit sends the header and what was kept back. Headers that were set after
// the handler decided are trailers, and follow.
func (rec *recorder) emit() error {
	h := rec.w.Header()
	late := restore(h, rec.fields)
	rec.x.mark(h)
	if rec.mode == buffering && rec.length < 0 && len(rec.buf) > smallAnswer && len(h["Trailer"]) == 0 &&
		len(late) == 0 && rec.x.r.Method != http.MethodHead && len(h["Transfer-Encoding"]) == 0 {
		h["Content-Length"] = []string{strconv.Itoa(len(rec.buf))}
	}
	rec.w.WriteHeader(rec.status)
	var err error
	if len(rec.buf) > 0 {
		_, err = rec.w.Write(rec.buf)
	}
	rec.buf = nil
	maps.Copy(h, late)
	return err
}

// smallAnswer is the size up to which net/http finds the length itself.
const smallAnswer = 1 << 10

func bodyAllowed(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}
