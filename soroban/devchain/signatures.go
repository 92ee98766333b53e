package devchain

import (
	"bytes"
	"crypto/ed25519"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// signatureCheck matches an envelope's signatures to accounts and remembers which were of use.
type signatureCheck struct {
	hash xdr.Hash
	sigs []xdr.DecoratedSignature
	used []bool
}

func newSignatureCheck(hash xdr.Hash, sigs []xdr.DecoratedSignature) *signatureCheck {
	return &signatureCheck{hash: hash, sigs: sigs, used: make([]bool, len(sigs))}
}

// account tells whether the signatures of a's master key and signers reach the threshold.
func (s *signatureCheck) account(a *xdr.AccountEntry, level xdr.ThresholdIndexes) bool {
	weight := 0
	if master, ok := a.AccountId.GetEd25519(); ok && s.key(master[:]) {
		weight += int(a.Thresholds[xdr.ThresholdIndexesThresholdMasterWeight])
	}
	for _, signer := range a.Signers {
		if key, ok := signer.Key.GetEd25519(); ok && s.key(key[:]) {
			weight += int(signer.Weight)
		}
	}
	return weight >= max(1, int(a.Thresholds[level]))
}

// missing stands for an account that does not exist: its master key may sign.
func (s *signatureCheck) missing(id xdr.AccountId) bool {
	key, ok := id.GetEd25519()
	return ok && s.key(key[:])
}

// key tells whether pub signed, and marks its signatures.
func (s *signatureCheck) key(pub []byte) bool {
	found := false
	for i, sig := range s.sigs {
		if bytes.Equal(sig.Hint[:], pub[len(pub)-4:]) && len(sig.Signature) == ed25519.SignatureSize &&
			ed25519.Verify(pub, s.hash[:], sig.Signature) {
			s.used[i], found = true, true
		}
	}
	return found
}

// extra checks the signers that the preconditions ask for beside the accounts'. Only plain keys are known here.
func (s *signatureCheck) extra(signers []xdr.SignerKey) bool {
	for _, signer := range signers {
		if key, ok := signer.GetEd25519(); !ok || !s.key(key[:]) {
			return false
		}
	}
	return true
}

func (s *signatureCheck) allUsed() bool {
	for _, u := range s.used {
		if !u {
			return false
		}
	}
	return true
}
