package oncehttp

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
)

// exchange is one guarded request and its answer.
type exchange struct {
	g    *guard
	w    http.ResponseWriter
	r    *http.Request
	next http.Handler

	key     string // the client's, "" when only a natural one is used
	req     onceward.Request
	natural []string
	body    []byte
	text    []byte // what is compared of the body

	ctx     exchangeContext
	reader  bufferedBody
	rec     recorder
	op      *onceward.Operation
	base    http.Header // the header before the handler
	ran     bool
	failed  error // what the handler gave to Fail
	expires time.Time
	arena   []string  // of header values that are set here
	room    [2]string // where it begins, unless the exchange is used again
	space   fingerprintSpace
}

// exchanges are kept for the next request, with the memory for its body, when
// nobody but the middleware has seen them.
var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func (x *exchange) recycle() {
	body := x.body[:0]
	if cap(body) > maxKeptBody || x.g.opt.NaturalKey != nil { // whose author may have kept it
		body = nil
	}
	*x = exchange{body: body}
	exchanges.Put(x)
}

const maxKeptBody = 4 << 10

// exchangeContext is what the engine is asked under: it carries the exchange,
// without a further allocation.
type exchangeContext struct {
	context.Context //nolint:containedctx // this type is a context
	x               *exchange
}

type exchangeKey struct{}

// Value implements context.Context.
func (c *exchangeContext) Value(key any) any {
	if key == (exchangeKey{}) {
		return c.x
	}
	return c.Context.Value(key)
}

// exchangeOf returns the exchange whose handler runs under ctx, or nil.
func exchangeOf(ctx context.Context) *exchange {
	x, _ := ctx.Value(exchangeKey{}).(*exchange)
	return x
}

// Fail ends the operation of a guarded handler as if an onceward.Handler had
// returned err: without a checkpoint the key is released, onceward.ErrPark
// leaves it to the crash policy. What the handler has written is dropped, and
// the answer is that of WriteProblem. The handler should return after it. It
// reports false for a request that is not guarded.
func Fail(r *http.Request, err error) bool {
	x := exchangeOf(r.Context())
	if x == nil {
		return false
	}
	x.failed = err
	return true
}

// prepare reads what the request says about its operation. guarded is false
// when it has no key and needs none.
func (x *exchange) prepare() (guarded bool, err error) {
	g, r := x.g, x.r
	scope, err := g.opt.Scope(r)
	if err != nil {
		return false, unauthorized(err)
	}
	if x.key, err = g.headerKey(r.Header); err != nil {
		return false, err
	}
	if x.key == "" && g.opt.BodyKey == "" && !g.opt.Optional {
		return false, &onceward.Error{Code: onceward.CodeKeyMissing}
	}
	if x.body, err = g.readBody(r, x.body); err != nil {
		return false, err
	}
	inBody, at, err := g.bodyKey(r.Header.Get("Content-Type"), x.body)
	if err != nil {
		return false, err
	}
	if x.key != "" && inBody != "" && x.key != inBody {
		return false, keyInvalid(errors.New("the header and the body carry different keys"))
	}
	if x.key == "" {
		x.key = inBody
	}
	if x.key == "" && !g.opt.Optional {
		return false, &onceward.Error{Code: onceward.CodeKeyMissing}
	}
	if g.opt.NaturalKey != nil {
		if x.natural, err = g.opt.NaturalKey(r, x.body); err != nil {
			return false, unnatural(err)
		}
	}
	if x.key == "" && len(x.natural) == 0 {
		return false, nil
	}
	if x.text = x.body; at != (span{}) { // the key is no part of what is asked for
		x.text = slices.Concat(x.body[:at.from], []byte("null"), x.body[at.to:])
	}
	if x.text, err = g.comparableBody(r.Header.Get("Content-Type"), x.text); err != nil {
		return false, payloadInvalid(err)
	}
	x.req.Key = onceward.Key{Scope: scope, Value: x.key}
	x.req.Fingerprint = g.sum(&g.hash, r, x.text, &x.space)
	return true, nil
}

