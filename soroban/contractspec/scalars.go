package contractspec

import (
	"encoding/hex"
	"fmt"

	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Member names of the JSON forms.
const (
	memberOK     = "ok"
	memberError  = "error"
	memberTag    = "tag"
	memberValues = "values"
	memberType   = "type"
	memberCode   = "code"
	memberHex    = "hex"
)

// maxSymbol is the length of the longest symbol, in bytes.
const maxSymbol = 32

var voidVal = xdr.ScVal{Type: xdr.ScValTypeScvVoid}

func vecVal(vec xdr.ScVec) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvVec, Vec: new(&vec)}
}

func symbolVal(s string) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: new(xdr.ScSymbol(s))}
}

func bytesVal(b []byte) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: new(xdr.ScBytes(b))}
}

// parseScalar reads the types that hold no other values, integers aside.
func parseScalar(n *node, t xdr.ScSpecTypeDef, at *path) (xdr.ScVal, error) {
	expected := TypeName(t)
	switch {
	case t.Type == xdr.ScSpecTypeScSpecTypeBool && n.kind == kindBool:
		return xdr.ScVal{Type: xdr.ScValTypeScvBool, B: new(n.truth)}, nil
	case t.Type == xdr.ScSpecTypeScSpecTypeVoid && n.kind == kindNull:
		return voidVal, nil
	case t.Type == xdr.ScSpecTypeScSpecTypeString:
		return parseString(n, expected, at)
	case n.kind != kindString:
		return xdr.ScVal{}, at.fail(expected, "is "+string(n.kind))
	}
	switch t.Type {
	case xdr.ScSpecTypeScSpecTypeBytes:
		b, err := parseHex(n.text, expected, at)
		return bytesVal(b), err
	case xdr.ScSpecTypeScSpecTypeBytesN:
		b, err := parseHex(n.text, expected, at)
		if err == nil && uint64(len(b)) != uint64(t.BytesN.N) {
			err = at.fail(expected, fmt.Sprintf("has %d bytes", len(b)))
		}
		return bytesVal(b), err
	case xdr.ScSpecTypeScSpecTypeSymbol:
		if !validSymbol(n.text) {
			return xdr.ScVal{}, at.fail(expected, "is not at most 32 of a-z, A-Z, 0-9 and _")
		}
		return symbolVal(n.text), nil
	case xdr.ScSpecTypeScSpecTypeAddress:
		return parseAddress(n.text, false, expected, at)
	case xdr.ScSpecTypeScSpecTypeMuxedAddress:
		return parseAddress(n.text, true, expected, at)
	default:
		return xdr.ScVal{}, at.fail(expected, "is "+string(n.kind))
	}
}

// parseString reads a string, or {"hex": …} for one that is not UTF-8.
func parseString(n *node, expected string, at *path) (xdr.ScVal, error) {
	text := n.text
	switch {
	case n.kind == kindString:
	case n.kind == kindObject && len(n.members) == 1 && n.members[0].name == memberHex &&
		n.members[0].value.kind == kindString:
		b, err := parseHex(n.members[0].value.text, expected, at.member(memberHex))
		if err != nil {
			return xdr.ScVal{}, err
		}
		text = string(b)
	default:
		return xdr.ScVal{}, at.fail(expected, "is "+string(n.kind))
	}
	return xdr.ScVal{Type: xdr.ScValTypeScvString, Str: new(xdr.ScString(text))}, nil
}

func parseHex(s, expected string, at *path) ([]byte, error) {
	b, err := hex.DecodeString(s)
	if err != nil {
		return nil, at.fail(expected, "is not an even number of hexadecimal digits without 0x")
	}
	return b, nil
}

func validSymbol(s string) bool {
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(s) <= maxSymbol
}

// parseAddress reads the addresses that the host takes from a caller.
func parseAddress(s string, muxed bool, expected string, at *path) (xdr.ScVal, error) {
	var address xdr.ScAddress
	version, payload, err := strkey.DecodeAny(s)
	switch {
	case err != nil:
		return xdr.ScVal{}, at.fail(expected, "is not a valid address; check for a missing or changed character")
	case version == strkey.VersionByteAccountID:
		address.Type = xdr.ScAddressTypeScAddressTypeAccount
		address.AccountId = &xdr.AccountId{
			Type:    xdr.PublicKeyTypePublicKeyTypeEd25519,
			Ed25519: new(xdr.Uint256(payload)),
		}
	case version == strkey.VersionByteContract:
		address.Type = xdr.ScAddressTypeScAddressTypeContract
		address.ContractId = new(xdr.ContractId(payload))
	case version == strkey.VersionByteMuxedAccount && muxed:
		account, err := xdr.AddressToMuxedAccount(s)
		if err != nil || account.Med25519 == nil {
			return xdr.ScVal{}, at.fail(expected, "is not a valid muxed address")
		}
		address.Type = xdr.ScAddressTypeScAddressTypeMuxedAccount
		address.MuxedAccount = &xdr.MuxedEd25519Account{Id: account.Med25519.Id, Ed25519: account.Med25519.Ed25519}
	case version == strkey.VersionByteSeed:
		return xdr.ScVal{}, at.fail(expected, "is a secret seed, not an address: treat it as compromised")
	default:
		return xdr.ScVal{}, at.fail(expected, "is an address of a kind not allowed here")
	}
	return xdr.ScVal{Type: xdr.ScValTypeScvAddress, Address: &address}, nil
}
