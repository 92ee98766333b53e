package host

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// maxSignatures is how many signatures one account's authorization may hold.
const maxSignatures = 20

// tracker is one authorization entry and whether its invocation was used already.
type tracker struct {
	entry xdr.SorobanAuthorizationEntry
	used  bool
}

// requireAuth makes sure that addr agreed to the running invocation. Enforcing, it looks for an unused entry of addr
// with exactly this contract, function and arguments, checks the signature, then spends the nonce. Recording, it
// writes down the entry that would be needed.
func (h *invocation) requireAuth(addr xdr.ScAddress) error {
	if h.recordAuth {
		return h.record(addr)
	}
	for i := range h.trackers {
		t := &h.trackers[i]
		owner, ok := h.ownerOf(t.entry.Credentials)
		if t.used || !ok || !owner.Equals(addr) || !h.matches(t.entry.RootInvocation) {
			continue
		}
		t.used = true
		return h.authenticate(t.entry)
	}
	return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidAction, "Unauthorized function call for address")
}

func (h *invocation) sourceAddress() xdr.ScAddress {
	return xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &h.in.Source}
}

func (h *invocation) ownerOf(c xdr.SorobanCredentials) (xdr.ScAddress, bool) {
	if c.Type == xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount {
		return h.sourceAddress(), true
	}
	if cred := addressCredentials(c); cred != nil {
		return cred.Address, true
	}
	return xdr.ScAddress{}, false
}

// addressCredentials gives the signed credentials, old or new form, and nil for the source account's.
func addressCredentials(c xdr.SorobanCredentials) *xdr.SorobanAddressCredentials {
	switch c.Type {
	case xdr.SorobanCredentialsTypeSorobanCredentialsAddress:
		return c.Address
	case xdr.SorobanCredentialsTypeSorobanCredentialsAddressV2:
		return c.AddressV2
	default:
		return nil
	}
}

func (h *invocation) rootInvocation() xdr.SorobanAuthorizedInvocation {
	return xdr.SorobanAuthorizedInvocation{Function: xdr.SorobanAuthorizedFunction{
		Type:       xdr.SorobanAuthorizedFunctionTypeSorobanAuthorizedFunctionTypeContractFn,
		ContractFn: &h.in.Call,
	}}
}

func (h *invocation) matches(root xdr.SorobanAuthorizedInvocation) bool {
	want, err := h.rootInvocation().Function.MarshalBinary()
	if err != nil {
		return false
	}
	got, err := root.Function.MarshalBinary()
	return err == nil && bytes.Equal(want, got)
}

func (h *invocation) authenticate(entry xdr.SorobanAuthorizationEntry) error {
	cred := addressCredentials(entry.Credentials)
	if cred == nil {
		return nil // the transaction's own signature is the source account's consent
	}
	payload, err := SignaturePayload(h.in.NetworkID, entry)
	if err != nil {
		return err
	}
	if cred.Address.Type != xdr.ScAddressTypeScAddressTypeAccount {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidAction,
			"only accounts can authorize on the development chain")
	}
	if err := h.checkAccount(*cred.Address.AccountId, payload, cred.Signature); err != nil {
		return err
	}
	until := uint32(cred.SignatureExpirationLedger)
	if h.in.Ledger > until {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidInput, "signature has expired")
	}
	if until > h.in.Ledger+MaxTTL-1 {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidInput, "signature expiration is too late")
	}
	return h.consumeNonce(cred.Address, cred.Nonce, until)
}

// SignaturePayload is the hash that the owner of the credentials signs.
func SignaturePayload(networkID [32]byte, entry xdr.SorobanAuthorizationEntry) ([32]byte, error) {
	cred := addressCredentials(entry.Credentials)
	if cred == nil {
		return [32]byte{}, fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidInput,
			"these credentials are not signed")
	}
	pre := xdr.HashIdPreimage{
		Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorization,
		SorobanAuthorization: &xdr.HashIdPreimageSorobanAuthorization{
			NetworkId: networkID, Nonce: cred.Nonce,
			SignatureExpirationLedger: cred.SignatureExpirationLedger, Invocation: entry.RootInvocation,
		},
	}
	if entry.Credentials.Type == xdr.SorobanCredentialsTypeSorobanCredentialsAddressV2 {
		pre = xdr.HashIdPreimage{
			Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorizationWithAddress,
			SorobanAuthorizationWithAddress: &xdr.HashIdPreimageSorobanAuthorizationWithAddress{
				NetworkId: networkID, Nonce: cred.Nonce, SignatureExpirationLedger: cred.SignatureExpirationLedger,
				Address: cred.Address, Invocation: entry.RootInvocation,
			},
		}
	}
	raw, err := pre.MarshalBinary()
	if err != nil {
		return [32]byte{}, fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidInput, "malformed authorization entry")
	}
	return sha256.Sum256(raw), nil
}

