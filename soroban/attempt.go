package soroban

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Attempt is one signed envelope, as it is stored before it is sent: with it
// alone anybody can send the same bytes again and prove what became of them.
type Attempt struct {
	Number int `json:"attempt"`
	// Envelope is the signed xdr.TransactionEnvelope.
	Envelope []byte `json:"envelope"`
	// Hash of the transaction, hexadecimal.
	Hash string `json:"hash"`
	// Channel and Sequence say whose sequence number it consumes.
	Channel  string `json:"channel"`
	Sequence int64  `json:"sequence"`
	// MaxLedger is the first ledger in which it is no longer valid.
	MaxLedger uint32 `json:"max_ledger"`
	// Ledger as of which it was built.
	Ledger uint32 `json:"ledger"`
	// Signer is the name of the authorizing signer and Authorizer its account;
	// both empty when nobody has to authorize.
	Signer     string `json:"signer,omitempty"`
	Authorizer string `json:"authorizer,omitempty"`
	// Nonce of the authorization, which is valid through AuthUntil; no nonce
	// when AuthUntil is zero.
	Nonce     int64  `json:"nonce,omitempty"`
	AuthUntil uint32 `json:"auth_until,omitempty"`
	// Network is the network id, hexadecimal.
	Network string `json:"network"`
	Note    []byte `json:"note,omitempty"`
}

// guarded reports whether the chain itself refuses a second success.
func (a *Attempt) guarded() bool { return a.AuthUntil != 0 }

// transaction decodes the envelope and checks that it is what the attempt
// says of it, under the pinned passphrase.
func (a *Attempt) transaction(passphrase string) (*xdr.Transaction, error) {
	var env xdr.TransactionEnvelope
	if err := xdr.SafeUnmarshal(a.Envelope, &env); err != nil {
		return nil, fmt.Errorf("soroban: attempt %d: decoding its envelope: %w", a.Number, err)
	}
	id := network.ID(passphrase)
	if a.Network != hex.EncodeToString(id[:]) {
		return nil, fmt.Errorf("%w: attempt %d was made for another one", ErrWrongNetwork, a.Number)
	}
	hash, err := network.HashTransactionInEnvelope(env, passphrase)
	switch {
	case err != nil:
		return nil, fmt.Errorf("soroban: attempt %d: hashing its envelope: %w", a.Number, err)
	case hex.EncodeToString(hash[:]) != a.Hash || env.V1 == nil || int64(env.V1.Tx.SeqNum) != a.Sequence ||
		a.MaxLedger == 0 || len(env.V1.Tx.Operations) != 1 ||
		env.V1.Tx.Operations[0].Body.InvokeHostFunctionOp == nil ||
		env.V1.Tx.Operations[0].Body.InvokeHostFunctionOp.HostFunction.InvokeContract == nil:
		return nil, fmt.Errorf("soroban: attempt %d: its envelope is not what its checkpoint says", a.Number)
	}
	return &env.V1.Tx, nil
}

func invokeOp(tx *xdr.Transaction) *xdr.InvokeHostFunctionOp {
	return tx.Operations[0].Body.InvokeHostFunctionOp
}

// outcome is the stored end of an operation.
type outcome struct {
	Status     Status `json:"status"`
	Contract   string `json:"contract"`
	Function   string `json:"function"`
	Note       []byte `json:"note,omitempty"`
	Hash       string `json:"hash,omitempty"`
	Ledger     uint32 `json:"ledger"`
	Value      []byte `json:"value,omitempty"` // xdr.ScVal
	Code       uint32 `json:"code,omitempty"`
	HasCode    bool   `json:"has_code,omitempty"`
	ResultCode string `json:"result_code,omitempty"`
	Attempts   int    `json:"attempts"`
	Recovered  bool   `json:"recovered,omitempty"`
}

func (o *outcome) result(id onceward.ID) (Result, error) {
	res := Result{
		Status: o.Status, Contract: o.Contract, Function: o.Function, Note: o.Note,
		TxHash: o.Hash, Ledger: o.Ledger, Value: xdr.ScVal{Type: xdr.ScValTypeScvVoid},
		Code: o.Code, HasCode: o.HasCode, ResultCode: o.ResultCode,
		Attempts: o.Attempts, Recovered: o.Recovered, Operation: id,
	}
	if len(o.Value) > 0 {
		if err := xdr.SafeUnmarshal(o.Value, &res.Value); err != nil {
			return res, fmt.Errorf("soroban: decoding the stored result: %w", err)
		}
	}
	return res, nil
}

// Names of checkpoints.
const (
	attemptPrefix     = "attempt/"
	proofPrefix       = "proof/"
	outcomeCheckpoint = "outcome"
)

// Trail is what the checkpoints of an operation say about it.
type Trail struct {
	// Attempts in order. All but the last are proven never to be applied.
	Attempts []Attempt
	// Proofs by attempt number.
	Proofs map[int]Proof
	// Result is the stored outcome, nil while there is none.
	Result *Result
}

// ReadTrail reads the checkpoints that a Submitter left in a record.
func ReadTrail(rec onceward.Record) (Trail, error) {
	t := Trail{Proofs: make(map[int]Proof)}
	for _, c := range rec.Checkpoints {
		if err := t.add(rec.Key.ID(), c); err != nil {
			return t, fmt.Errorf("soroban: checkpoint %q: %w", c.Name, err)
		}
	}
	for i := range t.Attempts {
		_, dead := t.Proofs[i+1]
		if t.Attempts[i].Number != i+1 || !dead && i+1 < len(t.Attempts) {
			return t, errors.New("soroban: the checkpoints of the attempts are not in order")
		}
	}
	return t, nil
}

func (t *Trail) add(id onceward.ID, c onceward.Checkpoint) error {
	switch {
	case c.Name == outcomeCheckpoint:
		var o outcome
		if err := json.Unmarshal(c.Data, &o); err != nil {
			return err
		}
		res, err := o.result(id)
		t.Result = &res
		return err
	case strings.HasPrefix(c.Name, attemptPrefix):
		var a Attempt
		err := json.Unmarshal(c.Data, &a)
		t.Attempts = append(t.Attempts, a)
		return err
	case strings.HasPrefix(c.Name, proofPrefix):
		n, err := strconv.Atoi(c.Name[len(proofPrefix):])
		if err != nil {
			return err
		}
		var p Proof
		err = json.Unmarshal(c.Data, &p)
		t.Proofs[n] = p
		return err
	}
	return nil
}

// last is the latest attempt, nil when there is none.
func (t *Trail) last() *Attempt {
	if len(t.Attempts) == 0 {
		return nil
	}
	return &t.Attempts[len(t.Attempts)-1]
}

// open is the attempt that may still be applied, nil when there is none.
func (t *Trail) open() *Attempt {
	a := t.last()
	if a == nil {
		return nil
	}
	if _, dead := t.Proofs[a.Number]; dead {
		return nil
	}
	return a
}
