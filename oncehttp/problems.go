package oncehttp

import (
	"net/http"
	"slices"
	"strings"

	"github.com/onceward/onceward"
)

// ProblemType is one row of the table that turns codes into answers.
type ProblemType struct {
	Code   onceward.Code
	Status int
	Title  string
	// Detail says what happened and what to do next.
	Detail string
	// Retryable says that the same request, sent again with the same key, may
	// get an answer; Retry-After then says when.
	Retryable bool

	explained bool // the cause is written for the client, and replaces Detail
}

// Problem returns an answer of this type.
func (t ProblemType) Problem() *Problem {
	return &Problem{Code: t.Code, Status: t.Status, Title: t.Title, Detail: t.Detail, Retryable: t.Retryable}
}

// problemTable is in the order of the HTTP contract.
var problemTable = []ProblemType{
	{
		Code: onceward.CodeKeyMissing, Status: http.StatusBadRequest, Title: "Idempotency key missing",
		Detail: "This request needs an idempotency key. Make one for each operation, keep it, and send it with every retry.",
	},
	{
		Code: onceward.CodeKeyInvalid, Status: http.StatusBadRequest, Title: "Idempotency key invalid", explained: true,
		Detail: "An idempotency key has 1 to 255 visible ASCII characters, is sent once, and may be quoted.",
	},
	{
		Code: onceward.CodeInProgress, Status: http.StatusConflict, Title: "Request in progress", Retryable: true,
		Detail: "The first request with this key is still running. Ask again with the same key for its answer.",
	},
	{
		Code: onceward.CodeKeyReused, Status: http.StatusUnprocessableEntity, Title: "Idempotency key reused",
		Detail: "This key was used for another request. Send the original request, or use a new key for this one.",
	},
	{
		Code: onceward.CodeOutcomeUnknown, Status: http.StatusConflict, Title: "Outcome unknown",
		Detail: "It is not known whether this operation took effect. It is not run again until that has been found out.",
	},
	{
		Code: onceward.CodeResponseUnavailable, Status: http.StatusConflict, Title: "Response unavailable",
		Detail: "The operation has been completed, but its answer was not kept. It is not run again.",
	},
	{
		Code: onceward.CodeKeyExpired, Status: http.StatusGone, Title: "Idempotency key expired", explained: true,
		Detail: "This key is older than answers are kept. The operation may have been completed: find out before you use a new key.",
	},
	{
		Code: onceward.CodePayloadTooLarge, Status: http.StatusRequestEntityTooLarge, Title: "Payload too large", explained: true,
		Detail: "The body is larger than a request with an idempotency key may be.",
	},
	{
		Code: onceward.CodeRateLimited, Status: http.StatusTooManyRequests, Title: "Too many requests", Retryable: true,
		Detail: "There are too many operations under way. Nothing was done. Send the request again with the same key.",
	},
	{
		Code: onceward.CodeStoreUnavailable, Status: http.StatusServiceUnavailable, Title: "Store unavailable", Retryable: true,
		Detail: "The key could not be checked, so nothing was done. Send the request again with the same key.",
	},
	{
		Code: onceward.CodeOutcomeUnrecorded, Status: http.StatusServiceUnavailable, Title: "Outcome not recorded", Retryable: true,
		Detail: "The operation was run, but its outcome could not be recorded. Ask again with the same key; never with a new one.",
	},
	{
		Code: CodePayloadInvalid, Status: http.StatusBadRequest, Title: "Payload invalid", explained: true,
		Detail: "The body cannot be read, or cannot be compared with that of a retry.",
	},
	{
		Code: CodeRequestTimeout, Status: http.StatusRequestTimeout, Title: "Request timed out", Retryable: true,
		Detail: "The rest of the body did not come in time, so nothing was done. Send the request again with the same key.",
	},
	{
		Code: CodeUnauthorized, Status: http.StatusUnauthorized, Title: "Unauthorized",
		Detail: "The request names no principal whose key this could be.",
	},
	{
		Code: CodeInternal, Status: http.StatusInternalServerError, Title: "Internal error",
		Detail: "The server could not handle this request.",
	},
}

// Problems returns the table of every code that the middleware answers with,
// in the order of the HTTP contract.
func Problems() []ProblemType { return slices.Clone(problemTable) }

// problemType returns the row of a code; unknown codes are internal errors.
func problemType(code onceward.Code) ProblemType {
	i := slices.IndexFunc(problemTable, func(t ProblemType) bool { return t.Code == code })
	if i < 0 {
		return problemType(CodeInternal)
	}
	return problemTable[i]
}

// sentence turns an error into prose.
func sentence(err error) string {
	s := strings.TrimPrefix(err.Error(), "onceward: ")
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:] + "."
}
