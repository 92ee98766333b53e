package soroban

import (
	"regexp"
	"strconv"
	"strings"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// hostError matches the host's rendering of the error that ended a call:
// Error(Contract, #7) or Error(Auth, ExistingValue).
var hostError = regexp.MustCompile(`Error\((\w+), (?:#(\d{1,10})|\w+)\)`)

// rejection reads why a simulation failed. The error that ended the call comes
// first in the text; if it is not the contract's own, the events may still
// tell which contract error led to it.
func rejection(res *protocol.SimulateTransactionResponse) *RejectedError {
	out := &RejectedError{Message: clip(res.Error)}
	if m := hostError.FindStringSubmatch(res.Error); m != nil && m[1] == "Contract" {
		if n, err := strconv.ParseUint(m[2], 10, 32); err == nil {
			out.Code, out.HasCode = uint32(n), true
			return out
		}
	}
	events := make([]xdr.DiagnosticEvent, 0, len(res.EventsXDR))
	for _, encoded := range res.EventsXDR {
		var e xdr.DiagnosticEvent
		if xdr.SafeUnmarshalBase64(encoded, &e) == nil {
			events = append(events, e)
		}
	}
	out.Code, out.HasCode = contractCode(events)
	return out
}

// contractCode returns the last contract error that diagnostic events tell of:
// later ones are closer to the call that failed as a whole.
func contractCode(events []xdr.DiagnosticEvent) (code uint32, ok bool) {
	for i := range events {
		body := events[i].Event.Body.V0
		if body == nil || len(body.Topics) < 2 {
			continue
		}
		name, e := body.Topics[0].Sym, body.Topics[1].Error
		if name == nil || *name != "error" || e == nil || e.Type != xdr.ScErrorTypeSceContract || e.ContractCode == nil {
			continue
		}
		code, ok = uint32(*e.ContractCode), true
	}
	return code, ok
}

// failureCode is the network's word for why a transaction failed.
func failureCode(res *xdr.TransactionResult) string {
	if ops, ok := res.OperationResults(); ok && len(ops) == 1 && ops[0].Tr != nil && ops[0].Tr.InvokeHostFunctionResult != nil {
		return snake(ops[0].Tr.InvokeHostFunctionResult.Code.String(), "InvokeHostFunctionResultCodeInvokeHostFunction")
	}
	if pair := res.Result.InnerResultPair; pair != nil {
		return snake(pair.Result.Result.Code.String(), "TransactionResultCode")
	}
	return snake(res.Result.Code.String(), "TransactionResultCode")
}

// snake turns an XDR enum's name into a word for clients.
func snake(name, prefix string) string {
	var b strings.Builder
	for i, r := range strings.TrimPrefix(name, prefix) {
		if 'A' <= r && r <= 'Z' {
			if i > 0 {
				b.WriteByte('_')
			}
			r += 'a' - 'A'
		}
		b.WriteRune(r)
	}
	return b.String()
}