// recall answers from memory if it can.
func (x *exchange) recall() bool {
	if len(x.natural) > 0 {
		return false
	}
	out, ok := x.g.eng.Recall(x.req.Key, x.req.Fingerprint)
	if ok {
		x.replay(&out)
	}
	return ok
}

// describe fills in the rest of what the engine is asked.
func (x *exchange) describe() {
	opt := &x.g.opt
	x.req = onceward.Request{
		Key: x.req.Key, Fingerprint: x.req.Fingerprint, Detail: x.g.detail(&x.g.hash, x.r, x.text, &x.space),
		Kind: opt.Kind, Policy: opt.Policy, InTx: opt.InTx, Retention: opt.Retention, Wait: opt.Wait, Final: opt.Replay,
	}
}

func unauthorized(err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return &onceward.Error{Code: CodeUnauthorized, Err: err}
}

func unnatural(err error) error {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p
	}
	return payloadInvalid(err)
}

// do asks the engine, and once more for each earlier secret when the request
// is not the one that is recorded: it may have been recorded under that.
func (x *exchange) do() (onceward.Outcome, error) {
	x.describe()
	out, err := x.ask()
	for _, h := range x.g.prior {
		if x.ran || onceward.CodeOf(err) != onceward.CodeKeyReused {
			break
		}
		fp := x.g.fingerprint(h, x.r, x.text, new(fingerprintSpace))
		current := x.req
		x.req.Fingerprint, x.req.Detail = fp.sum, fp.detail
		next, reused := x.ask()
		if !x.ran && onceward.CodeOf(reused) == onceward.CodeKeyReused && !explains(err, current.Detail, x.req.Detail) {
			x.req = current // its detail says more
			continue
		}
		out, err = next, reused
	}
	return out, err
}

// explains reports whether next tells more precisely than current in what a
// request differs from the record of err: details made under different secrets
// differ in everything.
func explains(err error, current, next []byte) bool {
	e, ok := errors.AsType[*onceward.Error](err)
	return ok && e.Record != nil && len(differing(e.Record.Detail, next)) < len(differing(e.Record.Detail, current))
}

func (x *exchange) ask() (onceward.Outcome, error) {
	x.ctx = exchangeContext{x.r.Context(), x}
	if len(x.natural) == 0 {
		return x.g.eng.Do(&x.ctx, x.req, x.g.handle)
	}
	natural := onceward.NaturalKey(x.req.Key.Scope, x.req.Kind, x.natural...)
	return x.g.eng.DoNatural(&x.ctx, x.req, natural, x.g.handle)
}

// run is the onceward.Handler: it runs the http.Handler.
func (x *exchange) run(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
	x.op, x.ran, x.failed = op, true, nil
	if h := x.w.Header(); len(h) > 0 {
		x.base = maps.Clone(h)
	}
	x.rec = recorder{x: x, w: x.w}
	x.next.ServeHTTP(&x.rec, x.request(ctx))
	if x.failed != nil {
		return onceward.Response{}, x.failed
	}
	return x.rec.response(), nil
}

// request is the handler's request: the original, its body unread.
func (x *exchange) request(ctx context.Context) *http.Request {
	r := x.r.WithContext(ctx)
	x.replaceBody(r)
	return r
}

func (x *exchange) replaceBody(r *http.Request) {
	if len(x.body) == 0 {
		r.Body = http.NoBody
		return
	}
	x.reader.Reset(x.body)
	x.reader.closed = false
	r.Body = &x.reader
}

// answer sends what the engine said.
func (x *exchange) answer(out onceward.Outcome, err error) {
	switch {
	case x.ran && (x.rec.mode == streaming || x.rec.mode == hijacked):
		if err != nil {
			x.g.log.Error("answer streamed, but the operation did not end well", "err", err)
		}
	case err != nil:
		x.fail(err)
	case x.ran && !out.Replayed:
		x.expires = out.ExpiresAt
		_ = x.rec.emit() // the client has gone
	default:
		x.replay(&out)
	}
}

