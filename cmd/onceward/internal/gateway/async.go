package gateway

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// pollSigned is how often an operation that was asked for asynchronously is
// looked at until its transaction is stored.
const pollSigned = 20 * time.Millisecond

// run is one pass through the guarded handler of a contract route. It may
// outlive the request it was begun for.
type run struct {
	answer buffered
	op     chan *onceward.Operation // the claim, when it was won
	done   chan struct{}
}

type runKey struct{}

func runOf(ctx context.Context) *run {
	r, _ := ctx.Value(runKey{}).(*run)
	return r
}

func (r *run) claimed(op *onceward.Operation) {
	select {
	case r.op <- op:
	default: // it was released and claimed again
	}
}

// buffered is a ResponseWriter that keeps a small answer.
type buffered struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header implements http.ResponseWriter.
func (b *buffered) Header() http.Header { return b.header }

// WriteHeader implements http.ResponseWriter.
func (b *buffered) WriteHeader(status int) {
	if b.status == 0 && status >= 200 {
		b.status = status
	}
}

// Write implements http.ResponseWriter.
func (b *buffered) Write(p []byte) (int, error) {
	b.WriteHeader(http.StatusOK)
	return b.body.Write(p)
}

func (b *buffered) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), b.header)
	w.WriteHeader(b.status)
	_, _ = w.Write(b.body.Bytes()) // the client has gone
}

// answered gives a request its final answer or, when that takes too long or
// the client does not want to wait, 202 with the place to ask at. The
// operation goes on either way.
func (g *Gateway) answered(route *Route, guarded http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, async := patience(r.Header, route.SyncTimeout)
		pass := g.start(guarded, r)
		timer := time.NewTimer(limit)
		defer timer.Stop()
		op, late := g.await(pass, timer, async, route.SyncTimeout)
		if !late {
			g.finish(w, r, route, pass, async)
			return
		}
		g.accepted.Store(op.ID(), struct{}{})
		g.tellOthers(r.Context(), op)
		g.runs.Go(func() {
			<-pass.done
			g.accepted.Delete(op.ID())
		})
		g.accept(w, route, op.ID(), async)
	})
}

// start runs the guarded handler beside the request.
func (g *Gateway) start(guarded http.Handler, r *http.Request) *run {
	pass := &run{
		answer: buffered{header: make(http.Header)},
		op:     make(chan *onceward.Operation, 1), done: make(chan struct{}),
	}
	own := r.WithContext(context.WithValue(context.WithoutCancel(r.Context()), runKey{}, pass))
	g.runs.Go(func() { //nolint:contextcheck // the request carries it
		defer close(pass.done)
		defer func() {
			if p := recover(); p != nil {
				g.cfg.Log.ErrorContext(own.Context(), "a contract route panicked", "panic", p, "stack", string(debug.Stack()))
				pass.answer = buffered{header: make(http.Header)}
				about(codeInternal, "").Write(&pass.answer, own)
			}
		}()
		guarded.ServeHTTP(&pass.answer, own)
	})
	return pass
}

// await returns when the pass has an answer, or late with its operation when
// the client should not wait any longer. Of an asynchronous request that is
// when its transaction is signed and stored: from then on it will be
// finished, while until then it may still be refused.
func (g *Gateway) await(pass *run, limit *time.Timer, async bool, longest time.Duration) (*onceward.Operation, bool) {
	var op *onceward.Operation
	var tick <-chan time.Time
	patient := false // the time is not up
	deadline := time.Now().Add(longest)
	for {
		select {
		case <-pass.done:
			return nil, false
		case op = <-pass.op:
		case <-limit.C:
			patient = true
		case <-tick:
		}
		if op == nil || !patient {
			continue // nobody knows yet whose the key is
		}
		if !async || len(op.Checkpoints()) > 0 || time.Now().After(deadline) {
			return op, true
		}
		if tick == nil {
			t := time.NewTicker(pollSigned)
			defer t.Stop()
			tick = t.C
		}
	}
}

