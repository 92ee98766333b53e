package soroban

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
)

// Signer signs with the master key of one account. It is small enough for a
// key management service. A signature is checked before it is used.
type Signer interface {
	// Address of the account, G….
	Address() string
	// Sign returns the Ed25519 signature of hash, 64 bytes.
	Sign(ctx context.Context, hash [32]byte) ([]byte, error)
}

// NewSigner returns a Signer that holds the secret key seed (S…) in memory.
func NewSigner(seed string) (Signer, error) {
	kp, err := keypair.ParseFull(seed)
	if err != nil {
		return nil, fmt.Errorf("soroban: not a secret key (S…): %w", err)
	}
	return keySigner{kp}, nil
}

type keySigner struct{ key *keypair.Full }

func (s keySigner) Address() string { return s.key.Address() }

func (s keySigner) Sign(_ context.Context, hash [32]byte) ([]byte, error) { return s.key.Sign(hash[:]) }

// String keeps the secret out of logs.
func (s keySigner) String() string { return s.key.Address() }

// signerRetry is how soon a signer that does not answer is asked again.
const signerRetry = time.Second

// signed asks s for a signature and checks it: a wrong one would only be
// found out on the ledger, for a fee.
func signed(ctx context.Context, s Signer, hash [32]byte) ([]byte, error) {
	sig, err := s.Sign(ctx, hash)
	if e, ok := errors.AsType[*LimitError](err); ok {
		return nil, &UnavailableError{Reason: fmt.Sprintf("the limit %q of signer %s is reached", e.Name, s.Address()), RetryAfter: e.RetryAfter}
	}
	if err != nil {
		return nil, &UnavailableError{Reason: fmt.Sprintf("the signer %s does not sign", s.Address()), RetryAfter: signerRetry, Err: err}
	}
	pub, err := keypair.ParseAddress(s.Address())
	if err != nil {
		return nil, fmt.Errorf("soroban: signer %q: %w", s.Address(), err)
	}
	if err := pub.Verify(hash[:], sig); err != nil {
		return nil, fmt.Errorf("soroban: the signer of %s returned a signature that is not its own: %w", s.Address(), err)
	}
	return sig, nil
}
