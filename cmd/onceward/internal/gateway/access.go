package gateway

import (
	"context"
	"errors"
	"net/http"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/oncehttp"
)

// caller is who sends a request, once it is known.
type caller struct {
	principal *expr.Principal
	scope     string
	request   *expr.Request
}

type callerKey struct{}

// ScopeOf returns the scope that Admit found for a request. It is the Scope
// of every guarded handler behind it.
func ScopeOf(r *http.Request) (string, error) {
	if c, ok := r.Context().Value(callerKey{}).(*caller); ok {
		return c.scope, nil
	}
	return "", errNobody
}

// InputOf returns what expressions about an admitted request may see.
func InputOf(ctx context.Context) *expr.Input {
	if c, ok := ctx.Value(callerKey{}).(*caller); ok {
		return &expr.Input{Request: c.request, Principal: c.principal, Scope: c.scope}
	}
	return &expr.Input{}
}

// admit lets only requests through that are authenticated and that the
// route allows, and remembers whose they are.
func (g *Gateway) admit(route *Route, next http.Handler) http.Handler {
	within := next
	if g.cfg.Quota != nil {
		within = g.cfg.Quota(route.Options)(next)
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := g.identify(r, route.params)
		if err != nil {
			g.turnAway(w, r, err)
			return
		}
		if route.Allow != nil {
			ok, err := route.Allow.EvalBool(r.Context(), &expr.Input{Request: c.request, Principal: c.principal, Scope: c.scope})
			if err != nil || !ok {
				forbidden(err).Write(w, r)
				return
			}
		}
		within.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// identify says whose request it is. Its error is for turnAway.
func (g *Gateway) identify(r *http.Request, params []string) (*caller, error) {
	principal, err := g.cfg.Authenticate(r)
	if err != nil {
		return nil, err
	}
	c := &caller{principal: principal, scope: principal.ID, request: expr.NewRequest(r, params)}
	if g.cfg.Scope == nil {
		return c, nil
	}
	c.scope, err = g.cfg.Scope.EvalText(r.Context(), &expr.Input{Request: c.request, Principal: principal})
	if err != nil {
		return nil, forbidden(err)
	}
	return c, nil
}

// turnAway answers a request without a principal or scope. What was wrong with
// its credentials is said only where the words were written for the client.
func (g *Gateway) turnAway(w http.ResponseWriter, r *http.Request, err error) {
	if p, ok := errors.AsType[*oncehttp.Problem](err); ok {
		p.Write(w, r)
		return
	}
	if u, ok := errors.AsType[*auth.UnavailableError](err); ok {
		g.cfg.Log.ErrorContext(r.Context(), "credentials cannot be checked", "err", u.Err)
		p := about(codeAuthUnavailable, "")
		p.RetryAfter = u.RetryAfter
		p.Write(w, r)
		return
	}
	challenge, detail := "Bearer", "Send credentials: a bearer token, an API key, or a client certificate where that is agreed on."
	if rejected, ok := errors.AsType[*auth.RejectedError](err); ok {
		challenge, detail = `Bearer error="invalid_token"`, rejected.Reason
	} else if !errors.Is(err, auth.ErrNone) {
		g.cfg.Log.ErrorContext(r.Context(), "authentication failed", "err", err)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	about(oncehttp.CodeUnauthorized, detail).Write(w, r)
}

func forbidden(err error) *oncehttp.Problem {
	detail := ""
	if err != nil {
		detail = "Whether it may cannot be decided: " + err.Error() + ". Nothing was done."
	}
	return about(codeForbidden, detail)
}