// patience reads RFC 7240: whether the client asks for an answer before the
// operation has ended, and how long it is ready to wait for the final one.
func patience(h http.Header, sync time.Duration) (limit time.Duration, async bool) {
	var wait time.Duration
	for _, line := range h.Values("Prefer") {
		for pref := range strings.SplitSeq(line, ",") {
			pref, _, _ = strings.Cut(pref, ";")
			name, value, _ := strings.Cut(strings.TrimSpace(pref), "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "respond-async":
				async = true
			case "wait":
				if n, err := strconv.Atoi(strings.Trim(strings.TrimSpace(value), `"`)); err == nil && n >= 0 && n < 1<<20 {
					wait = time.Duration(n) * time.Second
				}
			}
		}
	}
	if !async {
		return sync, false
	}
	return min(wait, sync), true
}

// finish sends the answer of a pass that has ended. That another request is
// working on the key is no final answer: whoever prefers not to wait, or asks
// again after 202, gets 202.
func (g *Gateway) finish(w http.ResponseWriter, r *http.Request, route *Route, pass *run, async bool) {
	if pass.answer.status == http.StatusConflict && codeIn(pass.answer.body.Bytes()) == string(onceward.CodeInProgress) {
		if key, ok := g.keyOf(r, route); ok && (async || g.wasAccepted(r.Context(), key, route.SyncTimeout)) {
			g.accept(w, route, key.ID(), async)
			return
		}
	}
	pass.answer.send(w)
}

// checkpointAccepted says that a client was answered 202.
const checkpointAccepted = "gateway.accepted"

// tellOthers stores with the operation that it was answered 202, so that a
// retry gets the same from every process, and after a crash. It is only done
// once something else is stored: the first checkpoint is the point of no
// return, and the gateway has no say in that. Until then time tells others.
func (g *Gateway) tellOthers(ctx context.Context, op *onceward.Operation) {
	if len(op.Checkpoints()) == 0 {
		return
	}
	if err := op.Checkpoint(ctx, checkpointAccepted, nil); err != nil && !op.Ended() {
		// Others may answer 409 until they have waited as long.
		g.cfg.Log.WarnContext(ctx, "that an operation was answered 202 is not stored", "operation", op.ID(), "err", err)
	}
}

// wasAccepted reports whether an operation under way has been answered with
// 202: by this process, by one that has stored it, or by any that has waited
// for it long enough.
func (g *Gateway) wasAccepted(ctx context.Context, key onceward.Key, sync time.Duration) bool {
	if _, ok := g.accepted.Load(key.ID()); ok {
		return true
	}
	rec, err := g.cfg.Engine.Get(ctx, key)
	if err != nil || rec.Status != onceward.StatusStarted {
		return false
	}
	told := slices.ContainsFunc(rec.Checkpoints, func(c onceward.Checkpoint) bool { return c.Name == checkpointAccepted })
	return told || g.cfg.Engine.Config().Now().Sub(rec.ClaimedAt) >= sync
}

// keyOf returns the key that the request's operation runs under.
func (g *Gateway) keyOf(r *http.Request, route *Route) (onceward.Key, bool) {
	scope, err := ScopeOf(r)
	if err != nil {
		return onceward.Key{}, false
	}
	c := callOf(r.Context())
	if len(c.natural) > 0 {
		return onceward.NaturalKey(scope, route.Kind, c.natural...), true
	}
	if c.bodyKey != "" {
		return onceward.Key{Scope: scope, Value: c.bodyKey}, true
	}
	value, err := oncehttp.ParseKey(r.Header.Get(route.Options.Header), route.Options.StrictKeys)
	return onceward.Key{Scope: scope, Value: value}, err == nil
}

func codeIn(body []byte) string {
	var p struct {
		Code string `json:"code"`
	}
	if json.Unmarshal(body, &p) != nil {
		return ""
	}
	return p.Code
}

// accept answers that the operation goes on. Every request for it gets the
// same bytes until it is final.
func (g *Gateway) accept(w http.ResponseWriter, route *Route, id onceward.ID, async bool) {
	engine := g.cfg.Engine.Config()
	w.Header().Set("Location", "/v1/operations/"+id.String())
	w.Header().Set("Retry-After", "1")
	w.Header().Set("Link", oncehttp.PolicyLink(PolicyPath))
	// As the middleware has it: what this comes to is kept at least as if it came to it now.
	w.Header().Set(oncehttp.HeaderExpires, engine.Now().Add(cmp.Or(route.Options.Retention, engine.Retention)).UTC().Format(http.TimeFormat))
	if async {
		w.Header().Set("Preference-Applied", "respond-async")
	}
	send(w, jsonResponse(http.StatusAccepted, "application/json", map[string]string{
		"operation_id": id.String(), "status": statusPending,
	}))
}
