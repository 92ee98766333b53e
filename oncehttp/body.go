package oncehttp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/onceward/onceward"
)

// firstRead is the most that is set aside for a body before it arrives: a
// client cannot reserve memory by announcing a length.
const firstRead = 32 << 10

var errBodyConsumed = errors.New("the body was read before the idempotency middleware saw it; put the middleware outside whatever reads it")

// readBody reads the whole body, up to the limit, into space if it is enough.
func (g *guard) readBody(r *http.Request, space []byte) ([]byte, error) {
	limit := g.opt.MaxBodyBytes
	if r.Body == nil || r.Body == http.NoBody || r.ContentLength == 0 {
		return nil, nil
	}
	if r.ContentLength > limit {
		return nil, g.tooLarge()
	}
	size := int64(512)
	if r.ContentLength > 0 {
		size = min(r.ContentLength, firstRead) + 1 // room to meet the end
	}
	body := space[:0]
	if int64(cap(body)) < size {
		body = make([]byte, 0, size)
	}
	for {
		if len(body) == cap(body) {
			body = append(body, 0)[:len(body)]
		}
		n, err := r.Body.Read(body[len(body):cap(body)])
		body = body[:len(body)+n]
		if int64(len(body)) > limit {
			return nil, g.tooLarge()
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, g.unreadable(err)
		}
	}
	if len(body) == 0 && r.ContentLength > 0 {
		return nil, errBodyConsumed
	}
	return body, nil
}

func (g *guard) tooLarge() error {
	return &onceward.Error{
		Code: onceward.CodePayloadTooLarge,
		Err:  fmt.Errorf("the body of a request with a key may have %d bytes", g.opt.MaxBodyBytes),
	}
}

func (g *guard) unreadable(err error) error {
	code := BodyCode(err)
	if code != onceward.CodePayloadTooLarge {
		g.log.Info("request body not read", "err", err)
	}
	if code != CodePayloadInvalid {
		return &onceward.Error{Code: code, Err: err}
	}
	return payloadInvalid(errors.New("the body ended before it was complete"))
}

// BodyCode says why a request's body could not be read to its end: an
// http.MaxBytesReader further out has a lower limit, a deadline of the server has
// passed, or the body broke off.
func BodyCode(err error) onceward.Code {
	var timeout interface{ Timeout() bool }
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return onceward.CodePayloadTooLarge
	}
	if errors.As(err, &timeout) && timeout.Timeout() {
		return CodeRequestTimeout
	}
	return CodePayloadInvalid
}

func payloadInvalid(err error) error { return &onceward.Error{Code: CodePayloadInvalid, Err: err} }

// bufferedBody gives the handler the body that was read.
type bufferedBody struct {
	bytes.Reader
	closed bool
}

// Read implements io.Reader.
func (b *bufferedBody) Read(p []byte) (int, error) {
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.Reader.Read(p)
}

// Close implements io.Closer.
func (b *bufferedBody) Close() error {
	b.closed = true
	return nil
}
