package gateway

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// options completes the idempotency rules of a contract route.
func (g *Gateway) options(r *Route) oncehttp.Options {
	opts := r.Options
	opts.Header = cmp.Or(opts.Header, oncehttp.DefaultHeader)
	opts.Scope, opts.Kind, opts.Policy, opts.Logger = ScopeOf, r.Kind, onceward.Reconcile, g.cfg.Log
	// A longer wait would end in 202 anyway.
	opts.Wait = min(opts.Wait, r.SyncTimeout)
	opts.ReplayHeaders = append(opts.ReplayHeaders, g.cfg.ReplayHeaders...)
	if len(r.NaturalKey) > 0 {
		opts.NaturalKey = func(req *http.Request, _ []byte) ([]string, error) {
			return callOf(req.Context()).natural, nil
		}
	}
	return opts
}

// checked lets only requests through that the contract's description admits:
// a malformed request costs no store traffic.
func (g *Gateway) checked(route *Route, next http.Handler) http.Handler {
	limit := route.Options.MaxBodyBytes
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, refused := readJSON(w, r, limit)
		if refused != nil {
			refused.Write(w, r)
			return
		}
		c, err := g.cfg.Contracts.understand(r.Context(), route, InputOf(r.Context()), body)
		if err != nil {
			p := invalid(err)
			p.Key = route.keyIn(body)
			p.Write(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

// readJSON reads a body of at most limit bytes that says it is JSON.
func readJSON(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *oncehttp.Problem) {
	if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return nil, about(codeUnsupportedMedia, "")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	if err != nil {
		return nil, bodyProblem(err, limit)
	}
	return body, nil
}

func bodyProblem(err error, limit int64) *oncehttp.Problem {
	code := oncehttp.BodyCode(err)
	if code == onceward.CodePayloadTooLarge {
		return about(code, fmt.Sprintf("This endpoint takes at most %d bytes.", limit))
	}
	if code == oncehttp.CodeRequestTimeout {
		return about(code, "")
	}
	return invalid(&fieldError{Detail: "the body could not be read to its end"})
}

// submit makes the call of a claimed key.
func (g *Gateway) submit(route *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := onceward.FromContext(r.Context())
		if run := runOf(r.Context()); run != nil {
			run.claimed(op)
		}
		inv := callOf(r.Context()).invocation
		giveBack, err := g.take(r.Context(), route, inv)
		if err != nil {
			g.limited(op, err).Write(w, r)
			return
		}
		resp, err := g.cfg.Submitter.Do(r.Context(), op, inv)
		if err != nil {
			if len(op.Checkpoints()) == 0 {
				giveBack()
			}
			g.refusal(route, op, err).Write(w, r)
			return
		}
		send(w, resp)
	})
}
