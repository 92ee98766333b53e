// Package auth says who sends a request, and hence whose keys it may see.
//
// Middleware asks an Authenticator before anything else happens: a request
// without a principal is answered with 401 and touches no key, no body and no
// store record. Scope, given to oncehttp, reads the principal from there, and
// refuses when it is missing, so that a wrong order of the two cannot replay
// an answer to a stranger.
//
// Three kinds of credentials are known: JSON Web Tokens signed by the keys of
// a JWKS, API keys kept in the store, and client certificates that the TLS
// stack has verified. What is not promised: a token or certificate that its
// issuer has withdrawn is accepted until it expires, and a revoked API key for
// as long as BookConfig.CacheTTL says.
package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Codes of the answers that only this package gives.
const (
	// CodeForbidden is a principal that may not use the route.
	CodeForbidden onceward.Code = "forbidden"
	// CodeAuthUnavailable is a request that could not be judged.
	CodeAuthUnavailable onceward.Code = "auth-unavailable"
)

// Principal is an authenticated caller.
type Principal struct {
	// Method names the authenticator that vouches for it: "jwt", "key", "mtls",
	// or as configured. Equal names under different methods are different
	// principals.
	Method string
	// Name within the method.
	Name string
	// Claims of its JSON Web Token; nil otherwise.
	Claims map[string]any
}

// Scope is the principal as the scope of its keys: METHOD:NAME. A name that a
// scope cannot hold, for its length or its characters, is replaced by its
// hash: METHOD#HASH.
func (p Principal) Scope() string {
	scope := p.Method + ":" + p.Name
	if (onceward.Key{Scope: scope, Value: "x"}).Validate() == nil {
		return scope
	}
	sum := sha256.Sum256([]byte(p.Name))
	return p.Method + "#" + hex.EncodeToString(sum[:])
}

// Authenticator finds the principal of a request.
type Authenticator interface {
	// Authenticate returns ErrNone when the request carries no credentials of
	// this kind, *RejectedError when they are not valid, and
	// *UnavailableError when that cannot be found out now.
	Authenticate(r *http.Request) (Principal, error)
}

// ErrNone means that a request carries no credentials that are known.
var ErrNone = errors.New("the request carries no credentials")

// RejectedError says why credentials are not accepted. It never quotes them.
type RejectedError struct{ Reason string }

// Error implements error.
func (e *RejectedError) Error() string { return e.Reason }

// UnavailableError says that credentials cannot be checked at the moment.
type UnavailableError struct {
	RetryAfter time.Duration
	// Err is for the log, not for the client.
	Err error
}

// Error implements error.
func (e *UnavailableError) Error() string {
	return "credentials cannot be checked at the moment: " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

func rejected(reason string) error { return &RejectedError{Reason: reason} }

// Chain asks several authenticators in turn. The first that knows the kind of
// credentials decides: what it rejects is not offered to the next one.
type Chain []Authenticator

// Authenticate implements Authenticator.
func (c Chain) Authenticate(r *http.Request) (Principal, error) {
	for _, a := range c {
		p, err := a.Authenticate(r)
		if !errors.Is(err, ErrNone) {
			return p, err
		}
	}
	return Principal{}, ErrNone
}

// Options of Middleware.
type Options struct {
	// Authorize says whether a principal may use the route: a *RejectedError
	// is answered with 403 and its text, an *UnavailableError with 503, any
	// other with 403 without it. Nil admits every principal.
	Authorize func(*http.Request, Principal) error
	// PolicyURL of the page that explains the codes. Default that of oncehttp.
	PolicyURL string
	// Logger receives what the client is not told. Required.
	Logger *slog.Logger
}

type principalKey struct{}

// Middleware lets a request through once its principal is known and
// authorized. Everything that knows keys belongs inside of it.
func Middleware(a Authenticator, opt Options) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			p, err := a.Authenticate(r)
			if err != nil {
				opt.refuse(w, r, err)
				return
			}
			if opt.Authorize != nil {
				if err := opt.Authorize(r, p); err != nil {
					opt.forbid(w, r, p, err)
					return
				}
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), principalKey{}, p)))
		})
	}
}

