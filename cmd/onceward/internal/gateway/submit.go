package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
)

// options are the idempotency rules of a route.
func (g *Gateway) options(r *Route) oncehttp.Options {
	opts := oncehttp.Options{
		Scope: g.cfg.Scope, Kind: r.Kind, Policy: onceward.Reconcile, Wait: r.Wait,
		MaxBodyBytes: maxBody, ReplayHeaders: g.cfg.ReplayHeaders, Logger: g.cfg.Log,
	}
	if len(r.NaturalKey) > 0 {
		opts.NaturalKey = func(req *http.Request, _ []byte) ([]string, error) {
			return r.natural(g.cfg.Contracts, invocationOf(req.Context()))
		}
	}
	return opts
}

type invocationKey struct{}

// invocationOf returns the call that checked made of the request.
func invocationOf(ctx context.Context) soroban.Invocation {
	inv, _ := ctx.Value(invocationKey{}).(soroban.Invocation)
	return inv
}

// checked lets only requests through that are authorized and that the
// contract's description admits: a malformed request costs no store traffic.
func (g *Gateway) checked(route *Route, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, ok := g.scoped(w, r); !ok {
			return
		}
		if media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || media != "application/json" {
			problem{
				Code: codeUnsupportedMedia, Status: http.StatusUnsupportedMediaType,
				Title: "This endpoint takes JSON", Detail: "Send the body with Content-Type: application/json.",
			}.write(w)
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if err != nil {
			bodyProblem(err).write(w)
			return
		}
		inv, err := g.cfg.Contracts.invocation(route, body)
		if err != nil {
			invalid(err).write(w)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), invocationKey{}, inv))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		next.ServeHTTP(w, r)
	})
}

func bodyProblem(err error) problem {
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return problem{
			Code: string(onceward.CodePayloadTooLarge), Status: http.StatusRequestEntityTooLarge,
			Title: "The body is too large", Detail: fmt.Sprintf("This endpoint takes at most %d bytes.", maxBody),
		}
	}
	return invalid(&fieldError{Detail: "the body could not be read to its end"})
}

// submit makes the call of a claimed key.
func (g *Gateway) submit(route *Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		op := onceward.FromContext(r.Context())
		resp, err := g.cfg.Submitter.Do(r.Context(), op, invocationOf(r.Context()))
		if err != nil {
			g.refusal(route, op, err).write(w)
			return
		}
		send(w, resp)
	})
}
