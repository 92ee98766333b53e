package host

import (
	"fmt"
	"strings"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Error is a host error: the value that a failed invocation ends with, and a sentence for people.
type Error struct {
	Type     xdr.ScErrorType
	Code     xdr.ScErrorCode // for every type but contract
	Contract uint32          // for the contract type: the contract's own number
	Message  string
}

// ContractError is the failure that a contract declares itself, by the number in its error enum.
func ContractError(code uint32, message string) *Error {
	return &Error{Type: xdr.ScErrorTypeSceContract, Contract: code, Message: message}
}

func fail(t xdr.ScErrorType, c xdr.ScErrorCode, format string, args ...any) *Error {
	return &Error{Type: t, Code: c, Message: fmt.Sprintf(format, args...)}
}

// Error renders like the real host: clients look for "Error(Contract, #1)" and "Error(Auth, ExistingValue)".
func (e *Error) Error() string {
	return fmt.Sprintf("HostError: %s\n\nEvent log (newest first):\n   0: [Diagnostic Event] topics:[error, %s], data:%q",
		e.Short(), e.Short(), e.Message)
}

// Short is the error's code alone, for example "Error(Contract, #1)".
func (e *Error) Short() string {
	kind := strings.TrimPrefix(e.Type.String(), "ScErrorTypeSce")
	if e.Type == xdr.ScErrorTypeSceContract {
		return fmt.Sprintf("Error(%s, #%d)", kind, e.Contract)
	}
	return fmt.Sprintf("Error(%s, %s)", kind, strings.TrimPrefix(e.Code.String(), "ScErrorCodeScec"))
}

// ScVal is the error as a contract value.
func (e *Error) ScVal() xdr.ScVal {
	out := xdr.ScError{Type: e.Type}
	if e.Type == xdr.ScErrorTypeSceContract {
		code := xdr.Uint32(e.Contract)
		out.ContractCode = &code
	} else {
		code := e.Code
		out.Code = &code
	}
	return xdr.ScVal{Type: xdr.ScValTypeScvError, Error: &out}
}

// Event is the diagnostic event that tells a client about the error.
func (e *Error) Event() xdr.DiagnosticEvent {
	return xdr.DiagnosticEvent{
		InSuccessfulContractCall: false,
		Event: xdr.ContractEvent{
			Type: xdr.ContractEventTypeDiagnostic,
			Body: xdr.ContractEventBody{V: 0, V0: &xdr.ContractEventV0{
				Topics: []xdr.ScVal{Symbol("error"), e.ScVal()},
				Data:   String(e.Message),
			}},
		},
	}
}
