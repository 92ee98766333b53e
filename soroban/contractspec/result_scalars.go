package contractspec

import (
	"encoding/hex"
	"strings"
	"unicode/utf8"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// mismatch is the error for a value that is not of its declared type.
func mismatch(v xdr.ScVal, expected string, at *path) error {
	return at.fail(expected, "is of the kind "+strings.TrimPrefix(v.Type.String(), "ScValTypeScv"))
}

// formatScalar writes the types that hold no other values, integers aside.
func formatScalar(v xdr.ScVal, t xdr.ScSpecTypeDef, at *path) (any, error) {
	switch {
	case t.Type == xdr.ScSpecTypeScSpecTypeVoid && v.Type == xdr.ScValTypeScvVoid:
		return nil, nil // JSON null
	case t.Type == xdr.ScSpecTypeScSpecTypeBool && v.Type == xdr.ScValTypeScvBool && v.B != nil:
		return *v.B, nil
	case t.Type == xdr.ScSpecTypeScSpecTypeError && v.Type == xdr.ScValTypeScvError:
		if out, ok := formatError(v.Error); ok {
			return out, nil
		}
	case t.Type == xdr.ScSpecTypeScSpecTypeBytes && v.Type == xdr.ScValTypeScvBytes && v.Bytes != nil:
		return hex.EncodeToString(*v.Bytes), nil
	case t.Type == xdr.ScSpecTypeScSpecTypeBytesN && v.Type == xdr.ScValTypeScvBytes && v.Bytes != nil:
		if uint64(len(*v.Bytes)) == uint64(t.BytesN.N) {
			return hex.EncodeToString(*v.Bytes), nil
		}
	case t.Type == xdr.ScSpecTypeScSpecTypeString && v.Type == xdr.ScValTypeScvString && v.Str != nil:
		if s := string(*v.Str); utf8.ValidString(s) {
			return s, nil
		}
		return map[string]any{memberHex: hex.EncodeToString([]byte(*v.Str))}, nil
	case t.Type == xdr.ScSpecTypeScSpecTypeSymbol && v.Type == xdr.ScValTypeScvSymbol && v.Sym != nil:
		if s := string(*v.Sym); validSymbol(s) {
			return s, nil
		}
	case t.Type == xdr.ScSpecTypeScSpecTypeAddress || t.Type == xdr.ScSpecTypeScSpecTypeMuxedAddress:
		if s, ok := addressText(v); ok {
			return s, nil
		}
	}
	return nil, mismatch(v, TypeName(t), at)
}

// addressText spells an address of any kind as a strkey.
func addressText(v xdr.ScVal) (string, bool) {
	a := v.Address
	if v.Type != xdr.ScValTypeScvAddress || a == nil {
		return "", false
	}
	var whole bool
	switch a.Type {
	case xdr.ScAddressTypeScAddressTypeAccount:
		whole = a.AccountId != nil && a.AccountId.Ed25519 != nil
	case xdr.ScAddressTypeScAddressTypeContract:
		whole = a.ContractId != nil
	case xdr.ScAddressTypeScAddressTypeMuxedAccount:
		whole = a.MuxedAccount != nil
	case xdr.ScAddressTypeScAddressTypeClaimableBalance:
		whole = a.ClaimableBalanceId != nil && a.ClaimableBalanceId.V0 != nil
	case xdr.ScAddressTypeScAddressTypeLiquidityPool:
		whole = a.LiquidityPoolId != nil
	}
	if !whole {
		return "", false
	}
	s, err := a.String()
	return s, err == nil
}

// untypedNames are the words for the kinds of value that need no further
// declaration, the reverse of untypedScalars.
var untypedNames = map[xdr.ScValType]string{
	xdr.ScValTypeScvBool:      "bool",
	xdr.ScValTypeScvVoid:      "void",
	xdr.ScValTypeScvError:     untypedError,
	xdr.ScValTypeScvU32:       "u32",
	xdr.ScValTypeScvI32:       "i32",
	xdr.ScValTypeScvU64:       "u64",
	xdr.ScValTypeScvI64:       "i64",
	xdr.ScValTypeScvTimepoint: "timepoint",
	xdr.ScValTypeScvDuration:  "duration",
	xdr.ScValTypeScvU128:      "u128",
	xdr.ScValTypeScvI128:      "i128",
	xdr.ScValTypeScvU256:      "u256",
	xdr.ScValTypeScvI256:      "i256",
	xdr.ScValTypeScvBytes:     "bytes",
	xdr.ScValTypeScvString:    "string",
	xdr.ScValTypeScvSymbol:    "symbol",
	xdr.ScValTypeScvAddress:   "address",
	xdr.ScValTypeScvVec:       untypedVec,
	xdr.ScValTypeScvMap:       untypedMap,
}

// untyped writes a value with the word that names its type.
func (w *formatter) untyped(v xdr.ScVal, at *path, depth int) (any, error) {
	word, ok := untypedNames[v.Type]
	if !ok {
		return nil, mismatch(v, "Val", at)
	}
	t := xdr.ScSpecTypeDef{Type: untypedScalars[word]}
	switch word {
	case untypedVec:
		t = vecOf(anyType)
	case untypedMap:
		t = mapOf(anyType, anyType)
	}
	inner, err := w.value(v, t, at.member(word), depth)
	if err != nil {
		return nil, err
	}
	return map[string]any{word: inner}, nil
}
