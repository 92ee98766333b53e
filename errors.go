package onceward

import (
	"errors"
	"fmt"
	"time"
)

// Errors of a Store.
var (
	// ErrNotFound means that the record is absent or expired.
	ErrNotFound = errors.New("onceward: no such record")
	// ErrFenced means that the claim is no longer the record's: the lease
	// lapsed and another owner took over, or the record has ended.
	ErrFenced = errors.New("onceward: the claim was taken over or has ended")
)

// Errors of keys and handlers.
var (
	// ErrKeyInvalid means that a Key cannot be stored.
	ErrKeyInvalid = errors.New("onceward: invalid key")
	// ErrPark, returned by a handler or a Reconciler, gives the lease up
	// without deciding anything: the crash policy applies at once, here or on
	// another instance. It is how an operation survives a shutdown.
	ErrPark = errors.New("onceward: parked")
	// ErrTimeout is the cause of the context of an operation that ran longer
	// than Config.OperationTimeout.
	ErrTimeout = errors.New("onceward: the operation ran out of time")
)

// Code names why a request got no answer of its own. The words are stable:
// they are the `code` member of problem+json bodies.
type Code string

// The codes, in the order of the HTTP contract.
const (
	CodeKeyMissing          Code = "key-missing"
	CodeKeyInvalid          Code = "key-invalid"
	CodeInProgress          Code = "in-progress"
	CodeKeyReused           Code = "key-reused"
	CodeOutcomeUnknown      Code = "outcome-unknown"
	CodeResponseUnavailable Code = "response-unavailable"
	CodeKeyExpired          Code = "key-expired"
	CodePayloadTooLarge     Code = "payload-too-large"
	CodeRateLimited         Code = "rate-limited"
	CodeStoreUnavailable    Code = "store-unavailable"
	CodeOutcomeUnrecorded   Code = "outcome-unrecorded"
)

// Error is why Engine.Do has no response to give.
type Error struct {
	Code Code
	// Record that stands in the way, when one does.
	Record *Record
	// RetryAfter is when asking again makes sense; zero when it never does.
	RetryAfter time.Duration
	// Err is the cause, when there is one.
	Err error
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("onceward: %s: %v", e.Code, e.Err)
	}
	return "onceward: " + string(e.Code)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// CodeOf returns the code of the *Error in err's chain, or "".
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return ""
}
