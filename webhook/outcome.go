package webhook

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"time"

	"github.com/onceward/onceward"
)

// OutcomeID is the id of the message about the outcome of an operation: the
// same whoever finds that outcome, and another one for another outcome, such
// as that of the key's next operation after this one was forgotten.
func OutcomeID(operation onceward.ID, outcome string) string {
	sum := sha256.Sum256([]byte(operation.String() + "\x00" + outcome))
	return "msg_" + base64.RawURLEncoding.EncodeToString(sum[:18])
}

// outcome is the data of a message about an operation.
type outcome struct {
	Operation string `json:"operation_id"`
	Kind      string `json:"kind"`
	Status    int    `json:"status"`
	// Answer is what the client gets, when it is JSON.
	Answer json.RawMessage `json:"answer,omitempty"`
}

// Types of messages about operations.
const (
	TypeSucceeded = "operation.succeeded"
	TypeFailed    = "operation.failed"
)

// Outcome is the event that op has ended with resp. name tells its outcome from
// every other that the same key may have, such as a transaction's hash.
func Outcome(op *onceward.Operation, name string, resp onceward.Response, at time.Time) (Event, error) {
	d := outcome{Operation: op.ID().String(), Kind: op.Kind(), Status: resp.Status}
	if d.Status == 0 {
		d.Status = 200
	}
	if json.Valid(resp.Body) {
		d.Answer = resp.Body
	}
	data, err := json.Marshal(d)
	e := Event{ID: OutcomeID(op.ID(), name), Type: TypeSucceeded, At: at, Data: data}
	if !resp.Success() {
		e.Type = TypeFailed
	}
	return e, err
}
