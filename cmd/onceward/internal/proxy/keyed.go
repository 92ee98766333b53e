package proxy

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// checkpointSending is made before the first byte of an attempt leaves.
const checkpointSending = "proxy.sending"

// sending is its data.
type sending struct {
	Token   int64  `json:"token"`
	Attempt int    `json:"attempt"`
	Method  string `json:"method"`
	Path    string `json:"path"`
}

// errTimeout ends an exchange that takes too long.
var errTimeout = errors.New("the backend did not answer in time")

// statusError is an answer of 500 and more under policy hold: the backend may
// have acted before it failed.
type statusError struct{ status int }

// Error implements error.
func (e *statusError) Error() string { return fmt.Sprintf("the backend answered %d", e.status) }

// call is one attempt of a keyed request.
type call struct {
	op     *onceward.Operation
	body   []byte
	sent   bool // a byte may have left
	timer  *time.Timer
	cancel context.CancelCauseFunc
}

type callKey struct{}

func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// serveKeyed sends the request of a claimed key.
func (p *Proxy) serveKeyed(w http.ResponseWriter, r *http.Request, op *onceward.Operation) {
	body, err := io.ReadAll(r.Body) // from memory, and within Options.MaxBodyBytes
	if err != nil {
		oncehttp.Fail(r, err)
		return
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	c := &call{op: op, body: body, cancel: cancel}
	note, err := json.Marshal(sending{Token: op.Token(), Attempt: op.Attempt(), Method: r.Method, Path: clip(r.URL.Path)})
	if err != nil {
		oncehttp.Fail(r, err)
		return
	}
	if err := op.Checkpoint(ctx, checkpointSending, note); err != nil {
		p.refuse(r, c, &onceward.Error{Code: onceward.CodeStoreUnavailable, RetryAfter: time.Second, Err: err})
		return
	}
	c.timer = time.AfterFunc(p.cfg.Timeout, func() { cancel(errTimeout) })
	defer c.timer.Stop()
	p.reverse.ServeHTTP(&unflushed{ResponseWriter: w}, r.WithContext(context.WithValue(ctx, callKey{}, c)))
}

// refuse ends an attempt of which nothing was sent.
func (p *Proxy) refuse(r *http.Request, c *call, err error) {
	c.settle("nothing was sent to the backend")
	oncehttp.Fail(r, err)
}

// settle says that this attempt had no effect. That ends the operation, too,
// unless an earlier attempt may have had one: under rerun nobody has asked.
func (c *call) settle(reason string) {
	if c.op.Record().Policy == onceward.Rerun && c.op.Attempt() > 1 {
		return
	}
	c.op.Conclude(onceward.NotApplied, reason)
}

// received looks at the backend's answer before it is passed on.
func (p *Proxy) received(res *http.Response) error {
	if len(res.Trailer) > 0 && res.Request.ProtoMajor < 2 {
		// HTTP/1 has trailers only where there is no length.
		res.Header.Del("Content-Length")
		res.ContentLength = -1
	}
	c := callOf(res.Request.Context())
	if c == nil {
		return nil
	}
	for _, name := range []string{oncehttp.HeaderReplayed, oncehttp.HeaderExpires} {
		res.Header.Del(name) // ours to say
	}
	if res.StatusCode == http.StatusSwitchingProtocols || isEventStream(res.Header) {
		c.timer.Stop()
		return p.judge(c, res.StatusCode, res.Header, nil)
	}
	limit := p.cfg.Engine.Config().MaxResponseBytes
	body, err := io.ReadAll(io.LimitReader(res.Body, int64(limit)+1))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	rest := io.Reader(bytes.NewReader(body))
	if len(body) > limit {
		c.timer.Stop()
		rest, body = io.MultiReader(rest, res.Body), nil
	}
	if err := p.judge(c, res.StatusCode, res.Header, body); err != nil {
		return err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{rest, res.Body}
	return nil
}

// judge decides what the backend's answer means for the key. An answer that
// is final completes it; one below 500 that is not says that nothing happened.
func (p *Proxy) judge(c *call, status int, header http.Header, body []byte) error {
	resp := onceward.Response{Status: status, Header: header, Body: body}
	switch {
	case p.opts.Replay(&resp):
	case status < http.StatusInternalServerError || p.cfg.ReleaseServerErrors:
		c.settle(fmt.Sprintf("the backend answered %d", status))
	case c.op.Record().Policy == onceward.Hold:
		return &statusError{status}
	}
	return nil
}

func isEventStream(h http.Header) bool {
	media, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && media == "text/event-stream"
}

// unflushed keeps the reverse proxy, which flushes every answer of unknown
// length, from turning answers that can be kept into streams. Event streams
// are streams.
type unflushed struct {
	http.ResponseWriter
}

// FlushError is looked for by http.ResponseController.
func (w *unflushed) FlushError() error {
	if !isEventStream(w.Header()) {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Unwrap lets http.ResponseController reach everything else.
func (w *unflushed) Unwrap() http.ResponseWriter { return w.ResponseWriter }

const maxClip = 256

func clip(s string) string { return s[:min(len(s), maxClip)] }
