package gateway

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"math"
	"net/http"
	"strconv"
	"time"

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
	codeUnauthorized     = "unauthorized"
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

// problem is an RFC 9457 body with what the gateway adds.
type problem struct {
	Type          string         `json:"type"`
	Title         string         `json:"title"`
	Status        int            `json:"status"`
	Detail        string         `json:"detail,omitempty"`
	Instance      string         `json:"instance,omitempty"`
	Code          string         `json:"code"`
	Retryable     bool           `json:"retryable"`
	Key           string         `json:"idempotency_key,omitempty"` // as the client sent it
	Errors        []fieldError   `json:"errors,omitempty"`
	ContractError *contractError `json:"contract_error,omitempty"`
	Operation     string         `json:"operation_id,omitempty"`
	TxHash        string         `json:"tx_hash,omitempty"`
	Ledger        uint32         `json:"ledger,omitempty"`

	retryAfter time.Duration
	challenge  string
}

// typed fills in the type, which names the code on the policy page.
func (p problem) typed() problem {
	p.Type = PolicyPath + "#" + p.Code
	return p
}

func (p problem) write(w http.ResponseWriter, r *http.Request) {
	if key, ok := r.Context().Value(sentKey{}).(string); ok {
		p.Key = key
		if onceward.FromContext(r.Context()) == nil { // the middleware adds it to what is said behind it
			w.Header().Set("Link", "<"+PolicyPath+`>; rel="describedby"`)
		}
	}
	p.Instance = cmp.Or(p.Instance, oncehttp.NewInstance())
	if p.challenge != "" {
		w.Header().Set("WWW-Authenticate", p.challenge)
	}
	if p.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(p.retryAfter.Seconds()))))
	}
	send(w, jsonResponse(p.Status, problemType, p.typed()))
}

type sentKey struct{}

// keyed remembers the key of a request to a route with these rules, for what
// is said before and behind the middleware.
func keyed(opts oncehttp.Options, next http.Handler) http.Handler {
	header := cmp.Or(opts.Header, oncehttp.DefaultHeader)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := oncehttp.ParseKey(r.Header.Get(header), opts.StrictKeys) // the middleware says what is wrong with it
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), sentKey{}, key)))
	})
}

// send writes a rendered answer. A client that is gone is not our concern.
func send(w http.ResponseWriter, resp onceward.Response) {
	maps.Copy(w.Header(), resp.Header)
	w.WriteHeader(resp.Status)
	_, _ = w.Write(resp.Body)
}

func invalid(err error) problem {
	p := problem{
		Code: codeInvalidRequest, Status: http.StatusBadRequest, Title: "The request is not what this endpoint takes",
		Detail: err.Error() + ". Nothing was done; correct the request and send it again, with the same key if you like.",
	}
	if field, ok := errors.AsType[*fieldError](err); ok {
		p.Errors = []fieldError{*field}
	}
	return p
}

// refusal turns an error of the submitter into the client's answer.
func (g *Gateway) refusal(route *Route, op *onceward.Operation, err error) problem {
	p := problem{Operation: op.ID().String(), Instance: "urn:uuid:" + op.ID().String()}
	if rejected, ok := errors.AsType[*soroban.RejectedError](err); ok {
		p.Code, p.Status = codeContractRejected, http.StatusUnprocessableEntity
		p.Title = "The contract refuses this call"
		p.Detail = "The call was refused when it was tried. Nothing was sent; the key may be used again."
		if rejected.HasCode {
			p.ContractError = g.cfg.Contracts.errorOf(route.Contract, route.Function, rejected.Code)
			p.Detail = "The contract refused with " + p.ContractError.String() + " when the call was tried. Nothing was sent; the key may be used again."
		}
		return p
	}
	if errors.Is(err, onceward.ErrPark) {
		p.Code, p.Status = codeInterrupted, http.StatusServiceUnavailable
		p.Title, p.Retryable, p.retryAfter = "The operation was interrupted", true, g.cfg.Engine.Config().RecoverInterval
		p.Detail = "It is stored and will be finished. Send the request again with the same key for its answer."
		return p
	}
	if unavailable, ok := errors.AsType[*soroban.UnavailableError](err); ok {
		if unavailable.Err != nil {
			g.cfg.Log.Warn("contract call not made", "operation", op.ID(), "kind", route.Kind, "err", err)
		}
		p.Code, p.Status = codeChainUnavailable, http.StatusServiceUnavailable
		p.Title, p.Retryable, p.retryAfter = "The call could not be made now", true, max(unavailable.RetryAfter, time.Second)
		p.Detail = "Nothing was done: " + unavailable.Reason + ". Send the request again with the same key."
		return p
	}
	g.cfg.Log.Error("contract call failed", "operation", op.ID(), "kind", route.Kind, "err", err)
	p.Code, p.Status = codeInternal, http.StatusInternalServerError
	p.Title, p.Detail = "The call could not be made", "The log of the server says why."
	return p
}
