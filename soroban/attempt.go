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
	// Kind is KindCall or KindRestore.
	Kind string `json:"kind,omitempty"`
	// Envelope is the signed xdr.TransactionEnvelope.
	Envelope []byte `json:"envelope"`
	// Hash of the transaction, hexadecimal.
	Hash string `json:"hash"`
	// Channel and Sequence say whose sequence number it consumes.
	Channel  string `json:"channel"`
	Sequence int64  `json:"sequence"`
	// MaxLedger is the first ledger in which it is no longer valid.
	MaxLedger uint32 `json:"max_ledger"`
	// Ledger in which its sequence number was seen to be free.
	Ledger uint32 `json:"ledger"`
	// Fee is the most that Envelope may cost, in stroops, ResourceFee what of
	// it pays for resources.
	Fee         int64 `json:"fee,omitempty"`
	ResourceFee int64 `json:"resource_fee,omitempty"`
	// Bumps of the transaction, each stored before it was sent; the last one
	// is what is sent from then on.
	Bumps []Bump `json:"bumps,omitempty"`
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
	// Call is the xdr.InvokeContractArgs that a KindRestore makes way for.
	Call []byte `json:"call,omitempty"`
	// RequestID is the Invocation's.
	RequestID *RequestID `json:"request_id,omitempty"`
}

// What an attempt's transaction does.
const (
	// KindCall invokes the contract. It is the empty word.
	KindCall = ""
	// KindRestore restores archived entries that the call needs. It may happen
	// any number of times; what protects it is that its envelope is stored,
	// sent and proven like every other.
	KindRestore = "restore"
)

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
		a.MaxLedger == 0 || !a.does(&env.V1.Tx):
		return nil, fmt.Errorf("soroban: attempt %d: its envelope is not what its checkpoint says", a.Number)
	}
	return &env.V1.Tx, a.checkBumps(passphrase)
}

// does reports whether tx is of the attempt's kind.
func (a *Attempt) does(tx *xdr.Transaction) bool {
	if len(tx.Operations) != 1 {
		return false
	}
	switch body := tx.Operations[0].Body; a.Kind {
	case KindCall:
		return body.InvokeHostFunctionOp != nil && body.InvokeHostFunctionOp.HostFunction.InvokeContract != nil
	case KindRestore:
		return body.Type == xdr.OperationTypeRestoreFootprint
	default:
		return false
	}
}

// checkBumps makes sure that every fee bump is one of the attempt's own
// transaction.
func (a *Attempt) checkBumps(passphrase string) error {
	for i := range a.Bumps {
		var env xdr.TransactionEnvelope
		err := xdr.SafeUnmarshal(a.Bumps[i].Envelope, &env)
		if err == nil && env.Type == xdr.EnvelopeTypeEnvelopeTypeTxFeeBump {
			if _, inner, err := innerTx(env, passphrase); err == nil && inner == a.Hash {
				continue
			}
		}
		return fmt.Errorf("soroban: attempt %d: fee bump %d is of another transaction", a.Number, i+1)
	}
	return nil
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
	// lapsedCheckpoint is the proof that an authorization was never used.
	lapsedCheckpoint = "lapsed"
	// evidenceCheckpoint is what was last seen of an operation that is held.
	evidenceCheckpoint = "evidence"
)

// Trail is what the checkpoints of an operation say about it.
type Trail struct {
	// Attempts in order. All but the last are proven never to be applied any
	// more.
	Attempts []Attempt
	// Proofs by attempt number.
	Proofs map[int]Proof
	// Lapsed is the proof that nothing can make the call happen any more: its
	// authorization has ended unused. nil if there is none.
	Lapsed *Proof
	// Evidence is what was last seen before the operation was held, nil if it
	// was not.
	Evidence *Evidence
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
	return t, t.check()
}

// check makes sure that all attempts but the last are proven.
func (t *Trail) check() error {
	for i := range t.Attempts {
		_, dead := t.Proofs[i+1]
		if t.Attempts[i].Number != i+1 || !dead && i+1 < len(t.Attempts) {
			return errors.New("soroban: the checkpoints of the attempts are not in order")
		}
	}
	return nil
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
	case c.Name == lapsedCheckpoint:
		t.Lapsed = new(Proof)
		return json.Unmarshal(c.Data, t.Lapsed)
	case c.Name == evidenceCheckpoint:
		t.Evidence = new(Evidence)
		return json.Unmarshal(c.Data, t.Evidence)
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

// lastCall is the latest attempt at the call itself, nil when there is none:
// then nothing was sent that could make it happen.
func (t *Trail) lastCall() *Attempt {
	for i := len(t.Attempts) - 1; i >= 0; i-- {
		if t.Attempts[i].Kind == KindCall {
			return &t.Attempts[i]
		}
	}
	return nil
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
