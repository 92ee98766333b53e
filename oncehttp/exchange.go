package oncehttp

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
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

	ctx     exchangeContext
	reader  bufferedBody
	rec     recorder
	op      *onceward.Operation
	base    http.Header // the header before the handler
	ran     bool
	failed  error // what the handler gave to Fail
	expires time.Time
}

// exchangeContext is the handler's context: it carries the exchange without a
// further allocation.
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

// Fail ends the operation of a guarded handler as if an onceward.Handler had
// returned err: without a checkpoint the key is released, onceward.ErrPark
// leaves it to the crash policy. What the handler has written is dropped, and
// the answer is that of WriteProblem. The handler should return after it. It
// reports false for a request that is not guarded.
func Fail(r *http.Request, err error) bool {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if ok {
		x.failed = err
	}
	return ok
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
	if x.body, err = g.readBody(r); err != nil {
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
	return true, x.describe(scope, at)
}

// describe fills in what the engine is asked.
func (x *exchange) describe(scope string, at span) error {
	opt := &x.g.opt
	fp, err := x.g.fingerprint(x.r, x.body, at)
	if err != nil {
		return payloadInvalid(err)
	}
	x.req = onceward.Request{
		Key: onceward.Key{Scope: scope, Value: x.key}, Fingerprint: fp.sum, Detail: fp.detail,
		Kind: opt.Kind, Policy: opt.Policy, InTx: opt.InTx, Retention: opt.Retention, Wait: opt.Wait, Final: opt.Replay,
	}
	return nil
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

// do asks the engine.
func (x *exchange) do() (onceward.Outcome, error) {
	if len(x.natural) == 0 {
		return x.g.eng.Do(x.r.Context(), x.req, x.run)
	}
	natural := onceward.NaturalKey(x.req.Key.Scope, x.req.Kind, x.natural...)
	return x.g.eng.DoNatural(x.r.Context(), x.req, natural, x.run)
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
	x.ctx = exchangeContext{ctx, x}
	r := x.r.WithContext(&x.ctx) //nolint:contextcheck // it wraps the context given
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
	for name, values := range out.Response.Header {
		if _, ok := x.g.replayable[name]; ok {
			h[name] = values
		}
	}
	x.expires = out.ExpiresAt
	x.mark(h)
	h[HeaderReplayed] = headerTrue
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
	h["Link"] = append(slices.Clip(h["Link"]), x.g.link)
	if !x.expires.IsZero() && x.expires.Before(onceward.Never) {
		h[HeaderExpires] = []string{x.expires.UTC().Format(http.TimeFormat)}
	}
}

var headerTrue = []string{"true"}