// checkAccount verifies a list of {public_key, signature} against the account's signers and medium threshold.
func (h *invocation) checkAccount(id xdr.AccountId, payload [32]byte, signature xdr.ScVal) error {
	account, err := h.storage.get(state.Account(id))
	if err != nil {
		return err
	}
	if account == nil {
		return fail(xdr.ScErrorTypeSceStorage, xdr.ScErrorCodeScecMissingValue, "the authorizing account does not exist")
	}
	if signature.Type != xdr.ScValTypeScvVec || signature.Vec == nil || *signature.Vec == nil {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidInput, "the signature is not a list")
	}
	sigs := **signature.Vec
	if len(sigs) == 0 || len(sigs) > maxSignatures {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidAction, "%d signatures", len(sigs))
	}
	entry, weight, last := account.Data.Account, 0, []byte(nil)
	for _, s := range sigs {
		pub, sig, ok := signatureParts(s)
		if !ok || bytes.Compare(last, pub) >= 0 {
			return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidInput,
				"signatures must be maps of public_key and signature, ordered by key, each key once")
		}
		if !ed25519.Verify(pub, payload[:], sig) {
			return fail(xdr.ScErrorTypeSceCrypto, xdr.ScErrorCodeScecInvalidInput, "failed ED25519 verification")
		}
		w := signerWeight(entry, pub)
		if w == 0 {
			return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidAction, "signature doesn't belong to account")
		}
		weight, last = weight+w, pub
	}
	if weight < max(1, int(entry.Thresholds[xdr.ThresholdIndexesThresholdMed])) {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecInvalidAction, "signature weight is lower than threshold")
	}
	return nil
}

func signatureParts(v xdr.ScVal) (pub, sig []byte, ok bool) {
	p, okP := Lookup(v, "public_key")
	s, okS := Lookup(v, "signature")
	if !okP || !okS || p.Type != xdr.ScValTypeScvBytes || s.Type != xdr.ScValTypeScvBytes ||
		len(*p.Bytes) != ed25519.PublicKeySize || len(*s.Bytes) != ed25519.SignatureSize {
		return nil, nil, false
	}
	return *p.Bytes, *s.Bytes, true
}

func signerWeight(a *xdr.AccountEntry, pub []byte) int {
	if master, ok := a.AccountId.GetEd25519(); ok && bytes.Equal(master[:], pub) {
		return int(a.Thresholds[xdr.ThresholdIndexesThresholdMasterWeight])
	}
	for _, s := range a.Signers {
		if key, ok := s.Key.GetEd25519(); ok && bytes.Equal(key[:], pub) {
			return int(s.Weight)
		}
	}
	return 0
}

// consumeNonce writes the temporary entry (address, nonce) that makes a second use of the signature fail. It lives as
// long as the signature, because an expired signature needs no guard.
func (h *invocation) consumeNonce(addr xdr.ScAddress, nonce xdr.Int64, until uint32) error {
	entry := xdr.ContractDataEntry{
		Contract:   addr,
		Key:        xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyNonce, NonceKey: &xdr.ScNonceKey{Nonce: nonce}},
		Durability: xdr.ContractDataDurabilityTemporary,
		Val:        Void(),
	}
	k, err := dataKey(entry.Contract, entry.Key, entry.Durability)
	if err != nil {
		return err
	}
	old, err := h.storage.get(k)
	if err != nil {
		return err
	}
	if old != nil {
		return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecExistingValue, "nonce already exists for address")
	}
	return h.storage.put(k, xdr.LedgerEntryData{Type: xdr.LedgerEntryTypeContractData, ContractData: &entry},
		max(until, h.in.Ledger+MinTemporaryTTL-1))
}

// record notes that addr must authorize the invocation: as the source account if it is that, else with a random nonce
// that a signer fills a signature into.
func (h *invocation) record(addr xdr.ScAddress) error {
	for _, e := range h.recorded {
		if owner, ok := h.ownerOf(e.Credentials); ok && owner.Equals(addr) {
			return fail(xdr.ScErrorTypeSceAuth, xdr.ScErrorCodeScecExistingValue, "frame is already authorized")
		}
	}
	cred := xdr.SorobanCredentials{Type: xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount}
	if !addr.Equals(h.sourceAddress()) {
		var raw [8]byte
		if _, err := rand.Read(raw[:]); err != nil {
			return err
		}
		nonce := xdr.Int64(binary.BigEndian.Uint64(raw[:]) >> 1) // 63 bits fit
		signed := &xdr.SorobanAddressCredentials{Address: addr, Nonce: nonce, Signature: Void()}
		cred = xdr.SorobanCredentials{Type: xdr.SorobanCredentialsTypeSorobanCredentialsAddress, Address: signed}
		if h.in.UpgradedAuth {
			cred = xdr.SorobanCredentials{
				Type: xdr.SorobanCredentialsTypeSorobanCredentialsAddressV2, AddressV2: signed,
			}
		}
		if err := h.consumeNonce(addr, nonce, 0); err != nil {
			return err
		}
		if addr.Type == xdr.ScAddressTypeScAddressTypeAccount {
			account, err := h.storage.get(state.Account(*addr.AccountId))
			if err != nil {
				return err
			}
			if account == nil {
				return fail(xdr.ScErrorTypeSceStorage, xdr.ScErrorCodeScecMissingValue,
					"the account that must authorize does not exist")
			}
		}
	}
	h.recorded = append(h.recorded, xdr.SorobanAuthorizationEntry{Credentials: cred, RootInvocation: h.rootInvocation()})
	return nil
}