// FromContext returns the principal that Middleware found.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(principalKey{}).(Principal)
	return p, ok
}

// Scope is the oncehttp.Options.Scope of routes behind Middleware.
func Scope(r *http.Request) (string, error) {
	p, ok := FromContext(r.Context())
	if !ok {
		return "", errors.New("the request was not authenticated")
	}
	return p.Scope(), nil
}

func (o *Options) refuse(w http.ResponseWriter, r *http.Request, err error) {
	if u, ok := errors.AsType[*UnavailableError](err); ok {
		o.unavailable(w, r, u)
		return
	}
	challenge, detail := "Bearer", "Send credentials: a bearer token, or a client certificate where that is agreed on."
	if e, ok := errors.AsType[*RejectedError](err); ok {
		// A reason names no value, so it needs no quoting.
		challenge, detail = `Bearer error="invalid_token"`, strings.ToUpper(e.Reason[:1])+e.Reason[1:]+"."
	} else if !errors.Is(err, ErrNone) {
		o.Logger.ErrorContext(r.Context(), "authentication failed", "err", err)
	}
	w.Header().Set("WWW-Authenticate", challenge)
	(&oncehttp.Problem{
		Code: oncehttp.CodeUnauthorized, Status: http.StatusUnauthorized, Title: "Unauthorized",
		Detail: detail, PolicyURL: o.PolicyURL,
	}).Write(w, r)
}

func (o *Options) forbid(w http.ResponseWriter, r *http.Request, p Principal, err error) {
	if u, ok := errors.AsType[*UnavailableError](err); ok {
		o.unavailable(w, r, u)
		return
	}
	detail := "This principal may not use this route."
	if e, ok := errors.AsType[*RejectedError](err); ok {
		detail = strings.ToUpper(e.Reason[:1]) + e.Reason[1:] + "."
	} else {
		o.Logger.WarnContext(r.Context(), "not authorized", "scope", p.Scope(), "err", err)
	}
	(&oncehttp.Problem{
		Code: CodeForbidden, Status: http.StatusForbidden, Title: "This principal may not make this request", Detail: detail, PolicyURL: o.PolicyURL,
	}).Write(w, r)
}

func (o *Options) unavailable(w http.ResponseWriter, r *http.Request, u *UnavailableError) {
	o.Logger.ErrorContext(r.Context(), "credentials cannot be checked", "err", u.Err)
	(&oncehttp.Problem{
		Code: CodeAuthUnavailable, Status: http.StatusServiceUnavailable, Title: "Credentials cannot be checked",
		Detail:    "Nothing was done. Send the request again with the same key.",
		Retryable: true, RetryAfter: max(u.RetryAfter, time.Second), PolicyURL: o.PolicyURL,
	}).Write(w, r)
}

// maxCredential bounds a token, which is read before anything is known of its
// sender.
const maxCredential = 16 << 10

// bearer returns the bearer token of a request, or ErrNone.
func bearer(r *http.Request) (string, error) {
	values := r.Header.Values("Authorization")
	switch len(values) {
	case 0:
		return "", ErrNone
	case 1:
	default:
		return "", rejected("the Authorization header is sent more than once")
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return "", ErrNone
	}
	token = strings.Trim(token, " ")
	if token == "" || len(token) > maxCredential {
		return "", rejected("the bearer token is empty or too long")
	}
	return token, nil
}

var methodName = regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)

// checkMethod keeps the scopes of authenticators apart from each other and
// from those of the library.
func checkMethod(name string) error {
	if !methodName.MatchString(name) || strings.HasPrefix(name+":", onceward.ReservedScope) {
		return errors.New("auth: the name of a method has lower-case letters, digits and -, begins with a letter, and is not onceward")
	}
	return nil
}
