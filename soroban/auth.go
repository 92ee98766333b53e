package soroban

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// credentials are the signed ones of an authorization entry, nil for the
// source account's and for kinds that are not supported.
func credentials(e *xdr.SorobanAuthorizationEntry) *xdr.SorobanAddressCredentials {
	switch e.Credentials.Type {
	case xdr.SorobanCredentialsTypeSorobanCredentialsAddress:
		return e.Credentials.Address
	case xdr.SorobanCredentialsTypeSorobanCredentialsAddressV2:
		return e.Credentials.AddressV2
	default:
		return nil
	}
}

// authorize pins the nonces of recorded entries and signs them. It refuses to
// sign anything but the invocation itself, and to let a transaction act for
// its channel: the arguments may come from a hostile client, the entries from
// a hostile server.
func (s *Submitter) authorize(ctx context.Context, p *plan, recorded []xdr.SorobanAuthorizationEntry, until uint32) ([]xdr.SorobanAuthorizationEntry, error) {
	out := make([]xdr.SorobanAuthorizationEntry, 0, len(recorded))
	for i := range recorded {
		e := recorded[i]
		cred := credentials(&e)
		if cred == nil {
			return nil, fmt.Errorf("%w: the contract asks for that of the channel account", ErrAuthorization)
		}
		who, err := cred.Address.String()
		if err != nil || p.signer == nil || who != p.signer.Address() {
			return nil, fmt.Errorf("%w: the contract asks for that of %s, and the signer is %q", ErrAuthorization, who, p.name)
		}
		fn := e.RootInvocation.Function.ContractFn
		if fn == nil || !sameCall(*fn, p.call) {
			return nil, fmt.Errorf("%w: the server asks to sign another call than the one requested", ErrAuthorization)
		}
		cred.Nonce, cred.SignatureExpirationLedger = xdr.Int64(p.nonce(i)), xdr.Uint32(until)
		payload, err := s.authPayload(&e)
		if err != nil {
			return nil, err
		}
		sig, err := signed(ctx, p.signer, payload)
		if err != nil {
			return nil, err
		}
		if cred.Signature, err = accountSignature(who, sig); err != nil {
			return nil, err
		}
		out = append(out, e)
	}
	return out, nil
}

// authPayload is the hash that authorizes an entry.
func (s *Submitter) authPayload(e *xdr.SorobanAuthorizationEntry) ([32]byte, error) {
	cred := credentials(e)
	pre := xdr.HashIdPreimage{
		Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorization,
		SorobanAuthorization: &xdr.HashIdPreimageSorobanAuthorization{
			NetworkId: s.network, Nonce: cred.Nonce,
			SignatureExpirationLedger: cred.SignatureExpirationLedger, Invocation: e.RootInvocation,
		},
	}
	if e.Credentials.Type == xdr.SorobanCredentialsTypeSorobanCredentialsAddressV2 {
		pre = xdr.HashIdPreimage{
			Type: xdr.EnvelopeTypeEnvelopeTypeSorobanAuthorizationWithAddress,
			SorobanAuthorizationWithAddress: &xdr.HashIdPreimageSorobanAuthorizationWithAddress{
				NetworkId: s.network, Nonce: cred.Nonce, SignatureExpirationLedger: cred.SignatureExpirationLedger,
				Address: cred.Address, Invocation: e.RootInvocation,
			},
		}
	}
	raw, err := pre.MarshalBinary()
	if err != nil {
		return [32]byte{}, fmt.Errorf("soroban: encoding an authorization: %w", err)
	}
	return sha256.Sum256(raw), nil
}

// accountSignature is what an account's authorization carries: a list of one
// {public_key, signature}.
func accountSignature(address string, sig []byte) (xdr.ScVal, error) {
	id, err := xdr.AddressToAccountId(address)
	if err != nil {
		return xdr.ScVal{}, fmt.Errorf("soroban: %q: %w", address, err)
	}
	pub := id.Ed25519
	field := func(name string, b []byte) xdr.ScMapEntry {
		sym, val := xdr.ScSymbol(name), xdr.ScBytes(bytes.Clone(b))
		return xdr.ScMapEntry{
			Key: xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: &sym},
			Val: xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: &val},
		}
	}
	m := &xdr.ScMap{field("public_key", pub[:]), field("signature", sig)}
	list := &xdr.ScVec{{Type: xdr.ScValTypeScvMap, Map: &m}}
	return xdr.ScVal{Type: xdr.ScValTypeScvVec, Vec: &list}, nil
}
