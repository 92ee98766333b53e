package host

import (
	"fmt"
	"math/big"

	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Symbol builds a symbol; the functions after it build the other contract values.
func Symbol(s string) xdr.ScVal {
	v := xdr.ScSymbol(s)
	return xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: &v}
}

// String is a text value.
func String(s string) xdr.ScVal {
	v := xdr.ScString(s)
	return xdr.ScVal{Type: xdr.ScValTypeScvString, Str: &v}
}

// Bytes is a byte string value.
func Bytes(b []byte) xdr.ScVal {
	v := xdr.ScBytes(b)
	return xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: &v}
}

// U32 is an unsigned 32-bit value.
func U32(n uint32) xdr.ScVal {
	v := xdr.Uint32(n)
	return xdr.ScVal{Type: xdr.ScValTypeScvU32, U32: &v}
}

// U64 is an unsigned 64-bit value.
func U64(n uint64) xdr.ScVal {
	v := xdr.Uint64(n)
	return xdr.ScVal{Type: xdr.ScValTypeScvU64, U64: &v}
}

// Bool is a truth value.
func Bool(b bool) xdr.ScVal { return xdr.ScVal{Type: xdr.ScValTypeScvBool, B: &b} }

// Void is the empty value.
func Void() xdr.ScVal { return xdr.ScVal{Type: xdr.ScValTypeScvVoid} }

// Vec is a list of values.
func Vec(vals ...xdr.ScVal) xdr.ScVal {
	v := xdr.ScVec(vals)
	p := &v
	return xdr.ScVal{Type: xdr.ScValTypeScvVec, Vec: &p}
}

// Field is one named value of a Struct.
type Field struct {
	Name string
	Val  xdr.ScVal
}

// Struct is a map from symbols, the shape of a contract's struct type; the fields must come in the order of their names.
func Struct(fields ...Field) xdr.ScVal {
	m := make(xdr.ScMap, len(fields))
	for i, f := range fields {
		m[i] = xdr.ScMapEntry{Key: Symbol(f.Name), Val: f.Val}
	}
	p := &m
	return xdr.ScVal{Type: xdr.ScValTypeScvMap, Map: &p}
}

// Lookup finds a field of a value built by Struct.
func Lookup(v xdr.ScVal, name string) (xdr.ScVal, bool) {
	if v.Type != xdr.ScValTypeScvMap || v.Map == nil || *v.Map == nil {
		return xdr.ScVal{}, false
	}
	for _, e := range **v.Map {
		if e.Key.Type == xdr.ScValTypeScvSymbol && string(*e.Key.Sym) == name {
			return e.Val, true
		}
	}
	return xdr.ScVal{}, false
}

// Address is an account (G…) or contract (C…) as a contract value.
func Address(a xdr.ScAddress) xdr.ScVal { return xdr.ScVal{Type: xdr.ScValTypeScvAddress, Address: &a} }

// ParseAddress reads the text form of an account or contract.
func ParseAddress(s string) (xdr.ScAddress, error) {
	version, err := strkey.Version(s)
	if err != nil {
		return xdr.ScAddress{}, fmt.Errorf("%q is no address: %w", s, err)
	}
	switch version {
	case strkey.VersionByteAccountID:
		id, err := xdr.AddressToAccountId(s)
		if err != nil {
			return xdr.ScAddress{}, fmt.Errorf("%q is no account: %w", s, err)
		}
		return xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &id}, nil
	case strkey.VersionByteContract:
		raw, err := strkey.Decode(version, s)
		if err != nil {
			return xdr.ScAddress{}, fmt.Errorf("%q is no contract: %w", s, err)
		}
		return ContractAddress([32]byte(raw)), nil
	default:
		return xdr.ScAddress{}, fmt.Errorf("%q is neither an account (G…) nor a contract (C…)", s)
	}
}

// ContractAddress is the address of the contract with this id.
func ContractAddress(id [32]byte) xdr.ScAddress {
	c := xdr.ContractId(id)
	return xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &c}
}

var (
	maxI128 = new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 127), big.NewInt(1))
	minI128 = new(big.Int).Neg(new(big.Int).Lsh(big.NewInt(1), 127))
)

// I128 is a signed 128-bit value; false if n does not fit.
func I128(n *big.Int) (xdr.ScVal, bool) {
	if n.Cmp(maxI128) > 0 || n.Cmp(minI128) < 0 {
		return xdr.ScVal{}, false
	}
	mod := new(big.Int).Set(n)
	if mod.Sign() < 0 {
		mod.Add(mod, new(big.Int).Lsh(big.NewInt(1), 128))
	}
	lo := new(big.Int).And(mod, new(big.Int).SetUint64(^uint64(0)))
	hi := new(big.Int).Rsh(mod, 64)
	return xdr.ScVal{Type: xdr.ScValTypeScvI128, I128: &xdr.Int128Parts{
		Hi: xdr.Int64(int64(hi.Uint64())), //nolint:gosec // two's complement: the bits are what is meant
		Lo: xdr.Uint64(lo.Uint64()),
	}}, true
}

// BigI128 is the number in a value built by I128, and 0 for any other value.
func BigI128(v xdr.ScVal) *big.Int {
	if v.Type != xdr.ScValTypeScvI128 || v.I128 == nil {
		return new(big.Int)
	}
	n := new(big.Int).Lsh(big.NewInt(int64(v.I128.Hi)), 64)
	return n.Add(n, new(big.Int).SetUint64(uint64(v.I128.Lo)))
}
