package contractspec

import (
	"encoding"
	"fmt"
	"math/big"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// maxDigits is the length of the longest 256-bit number with its sign.
const maxDigits = 79

// integer is the width and signedness of an integer type.
type integer struct {
	bits   int
	signed bool
}

var integers = map[xdr.ScSpecType]integer{
	xdr.ScSpecTypeScSpecTypeU32:       {32, false},
	xdr.ScSpecTypeScSpecTypeI32:       {32, true},
	xdr.ScSpecTypeScSpecTypeU64:       {64, false},
	xdr.ScSpecTypeScSpecTypeI64:       {64, true},
	xdr.ScSpecTypeScSpecTypeTimepoint: {64, false},
	xdr.ScSpecTypeScSpecTypeDuration:  {64, false},
	xdr.ScSpecTypeScSpecTypeU128:      {128, false},
	xdr.ScSpecTypeScSpecTypeI128:      {128, true},
	xdr.ScSpecTypeScSpecTypeU256:      {256, false},
	xdr.ScSpecTypeScSpecTypeI256:      {256, true},
}

// fits reports whether v is within the type's range.
func (i integer) fits(v *big.Int) bool {
	if !i.signed {
		return v.Sign() >= 0 && v.BitLen() <= i.bits
	}
	if v.Sign() < 0 {
		v = new(big.Int).Not(v) // −2^(n−1) is as wide as 2^(n−1)−1
	}
	return v.BitLen() < i.bits
}

// parseInteger reads a canonical decimal integer: of a number the digits, of a
// string the content.
func parseInteger(n *node, i integer, expected string, at *path) (*big.Int, error) {
	if n.kind != kindNumber && n.kind != kindString {
		return nil, at.fail(expected, "is "+string(n.kind))
	}
	if len(n.text) > maxDigits {
		return nil, at.fail(expected, "has too many digits or characters")
	}
	if !canonicalInteger(n.text) {
		return nil, at.fail(expected, "is not a decimal integer such as 42 or -7, without fraction, exponent or leading zeros")
	}
	v, _ := new(big.Int).SetString(n.text, 10)
	if !i.fits(v) {
		return nil, at.fail(expected, "is out of range")
	}
	return v, nil
}

// canonicalInteger matches 0 and -?[1-9][0-9]*: one spelling for each number.
func canonicalInteger(s string) bool {
	if s == "0" {
		return true
	}
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	if s == "" || s[0] == '0' {
		return false
	}
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// valTypes are the kinds of value of the integer types.
var valTypes = map[xdr.ScSpecType]xdr.ScValType{
	xdr.ScSpecTypeScSpecTypeU32:       xdr.ScValTypeScvU32,
	xdr.ScSpecTypeScSpecTypeI32:       xdr.ScValTypeScvI32,
	xdr.ScSpecTypeScSpecTypeU64:       xdr.ScValTypeScvU64,
	xdr.ScSpecTypeScSpecTypeI64:       xdr.ScValTypeScvI64,
	xdr.ScSpecTypeScSpecTypeTimepoint: xdr.ScValTypeScvTimepoint,
	xdr.ScSpecTypeScSpecTypeDuration:  xdr.ScValTypeScvDuration,
	xdr.ScSpecTypeScSpecTypeU128:      xdr.ScValTypeScvU128,
	xdr.ScSpecTypeScSpecTypeI128:      xdr.ScValTypeScvI128,
	xdr.ScSpecTypeScSpecTypeU256:      xdr.ScValTypeScvU256,
	xdr.ScSpecTypeScSpecTypeI256:      xdr.ScValTypeScvI256,
}

// integerVal makes the value of an integer type; v must fit it. On the wire
// every integer is its kind and then its two's complement, high byte first,
// however many parts the generated struct has.
func integerVal(t xdr.ScSpecType, v *big.Int) (xdr.ScVal, error) {
	wire, err := valTypes[t].MarshalBinary()
	if err != nil {
		return xdr.ScVal{}, fmt.Errorf("contractspec: encode integer: %w", err)
	}
	if v.Sign() < 0 {
		v = new(big.Int).Add(v, modulus(integers[t].bits/8))
	}
	wire = append(wire, v.FillBytes(make([]byte, integers[t].bits/8))...)
	var out xdr.ScVal
	if err := xdr.SafeUnmarshal(wire, &out); err != nil {
		return xdr.ScVal{}, fmt.Errorf("contractspec: encode integer: %w", err)
	}
	return out, nil
}

// modulus is one more than the largest unsigned number of that many bytes.
func modulus(bytes int) *big.Int {
	return new(big.Int).SetBytes(append([]byte{1}, make([]byte, bytes)...))
}

// integerOf reads a value of the integer type t; ok is false for any other
// value and for a union whose arm is missing.
func integerOf(v xdr.ScVal, t xdr.ScSpecType) (digits string, ok bool) {
	arm := integerArm(v)
	if arm == nil || v.Type != valTypes[t] {
		return "", false
	}
	wire, err := arm.MarshalBinary()
	if err != nil || len(wire) == 0 {
		return "", false
	}
	n := new(big.Int).SetBytes(wire)
	if integers[t].signed && wire[0]&0x80 != 0 {
		n.Sub(n, modulus(len(wire)))
	}
	return n.String(), true
}

// integerArm returns the arm that holds v's integer, or nil.
func integerArm(v xdr.ScVal) encoding.BinaryMarshaler {
	switch {
	case v.Type == xdr.ScValTypeScvU32 && v.U32 != nil:
		return v.U32
	case v.Type == xdr.ScValTypeScvI32 && v.I32 != nil:
		return v.I32
	case v.Type == xdr.ScValTypeScvU64 && v.U64 != nil:
		return v.U64
	case v.Type == xdr.ScValTypeScvI64 && v.I64 != nil:
		return v.I64
	case v.Type == xdr.ScValTypeScvTimepoint && v.Timepoint != nil:
		return v.Timepoint
	case v.Type == xdr.ScValTypeScvDuration && v.Duration != nil:
		return v.Duration
	case v.Type == xdr.ScValTypeScvU128 && v.U128 != nil:
		return v.U128
	case v.Type == xdr.ScValTypeScvI128 && v.I128 != nil:
		return v.I128
	case v.Type == xdr.ScValTypeScvU256 && v.U256 != nil:
		return v.U256
	case v.Type == xdr.ScValTypeScvI256 && v.I256 != nil:
		return v.I256
	default:
		return nil
	}
}
