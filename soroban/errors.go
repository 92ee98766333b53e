package soroban

import (
	"errors"
	"fmt"
	"time"
)

// ErrWrongNetwork means that the RPC server, or what an operation has stored,
// belongs to another network than Config.Passphrase. Nothing was sent.
var ErrWrongNetwork = errors.New("soroban: wrong network")

// ErrAuthorization means that an invocation needs an authorization that the
// named signer cannot give: another account's, or a channel's. Nothing was
// sent.
var ErrAuthorization = errors.New("soroban: the invocation needs another's authorization")

// RejectedError means that the contract, or the network's rules, refused the
// invocation when it was simulated. It has not happened and nothing that was
// sent can make it happen: the key is released.
type RejectedError struct {
	// Code is the contract's own error number, when HasCode.
	Code    uint32
	HasCode bool
	// Message is the server's text, at most 2 KiB.
	Message string
}

// Error implements error.
func (e *RejectedError) Error() string {
	if e.HasCode {
		return fmt.Sprintf("soroban: the contract refused with error #%d: %s", e.Code, e.Message)
	}
	return "soroban: refused in simulation: " + e.Message
}

// UnavailableError means that an operation could not be started, or built
// again, for now. It has not happened.
type UnavailableError struct {
	Reason     string
	RetryAfter time.Duration
	Err        error
	// final marks a state in which nothing that was sent can be applied.
	final bool
}

// Error implements error.
func (e *UnavailableError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("soroban: %s: %v", e.Reason, e.Err)
	}
	return "soroban: " + e.Reason
}

// Unwrap returns the cause.
func (e *UnavailableError) Unwrap() error { return e.Err }

// UnknownError means that nobody can say any more what became of an envelope
// that may have been sent. The operation is held for a person.
type UnknownError struct {
	// Reason is the evidence.
	Reason string
}

// Error implements error.
func (e *UnknownError) Error() string { return "soroban: the outcome is unknown: " + e.Reason }
