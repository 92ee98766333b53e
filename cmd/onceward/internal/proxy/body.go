package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// clientBody is a body that is handed on as it comes. It remembers how it broke
// off, because the error of the exchange does not tell the client's doing from
// the backend's: both sides have deadlines, and net/http ends the context of an
// HTTP/1 request when its body cannot be read.
type clientBody struct {
	io.ReadCloser

	reading sync.Mutex // held while something is read
	err     error
}

type bodyKey struct{}

// Read implements io.Reader.
func (b *clientBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// brokenBody returns why the body of a request that failed did not come, or nil
// when that was not the reason.
func brokenBody(ctx context.Context) error {
	b, ok := ctx.Value(bodyKey{}).(*clientBody)
	if !ok {
		return nil
	}
	if ctx.Err() != nil {
		b.reading.Lock() // the Read that has ended the context is about to return
	} else if !b.reading.TryLock() {
		return nil // it is still coming
	}
	defer b.reading.Unlock()
	return b.err
}

// brokeOff answers a request without a key whose body did not come. The
// backend, which may have got a part of it, has seen it break off as well.
func (p *Proxy) brokeOff(w http.ResponseWriter, r *http.Request, err error) {
	p.cfg.Log.InfoContext(r.Context(), "request body not received", "method", r.Method, "err", err)
	out := oncehttp.ProblemOf(&onceward.Error{Code: oncehttp.BodyCode(err)})
	out.Detail = map[onceward.Code]string{
		onceward.CodePayloadTooLarge: "The body is larger than is accepted.",
		oncehttp.CodeRequestTimeout:  "The rest of the body did not come in time.",
		oncehttp.CodePayloadInvalid:  "The body ended before it was complete.",
	}[out.Code] + " The backend has got a part of the request at most."
	out.Retryable, out.RetryAfter = false, 0 // nothing keeps it from acting on two parts
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close") // the rest cannot be told from another request
	}
	out.Write(w, r)
}
