package gateway

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"slices"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
)

// PolicyPath is where the gateway serves its idempotency policy.
const PolicyPath = oncehttp.DefaultPolicyURL

const problemType = "application/problem+json"

// Codes of problems that only the gateway has; the others are onceward's.
const (
	codeInvalidRequest   = "invalid-request"
	codeForbidden        = "forbidden"
	codeUnsupportedMedia = "unsupported-media-type"
	codeMethodNotAllowed = "method-not-allowed"
	codeNotFound         = "not-found"
	codeContractRejected = "contract-rejected"
	codeContractFailed   = "contract-failed"
	codeChainUnavailable = "chain-unavailable"
	codeInterrupted      = "interrupted"
	codeInternal         = "internal-error"
	codeAuthUnavailable  = "auth-unavailable" // as in package auth
)

// about returns the answer with a code that this package or the middleware
// describes. A detail replaces the general one.
func about(code onceward.Code, detail string) *oncehttp.Problem {
	for _, t := range slices.Concat(problemTable, oncehttp.Problems()) {
		if t.Code == code {
			p := t.Problem()
			p.Detail = cmp.Or(detail, p.Detail)
			return p
		}
	}
	return &oncehttp.Problem{Code: codeInternal, Title: "The call could not be made"}
}

// of makes p the answer of an operation.
func of(id onceward.ID, p *oncehttp.Problem) *oncehttp.Problem {
	p.Instance = "urn:uuid:" + id.String()
	extend(p, "operation_id", id.String())
	return p
}

// extend adds a member.
func extend(p *oncehttp.Problem, name string, value any) {
	if p.Extensions == nil {
		p.Extensions = make(map[string]any)
	}
	p.Extensions[name] = value
}

// keyed notes the key of a request to a route with these rules, for what is
// said in front of the middleware.
func keyed(opts oncehttp.Options, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, oncehttp.WithKey(r, opts))
	})
}

// send writes a rendered answer. A client that is gone is not our concern.
func send(w http.ResponseWriter, resp onceward.Response) {
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.Status)
	_, _ = w.Write(resp.Body)
}

func invalid(err error) *oncehttp.Problem {
	p := about(codeInvalidRequest, err.Error()+". Nothing was done; correct the request and send it again, with the same key if you like.")
	if field, ok := errors.AsType[*fieldError](err); ok {
		extend(p, "errors", []fieldError{*field})
	}
	return p
}

// refusal turns an error of the submitter into the client's answer.
func (g *Gateway) refusal(route *Route, op *onceward.Operation, err error) *oncehttp.Problem {
	if rejected, ok := errors.AsType[*soroban.RejectedError](err); ok {
		p := of(op.ID(), about(codeContractRejected, ""))
		if rejected.HasCode {
			named := g.cfg.Contracts.errorOf(route.Contract, route.Function, rejected.Code)
			extend(p, "contract_error", named)
			p.Detail = "The contract refused with " + named.String() + " when the call was tried. Nothing was sent; the key may be used again."
		}
		return p
	}
	if errors.Is(err, onceward.ErrPark) {
		p := of(op.ID(), about(codeInterrupted, ""))
		p.RetryAfter = g.cfg.Engine.Config().RecoverInterval
		return p
	}
	if unavailable, ok := errors.AsType[*soroban.UnavailableError](err); ok {
		if unavailable.Err != nil {
			g.cfg.Log.Warn("contract call not made", "operation", op.ID(), "kind", route.Kind, "err", err)
		}
		p := of(op.ID(), about(codeChainUnavailable, "Nothing was done: "+unavailable.Reason+". Send the request again with the same key."))
		p.RetryAfter = unavailable.RetryAfter
		return p
	}
	if onceward.CodeOf(err) == onceward.CodeKeyReused { // the chain remembers what the store has lost
		p := of(op.ID(), oncehttp.ProblemOf(err))
		p.Detail = "The chain shows another call that was made with this key. Nothing was done; send what the key was for, or use a new key."
		return p
	}
	g.cfg.Log.Error("contract call failed", "operation", op.ID(), "kind", route.Kind, "err", err)
	return of(op.ID(), about(codeInternal, ""))
}
