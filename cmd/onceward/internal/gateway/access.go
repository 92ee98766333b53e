package gateway

import (
	"context"
	"net/http"

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
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, p := g.identify(r, route.params)
		if p != nil {
			p.write(w)
			return
		}
		if route.Allow != nil {
			ok, err := route.Allow.EvalBool(r.Context(), &expr.Input{Request: c.request, Principal: c.principal, Scope: c.scope})
			if err != nil || !ok {
				forbidden(err).write(w)
				return
			}
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, c)))
	})
}

// identify says whose request it is, or how it is refused.
func (g *Gateway) identify(r *http.Request, params []string) (*caller, *problem) {
	principal, err := g.cfg.Authenticate(r)
	if err != nil {
		return nil, unauthorized(err)
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

func unauthorized(err error) *problem {
	return &problem{
		Code: codeUnauthorized, Status: http.StatusUnauthorized,
		Title: "The request is not authorized", Detail: err.Error(), challenge: true,
	}
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
