package oncehttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/onceward/onceward"
)

// guard is the middleware of one route.
type guard struct {
	eng         *onceward.Engine
	opt         Options
	log         *slog.Logger
	hash        hasher
	prior       []*hasher // of earlier secrets
	replayable  replayable
	link        string
	maxResponse int
	handle      onceward.Handler // runs the http.Handler of an exchange
	dates       dateCache
	keyless     bool // a request without the header needs no look at its body
}

// New returns the middleware that guards handlers with eng, or what is wrong
// with opts. One middleware may guard any number of handlers that share its
// options.
func New(eng *onceward.Engine, opts Options) (func(http.Handler) http.Handler, error) {
	if eng == nil {
		return nil, errors.New("oncehttp: New needs an Engine")
	}
	opts = opts.withDefaults(eng)
	if err := opts.validate(eng); err != nil {
		return nil, err
	}
	g := &guard{
		eng: eng, opt: opts, log: opts.Logger,
		hash:        hasher{secret: opts.Secret},
		replayable:  newReplayable(opts.ReplayHeaders),
		link:        PolicyLink(opts.PolicyURL),
		maxResponse: eng.Config().MaxResponseBytes,
		keyless:     opts.Optional && opts.BodyKey == "" && opts.NaturalKey == nil,
	}
	for _, secret := range opts.PriorSecrets {
		g.prior = append(g.prior, &hasher{secret: secret})
	}
	g.handle = func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
		return exchangeOf(ctx).run(ctx, op)
	}
	return g.wrap, nil
}

func (g *guard) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !slices.Contains(g.opt.Methods, r.Method) || g.keyless && len(r.Header[g.opt.Header]) == 0 {
			next.ServeHTTP(w, r)
			return
		}
		g.serve(w, r, next)
	})
}

// serve handles a request of a guarded method.
func (g *guard) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	x := exchanges.Get().(*exchange) // the pool holds nothing else
	x.g, x.w, x.r, x.next = g, w, r, next
	guarded, err := x.prepare()
	if err != nil {
		x.fail(err)
		return
	}
	if !guarded {
		x.passThrough()
		return
	}
	if x.recall() {
		x.recycle()
		return
	}
	out, err := x.do() //nolint:contextcheck // the request carries it
	if g.opt.FailOpen && !x.ran && onceward.CodeOf(err) == onceward.CodeStoreUnavailable {
		g.log.WarnContext(r.Context(), "the store does not answer; running the handler unguarded, as FailOpen asks", "err", err)
		x.passThrough()
		return
	}
	x.answer(out, err)
}

// passThrough runs the handler without an operation.
func (x *exchange) passThrough() {
	r := x.r
	if r.Body != nil && r.Body != http.NoBody {
		own := *r
		r = &own
		x.replaceBody(r)
	}
	x.next.ServeHTTP(x.w, r)
}