// replay sends a recorded answer.
func (x *exchange) replay(out *onceward.Outcome) {
	x.reset()
	h := x.w.Header()
	x.arena = make([]string, 0, 3+len(out.Response.Header)) // the header may be others', too
	for name, values := range out.Response.Header {
		if _, ok := x.g.replayable[name]; ok {
			h[name] = x.value(values...)
		}
	}
	x.expires = out.ExpiresAt
	x.mark(h)
	h[HeaderReplayed] = x.value("true")
	body := out.Response.Body
	if len(body) > 0 && len(h["Content-Type"]) == 0 {
		h["Content-Type"] = nil // keep net/http from guessing what the first answer left open
	}
	x.w.WriteHeader(out.Response.Status)
	if len(body) > 0 {
		_, _ = x.w.Write(body) // the client has gone
	}
}

// fail answers with a problem.
func (x *exchange) fail(err error) {
	if cause := x.r.Context().Err(); cause != nil && errors.Is(err, cause) {
		err = &onceward.Error{Code: onceward.CodeInProgress} // nobody reads it
	}
	p := ProblemOf(err)
	p.Key, p.PolicyURL = x.key, x.g.opt.PolicyURL
	e, _ := errors.AsType[*onceward.Error](err)
	if made, ok := x.req.Key.Time(); ok && onceward.CodeOf(err) == onceward.CodeKeyExpired {
		x.expires = made.Add(x.req.Retention) // it has been
	}
	if e != nil && e.Record != nil {
		x.expires = e.Record.ExpiresAt
		if names := differing(e.Record.Detail, x.req.Detail); e.Code == onceward.CodeKeyReused && len(names) > 0 {
			p.Extensions = map[string]any{"differing": names}
		}
	}
	if p.Code == CodeInternal || p.Code == onceward.CodeStoreUnavailable {
		x.g.log.Error("guarded request failed", "code", p.Code, "err", err)
	}
	x.reset()
	x.mark(x.w.Header())
	p.Write(x.w, x.r)
}

// reset takes back what the handler has done to the header.
func (x *exchange) reset() {
	if !x.ran {
		return
	}
	h := x.w.Header()
	clear(h)
	maps.Copy(h, x.base)
}

// mark adds what every keyed answer carries.
func (x *exchange) mark(h http.Header) {
	if links := h["Link"]; len(links) > 0 {
		h["Link"] = append(slices.Clip(links), x.g.link)
	} else {
		h["Link"] = x.value(x.g.link)
	}
	if x.key == "" && len(x.natural) == 0 {
		return // there is no key that could expire
	}
	expires := x.expires
	if expires.IsZero() || !expires.Before(onceward.Never) {
		// Nothing is recorded yet, or without an end: what this key comes to
		// will be kept at least as if it came to it now.
		expires = x.g.eng.Config().Now().Add(x.g.opt.Retention)
	}
	h[HeaderExpires] = x.value(x.g.dates.format(expires))
}

// value returns the values of a header, in memory of their own: who reads the
// header after this exchange must not find another one's.
func (x *exchange) value(values ...string) []string {
	if x.arena == nil {
		x.arena = x.room[:0]
	}
	from := len(x.arena)
	x.arena = append(x.arena, values...)
	return x.arena[from:len(x.arena):len(x.arena)]
}

// dateCache remembers the last date that was formatted: the answers of one
// second mostly expire in one second.
type dateCache struct{ last atomic.Pointer[httpDate] }

type httpDate struct {
	seconds int64
	text    string
}

func (c *dateCache) format(t time.Time) string {
	seconds := t.Unix()
	if d := c.last.Load(); d != nil && d.seconds == seconds {
		return d.text
	}
	d := &httpDate{seconds, t.UTC().Format(http.TimeFormat)}
	c.last.Store(d)
	return d.text
}
