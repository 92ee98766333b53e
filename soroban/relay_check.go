package soroban

import (
	"bytes"
	"encoding/hex"
	"fmt"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// maxNesting bounds the calls beneath an authorized one.
const maxNesting = 8

// decode reads base64 into v, all of it and nothing else.
func (r *Relay) decode(what, encoded string, v any) error {
	if len(encoded) > r.policy.MaxBytes {
		return refuse(RelayMalformed, "the %s has %d bytes of base64; at most %d are taken", what, len(encoded), r.policy.MaxBytes)
	}
	if err := xdr.SafeUnmarshalBase64(encoded, v); err != nil {
		return refuse(RelayMalformed, "the %s is not base64 of its XDR form", what)
	}
	return nil
}

// Transaction checks a signed transaction, base64 of an
// xdr.TransactionEnvelope, as far as that can be done without asking the chain.
// Its error is a *RelayError.
func (r *Relay) Transaction(encoded string) (*Relayed, error) {
	var env xdr.TransactionEnvelope
	if err := r.decode("transaction", encoded, &env); err != nil {
		return nil, err
	}
	if env.Type != xdr.EnvelopeTypeEnvelopeTypeTx || env.V1 == nil {
		return nil, refuse(RelayUnsupported, "send a version 1 transaction that the wallet has signed, not a fee bump or one of version 0")
	}
	tx := &env.V1.Tx
	source := tx.SourceAccount.ToAccountId()
	x := &Relayed{envelope: env.V1, source: source.Address()}
	if err := r.checkOperation(x, tx); err != nil {
		return nil, err
	}
	if err := r.checkBounds(x, tx); err != nil {
		return nil, err
	}
	if err := r.checkFee(tx); err != nil {
		return nil, err
	}
	hash, err := network.HashTransaction(*tx, r.s.cfg.Passphrase)
	if err != nil {
		return nil, refuse(RelayMalformed, "the transaction cannot be hashed")
	}
	if x.raw, err = env.MarshalBinary(); err != nil {
		return nil, refuse(RelayMalformed, "the transaction cannot be encoded")
	}
	x.hash = hex.EncodeToString(hash[:])
	if len(env.V1.Signatures) == 0 {
		return nil, refuse(RelaySignature, "the transaction is not signed")
	}
	return x, nil
}

// checkOperation admits one contract call by the user's own account.
func (r *Relay) checkOperation(x *Relayed, tx *xdr.Transaction) error {
	if r.own[x.source] {
		return refuse(RelayForeign, "account %s is not a user's", x.source)
	}
	if len(tx.Operations) != 1 || tx.Operations[0].Body.InvokeHostFunctionOp == nil ||
		tx.Operations[0].Body.InvokeHostFunctionOp.HostFunction.InvokeContract == nil {
		return refuse(RelayUnsupported, "the transaction must have one operation, the call of a contract")
	}
	if other := tx.Operations[0].SourceAccount; other != nil {
		if id := other.ToAccountId(); id.Address() != x.source {
			return refuse(RelayForeign, "the operation has another source account than the transaction: %s", id.Address())
		}
	}
	op := invokeOp(tx)
	x.call = *op.HostFunction.InvokeContract
	if !r.admits(r.allow, x.call) {
		return refuse(RelayNotAllowed, "function %q of contract %s is not relayed", clip(x.Function()), x.Contract())
	}
	for i := range op.Auth {
		if err := r.checkEntry(&op.Auth[i], x.source); err != nil {
			return err
		}
	}
	return nil
}

// checkEntry keeps an authorization within the policy, and away from our own
// accounts. source is whom credentials of the source account speak for.
func (r *Relay) checkEntry(e *xdr.SorobanAuthorizationEntry, source string) error {
	if cred := credentials(e); cred != nil {
		who, err := cred.Address.String()
		if err != nil {
			return refuse(RelayMalformed, "an authorization names no address")
		}
		source = who
	} else if e.Credentials.Type != xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount {
		return refuse(RelayUnsupported, "an authorization has credentials of an unknown kind")
	}
	if r.own[source] {
		return refuse(RelayForeign, "an authorization speaks for account %s, which is not a user's", source)
	}
	return r.checkTree(&e.RootInvocation, 0)
}

func (r *Relay) checkTree(in *xdr.SorobanAuthorizedInvocation, depth int) error {
	fn := in.Function.ContractFn
	switch {
	case depth > maxNesting:
		return refuse(RelayUnsupported, "an authorization covers calls nested deeper than %d", maxNesting)
	case fn == nil:
		return refuse(RelayNotAllowed, "an authorization covers the creation of a contract")
	case !r.admits(r.allow, *fn) && !r.admits(r.nested, *fn):
		return refuse(RelayNotAllowed, "an authorization covers function %q of contract %s, which is not relayed",
			clip(string(fn.FunctionName)), contractAddress(*fn))
	}
	for i := range in.SubInvocations {
		if err := r.checkTree(&in.SubInvocations[i], depth+1); err != nil {
			return err
		}
	}
	return nil
}

// checkBounds demands an end, and refuses conditions that no proof covers.
func (r *Relay) checkBounds(x *Relayed, tx *xdr.Transaction) error {
	if tb := tx.TimeBounds(); tb != nil {
		x.maxTime = uint64(tb.MaxTime)
	}
	if v2 := tx.Cond.V2; v2 != nil {
		if v2.LedgerBounds != nil {
			x.maxEnd = uint32(v2.LedgerBounds.MaxLedger)
		}
		if v2.MinSeqNum != nil || v2.MinSeqAge != 0 || v2.MinSeqLedgerGap != 0 || len(v2.ExtraSigners) > 0 {
			return refuse(RelayUnsupported, "preconditions other than time and ledger bounds are not relayed")
		}
	}
	if x.maxTime == 0 && x.maxEnd == 0 {
		return refuse(RelayUnbounded, "the transaction is valid for ever, so that nobody could say that it was not applied; "+
			"give it time bounds with a maximum (a timeout), at most %v from now", r.policy.MaxTime)
	}
	return nil
}

// checkFee bounds what the transaction may cost whoever pays.
func (r *Relay) checkFee(tx *xdr.Transaction) error {
	data, ok := tx.Ext.GetSorobanData()
	if !ok {
		return refuse(RelayUnsupported, "the transaction has no resources; prepare it (simulate and assemble) before signing it")
	}
	resource := int64(data.ResourceFee)
	if resource < 0 || resource > int64(tx.Fee) {
		return refuse(RelayFee, "the transaction offers %d stroops, less than its resource fee", tx.Fee)
	}
	if cost := r.bumpFee(tx); cost > r.policy.MaxFee {
		return refuse(RelayFee, "the transaction may cost %d stroops; at most %d are relayed", cost, r.policy.MaxFee)
	}
	return nil
}

// bumpFee is what the transaction costs at most: by itself, or in a fee bump,
// which counts one operation more and must not bid less for each.
func (r *Relay) bumpFee(tx *xdr.Transaction) int64 {
	if r.payer == nil {
		return int64(tx.Fee)
	}
	data, _ := tx.Ext.GetSorobanData()
	bid := max(int64(tx.Fee)-int64(data.ResourceFee), r.s.cfg.InclusionFee)
	return int64(data.ResourceFee) + 2*bid
}

// Authorization checks a signed authorization entry, base64 of an
// xdr.SorobanAuthorizationEntry, as far as that can be done without asking the
// chain. The call to make is the one that it authorizes; invocation, base64 of
// xdr.InvokeContractArgs, may be given as well and must then be the same. Its
// error is a *RelayError.
func (r *Relay) Authorization(encoded, invocation string) (*Relayed, error) {
	e := new(xdr.SorobanAuthorizationEntry)
	if err := r.decode("authorization", encoded, e); err != nil {
		return nil, err
	}
	cred := credentials(e)
	if cred == nil {
		return nil, refuse(RelayUnsupported, "the authorization must carry the credentials of an address, "+
			"not those of a transaction's source account")
	}
	who, err := cred.Address.String()
	if err != nil || !isAccount(who) {
		return nil, refuse(RelayUnsupported, "only authorizations of accounts (G…) are relayed, not those of contracts")
	}
	fn := e.RootInvocation.Function.ContractFn
	if fn == nil {
		return nil, refuse(RelayNotAllowed, "the authorization is not for the call of a contract")
	}
	x := &Relayed{call: *fn, source: who, entry: e}
	if invocation != "" {
		var call xdr.InvokeContractArgs
		if err := r.decode("invocation", invocation, &call); err != nil {
			return nil, err
		}
		if !sameCall(call, *fn) {
			return nil, refuse(RelayMalformed, "the invocation is another one than the authorization is for")
		}
	}
	if !r.admits(r.allow, x.call) {
		return nil, refuse(RelayNotAllowed, "function %q of contract %s is not relayed", clip(x.Function()), x.Contract())
	}
	if err := r.checkEntry(e, ""); err != nil {
		return nil, err
	}
	payload, err := r.s.authPayload(e)
	if err != nil {
		return nil, refuse(RelayMalformed, "the authorization cannot be hashed")
	}
	return x, checkSignatures(cred.Signature, payload)
}

// checkSignatures verifies what an account's authorization carries, a list of
// {public_key, signature}. Whether these keys suffice is for the chain to say.
func checkSignatures(v xdr.ScVal, payload [32]byte) error {
	list, ok := v.GetVec()
	if !ok || list == nil || len(*list) == 0 {
		return refuse(RelaySignature, "the authorization is not signed")
	}
	if len(*list) > maxSigners {
		return refuse(RelaySignature, "the authorization has more than %d signatures", maxSigners)
	}
	for i, item := range *list {
		if err := checkSignature(item, payload); err != nil {
			return refuse(RelaySignature, "signature %d of the authorization does not verify: it is of another key, "+
				"of another call, or of another network", i+1)
		}
	}
	return nil
}

// maxSigners is how many may sign one thing, on the network too.
const maxSigners = 20

func checkSignature(item xdr.ScVal, payload [32]byte) error {
	m, ok := item.GetMap()
	if !ok || m == nil || len(*m) != 2 {
		return fmt.Errorf("%w: not a map of two", errForged)
	}
	var parts [2][]byte
	for i, want := range []string{"public_key", "signature"} {
		sym, isSym := (*m)[i].Key.GetSym()
		b, isBytes := (*m)[i].Val.GetBytes()
		if !isSym || string(sym) != want || !isBytes {
			return fmt.Errorf("%w: no %s", errForged, want)
		}
		parts[i] = b
	}
	if len(parts[0]) != 32 {
		return fmt.Errorf("%w: not a public key", errForged)
	}
	return verify([32]byte(parts[0]), payload, parts[1])
}

func verify(public, payload [32]byte, sig []byte) error {
	id := xdr.AccountId{Type: xdr.PublicKeyTypePublicKeyTypeEd25519, Ed25519: (*xdr.Uint256)(&public)}
	key, err := keypair.ParseAddress(id.Address())
	if err != nil {
		return err
	}
	return key.Verify(payload[:], sig)
}

// checkSigners verifies that a transaction's signatures suffice, by the
// account's keys and thresholds. Signers of other kinds than keys cannot be
// checked here: with one of them the network decides.
func checkSigners(account *xdr.AccountEntry, env *xdr.TransactionV1Envelope, hash [32]byte) error {
	if len(env.Signatures) > maxSigners {
		return refuse(RelaySignature, "the transaction has more than %d signatures", maxSigners)
	}
	type signer struct {
		key    [32]byte
		weight int
	}
	signers := []signer{{*account.AccountId.Ed25519, int(account.MasterKeyWeight())}}
	for _, s := range account.Signers {
		if s.Key.Ed25519 == nil {
			return nil
		}
		signers = append(signers, signer{*s.Key.Ed25519, int(s.Weight)})
	}
	weight := 0
	for i, sig := range env.Signatures {
		found := false
		for j, s := range signers {
			if !bytes.Equal(s.key[28:], sig.Hint[:]) || verify(s.key, hash, sig.Signature) != nil {
				continue
			}
			weight, found = weight+s.weight, true
			signers[j].weight = 0 // a key counts once
			break
		}
		if !found {
			return refuse(RelaySignature, "signature %d is not of a key that signs for the account, or is for another network", i+1)
		}
	}
	if weight == 0 || weight < int(account.ThresholdMedium()) {
		return refuse(RelaySignature, "the signatures weigh %d; a contract call of this account needs %d", weight, max(1, account.ThresholdMedium()))
	}
	return nil
}
