package gateway

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
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
		c, p := g.identify(r, route.params)
		if p != nil {
			p.write(w, r)
			return
		}
		if route.Allow != nil {
			ok, err := route.Allow.EvalBool(r.Context(), &expr.Input{Request: c.request, Principal: c.principal, Scope: c.scope})
			if err != nil || !ok {
				forbidden(err).write(w, r)
				return
			}
		}
		within.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// identify says whose request it is, or how it is refused.
func (g *Gateway) identify(r *http.Request, params []string) (*caller, *problem) {
	principal, err := g.cfg.Authenticate(r)
	if err != nil {
		return nil, g.unauthorized(r, err)
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

// unauthorized answers a request without a principal. What was wrong with its
// credentials is said only where the words were written for the client.
func (g *Gateway) unauthorized(r *http.Request, err error) *problem {
	if u, ok := errors.AsType[*auth.UnavailableError](err); ok {
		g.cfg.Log.ErrorContext(r.Context(), "credentials cannot be checked", "err", u.Err)
		return &problem{
			Code: codeAuthUnavailable, Status: http.StatusServiceUnavailable,
			Title: "Credentials cannot be checked", Detail: "Nothing was done. Send the request again with the same key.",
			Retryable: true, retryAfter: max(u.RetryAfter, time.Second),
		}
	}
	p := &problem{
		Code: codeUnauthorized, Status: http.StatusUnauthorized, Title: "The request is not authorized",
		Detail: "Send credentials: a bearer token, an API key, or a client certificate where that is agreed on.", challenge: "Bearer",
	}
	if rejected, ok := errors.AsType[*auth.RejectedError](err); ok {
		p.Detail, p.challenge = rejected.Reason, `Bearer error="invalid_token"`
	} else if !errors.Is(err, auth.ErrNone) {
		g.cfg.Log.ErrorContext(r.Context(), "authentication failed", "err", err)
	}
	return p
}

func forbidden(err error) *problem {
	p := &problem{
		Code: codeForbidden, Status: http.StatusForbidden,
		Title: "This principal may not make this request", Detail: "The rules of this endpoint do not allow it. Nothing was done.",
	}
	if err != nil {
		p.Detail = "Whether it may cannot be decided: " + err.Error() + ". Nothing was done."
	}
	return p
}
