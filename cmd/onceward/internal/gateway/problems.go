package gateway

import (
	"net/http"

	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban/contractspec"
)

// Problems lists what a contract route answers beside oncehttp.Problems, for
// those who describe it.
func Problems() []oncehttp.ProblemType {
	return []oncehttp.ProblemType{
		{
			Code: codeInvalidRequest, Status: http.StatusBadRequest, Title: "The request is not what this endpoint takes",
			Detail: "Nothing was done; correct the request and send it again, with the same key if you like.",
		},
		{
			Code: codeUnauthorized, Status: http.StatusUnauthorized, Title: "The request is not authorized",
			Detail: "Nothing was done.",
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
}

// Specs returns what the contracts declare, by address. Do not change it.
func (c *Contracts) Specs() map[string]*contractspec.Spec { return c.specs }

// problemsOf lists what a route answers beside the middleware's problems.
func problemsOf(r *Route) []oncehttp.ProblemType {
	if r.Handler != nil {
		return nil
	}
	return Problems()
}
