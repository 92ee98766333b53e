package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// success is the answer to an operation that the chain has carried out.
type success struct {
	OperationID string          `json:"operation_id"`
	Status      string          `json:"status"`
	TxHash      string          `json:"tx_hash,omitempty"`
	Ledger      uint32          `json:"ledger"`
	Result      json.RawMessage `json:"result"`
}

// contractError names an error of a contract by its own description.
type contractError struct {
	Code uint32 `json:"code"`
	Name string `json:"name,omitempty"`
}

// Render makes the answer of an operation. It depends on the result and on
// the contract's description alone, so that recovery gives the same bytes as
// the request would have got.
func (c *Contracts) Render(res soroban.Result) onceward.Response {
	if res.Status != soroban.Succeeded {
		return c.failure(res)
	}
	return jsonResponse(http.StatusOK, "application/json", success{
		OperationID: res.Operation.String(),
		Status:      string(res.Status),
		TxHash:      res.TxHash,
		Ledger:      res.Ledger,
		Result:      c.value(res),
	})
}

// value renders what the contract returned, by its declared type where the
// contract is known.
func (c *Contracts) value(res soroban.Result) json.RawMessage {
	if spec := c.specs[res.Contract]; spec != nil {
		if out, err := spec.Result(res.Function, res.Value); err == nil {
			return out
		}
	}
	if out, err := contractspec.JSON(res.Value); err == nil {
		return out
	}
	return json.RawMessage("null")
}

func (c *Contracts) failure(res soroban.Result) onceward.Response {
	p := of(res.Operation, about(codeContractFailed,
		"The transaction is in a ledger and failed there ("+res.ResultCode+"). It is final: a retry gets this answer. To try again, use a new key."))
	if res.TxHash != "" {
		extend(p, "tx_hash", res.TxHash)
	}
	if res.Ledger != 0 {
		extend(p, "ledger", res.Ledger)
	}
	if res.HasCode {
		named := c.errorOf(res.Contract, res.Function, res.Code)
		extend(p, "contract_error", named)
		p.Detail = fmt.Sprintf("The contract refused with %s when its transaction was applied. It is final: a retry gets this answer. To try again, use a new key.", named)
	}
	return jsonResponse(p.Status, problemType, p)
}

func (c *Contracts) errorOf(contract, function string, code uint32) *contractError {
	out := &contractError{Code: code}
	if spec := c.specs[contract]; spec != nil {
		out.Name, _ = spec.FunctionErrorName(function, code)
	}
	return out
}

// String spells the error as a person reads it.
func (e *contractError) String() string {
	if e.Name == "" {
		return fmt.Sprintf("error #%d", e.Code)
	}
	return fmt.Sprintf("%s (error #%d)", e.Name, e.Code)
}

func jsonResponse(status int, contentType string, v any) onceward.Response {
	body, err := json.Marshal(v)
	if err != nil { // only the types of this package come here
		body = []byte("null")
	}
	return onceward.Response{
		Status: status,
		Header: map[string][]string{"Content-Type": {contentType}},
		Body:   append(body, '\n'),
	}
}
