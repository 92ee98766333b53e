package gateway

import (
	"net/http"
	"slices"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// Problems lists what a gateway with contract routes answers beside
// oncehttp.Problems, for those who describe it.
func Problems() []oncehttp.ProblemType { return slices.Clone(problemTable) }

// AnyProblems lists what each route of a gateway answers, whatever is behind
// it, and what is answered where there is no route.
func AnyProblems() []oncehttp.ProblemType {
	return slices.DeleteFunc(Problems(), func(t oncehttp.ProblemType) bool {
		return !slices.Contains([]onceward.Code{codeAuthUnavailable, codeForbidden, codeNotFound, codeMethodNotAllowed}, t.Code)
	})
}

var problemTable = []oncehttp.ProblemType{
	{
		Code: codeInvalidRequest, Status: http.StatusBadRequest, Title: "The request is not what this endpoint takes",
		Detail: "Nothing was done; correct the request and send it again, with the same key if you like.",
	},
	{
		Code: codeAuthUnavailable, Status: http.StatusServiceUnavailable, Title: "Credentials cannot be checked", Retryable: true,
		Detail: "Nothing was done. Send the request again with the same key.",
	},
	{
		Code: codeForbidden, Status: http.StatusForbidden, Title: "This principal may not make this request",
		Detail: "The rules of this endpoint do not allow it. Nothing was done.",
	},
	{
		Code: codeNotFound, Status: http.StatusNotFound, Title: "There is nothing at this address, or no such operation",
		Detail: "None of yours has this name: it was never accepted, was released, or has expired.",
	},
	{
		Code: codeMethodNotAllowed, Status: http.StatusMethodNotAllowed, Title: "This endpoint takes another method",
		Detail: "The Allow header names it.",
	},
	{
		Code: codeUnsupportedMedia, Status: http.StatusUnsupportedMediaType, Title: "This endpoint takes JSON",
		Detail: "Send the body with Content-Type: application/json.",
	},
	{
		Code: codeContractRejected, Status: http.StatusUnprocessableEntity, Title: "The contract refuses this call",
		Detail: "The call was refused when it was tried. Nothing was sent; the key may be used again.",
	},
	{
		Code: codeContractFailed, Status: http.StatusUnprocessableEntity, Title: "The transaction failed on the ledger",
		Detail: "It is final: a retry gets this answer. To try again, use a new key.",
	},
	{
		Code: codeInternal, Status: http.StatusInternalServerError, Title: "The call could not be made",
		Detail: "The log of the server says why.",
	},
	{
		Code: codeChainUnavailable, Status: http.StatusServiceUnavailable, Title: "The call could not be made now", Retryable: true,
		Detail: "Nothing was done. Send the request again with the same key.",
	},
	{
		Code: codeInterrupted, Status: http.StatusServiceUnavailable, Title: "The operation was interrupted", Retryable: true,
		Detail: "It is stored and will be finished. Send the request again with the same key for its answer.",
	},
}

// relayPrefix begins the codes of what is not relayed.
const relayPrefix = "relay-"

// relayed describes the codes of soroban.RelayError.
var relayed = []struct {
	code   string
	status int
	detail string
}{
	{soroban.RelayMalformed, http.StatusBadRequest, "It is not what it claims to be, or too large."},
	{soroban.RelayUnsupported, http.StatusUnprocessableEntity, "Transactions of this kind are not relayed."},
	{soroban.RelayNotAllowed, http.StatusForbidden, "It calls something that the policy does not allow."},
	{soroban.RelayForeign, http.StatusForbidden, "It acts for an account that it must not touch."},
	{soroban.RelayUnbounded, http.StatusUnprocessableEntity, "It has no end, or one too far away. Sign another one."},
	{soroban.RelayExpired, http.StatusConflict, "It can never be applied any more. Sign another one."},
	{soroban.RelaySuperseded, http.StatusConflict, "Its sequence number was consumed by another transaction. Sign another one."},
	{soroban.RelaySequence, http.StatusConflict, "Its sequence number was consumed before it came. Sign another one."},
	{soroban.RelayFee, http.StatusUnprocessableEntity, "It costs too much, or offers too little. Sign another one."},
	{soroban.RelaySignature, http.StatusUnprocessableEntity, "It is not signed by who must sign, or for another network."},
}

// RelayProblems lists what the relay answers beside Problems and
// oncehttp.Problems.
func RelayProblems() []oncehttp.ProblemType {
	out := make([]oncehttp.ProblemType, len(relayed))
	for i, r := range relayed {
		title := "This is not relayed"
		if r.status == http.StatusConflict {
			title = "This cannot be applied"
		}
		out[i] = oncehttp.ProblemType{Code: onceward.Code(relayPrefix + r.code), Status: r.status, Title: title, Detail: r.detail}
	}
	return out
}

// Specs returns what the contracts declare, by address. Do not change it.
func (c *Contracts) Specs() map[string]*contractspec.Spec { return c.specs }

// problemsOf lists what a route answers beside the middleware's problems.
func (g *Gateway) problemsOf(r *Route) []oncehttp.ProblemType {
	if r.Handler != nil {
		return slices.Concat(AnyProblems(), r.Problems, g.cfg.Problems)
	}
	return slices.Concat(Problems(), g.cfg.Problems)
}
