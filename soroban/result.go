package soroban

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Status is how an operation ended on the chain.
type Status string

const (
	// Succeeded means that the chain reports SUCCESS for Result.TxHash.
	Succeeded Status = "SUCCEEDED"
	// Failed means that the transaction is in a ledger and failed there. It is
	// final: a fee was paid, nothing else happened.
	Failed Status = "FAILED"
)

// Result is the final outcome of an operation, made only of what the chain
// and the operation's checkpoints say: it is the same whoever finds it.
type Result struct {
	Status   Status
	Contract string
	Function string
	// Note is the Invocation's.
	Note []byte
	// TxHash of the transaction that did it, in hexadecimal: of the inner one
	// of a fee bump. Empty in one case: the chain proves that the operation
	// succeeded in Ledger, but its server no longer keeps the transaction.
	TxHash string
	Ledger uint32
	// Value is what the contract returned; void when it failed, or when
	// TxHash is another's transaction that called the contract indirectly.
	Value xdr.ScVal
	// Code is the contract's own error number, when it Failed and HasCode.
	Code    uint32
	HasCode bool
	// ResultCode is the network's word for a failure, such as "trapped".
	ResultCode string
	// Attempts counts the envelopes that were built here.
	Attempts int
	// Recovered reports that the transaction is not one of these envelopes:
	// it was built by another installation from the same key, or by somebody
	// who took the authorization from ours.
	Recovered bool
	// Operation is the public name of the key.
	Operation onceward.ID
}
