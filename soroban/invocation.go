package soroban

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// Invocation is a contract call.
type Invocation struct {
	// Contract is the address C….
	Contract string
	// Function is the name of the exported function.
	Function string
	Args     []xdr.ScVal
	// Signer names the Config.Signers entry that authorizes the call. Empty
	// for a function that asks nobody: such a call has no nonce, see the
	// package documentation.
	Signer string
	// RequestID, when set, adds the operation's request id to Args; see
	// RequestID. Nil for contracts that do not take one.
	RequestID *RequestID
	// Note is kept with the operation and handed to Config.Render; at most
	// 4 KiB.
	Note []byte
}

const maxNote = 4 << 10

// call returns the invocation as the chain knows it.
func (inv *Invocation) call(args []xdr.ScVal) (xdr.InvokeContractArgs, error) {
	var out xdr.InvokeContractArgs
	raw, err := strkey.Decode(strkey.VersionByteContract, inv.Contract)
	if err != nil || len(raw) != len(xdr.Hash{}) {
		return out, fmt.Errorf("soroban: %q is not a contract address (C…)", inv.Contract)
	}
	if n := len(inv.Function); n == 0 || n > 32 {
		return out, errors.New("soroban: a function's name has 1 to 32 characters")
	}
	if len(inv.Note) > maxNote {
		return out, fmt.Errorf("soroban: a note of %d bytes; at most %d are kept", len(inv.Note), maxNote)
	}
	id := xdr.ContractId(raw)
	out.ContractAddress = xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &id}
	out.FunctionName = xdr.ScSymbol(inv.Function)
	out.Args = args
	if _, err := out.MarshalBinary(); err != nil {
		return out, fmt.Errorf("soroban: the arguments cannot be encoded: %w", err)
	}
	return out, nil
}

// plan is an invocation that is ready to be attempted, and what its operation
// is on the chain.
type plan struct {
	call       xdr.InvokeContractArgs
	name       string // the signer's, empty when nobody has to authorize
	signer     Signer // nil also when what it signed is stored
	authorizer string // the signer's account
	nonce      nonceOf
	note       []byte
	requestID  *RequestID // nil when the contract takes none
	// Of a relayed authorization: the entries that its user has signed, their
	// last ledger, and the most that the transaction may cost.
	given  []xdr.SorobanAuthorizationEntry
	until  uint32
	maxFee int64
}

func (s *Submitter) plan(inv *Invocation, key onceward.Key) (*plan, error) {
	args, err := inv.RequestID.insert(inv.Args, s.RequestID(key))
	if err != nil {
		return nil, err
	}
	call, err := inv.call(args)
	if err != nil {
		return nil, err
	}
	p := &plan{
		call: call, name: inv.Signer, nonce: noncesFor(s.cfg.NonceSecret, key), note: inv.Note, requestID: inv.RequestID,
	}
	if inv.Signer != "" {
		if p.signer = s.cfg.Signers[inv.Signer]; p.signer == nil {
			return nil, fmt.Errorf("soroban: no signer is configured under the name %q", inv.Signer)
		}
		p.authorizer = p.signer.Address()
	}
	return p, nil
}

// planOf reads the plan back from the attempts of a key.
func (s *Submitter) planOf(t *Trail, key onceward.Key) (*plan, error) {
	a := t.lastCall()
	p := &plan{nonce: noncesFor(s.cfg.NonceSecret, key)}
	if a == nil {
		a = t.last() // a restoration, which was to make way for the call
		if err := xdr.SafeUnmarshal(a.Call, &p.call); err != nil {
			return nil, fmt.Errorf("soroban: attempt %d: decoding the call it is for: %w", a.Number, err)
		}
	} else {
		tx, err := a.transaction(s.cfg.Passphrase)
		if err != nil {
			return nil, err
		}
		p.call = *invokeOp(tx).HostFunction.InvokeContract
		if a.guarded() {
			p.nonce = func(int) int64 { return a.Nonce }
		}
	}
	p.name, p.authorizer, p.note, p.requestID = a.Signer, a.Authorizer, a.Note, a.RequestID
	if signer := s.cfg.Signers[a.Signer]; signer != nil && signer.Address() == a.Authorizer {
		p.signer = signer
	}
	return p, nil
}

// guardKey is the ledger key of the entry that says the operation succeeded;
// empty when it has none.
func (p *plan) guardKey() (string, error) {
	if p.authorizer == "" {
		return "", nil
	}
	return nonceKey(p.authorizer, p.nonce(0))
}

func sameCall(a, b xdr.InvokeContractArgs) bool {
	x, errX := a.MarshalBinary()
	y, errY := b.MarshalBinary()
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func contractAddress(call xdr.InvokeContractArgs) string {
	s, err := call.ContractAddress.String()
	if err != nil {
		return ""
	}
	return s
}
