package contractspec

import "github.com/stellar/go-stellar-sdk/xdr"

// The words that name a type in the JSON form of Val, where no declaration does.
const (
	untypedVec   = "vec"
	untypedMap   = "map"
	untypedError = "error"
)

// untypedScalars are the words for types without parameters. Their JSON forms
// are those of a declared type.
var untypedScalars = map[string]xdr.ScSpecType{
	"bool":      xdr.ScSpecTypeScSpecTypeBool,
	"void":      xdr.ScSpecTypeScSpecTypeVoid,
	"u32":       xdr.ScSpecTypeScSpecTypeU32,
	"i32":       xdr.ScSpecTypeScSpecTypeI32,
	"u64":       xdr.ScSpecTypeScSpecTypeU64,
	"i64":       xdr.ScSpecTypeScSpecTypeI64,
	"timepoint": xdr.ScSpecTypeScSpecTypeTimepoint,
	"duration":  xdr.ScSpecTypeScSpecTypeDuration,
	"u128":      xdr.ScSpecTypeScSpecTypeU128,
	"i128":      xdr.ScSpecTypeScSpecTypeI128,
	"u256":      xdr.ScSpecTypeScSpecTypeU256,
	"i256":      xdr.ScSpecTypeScSpecTypeI256,
	"bytes":     xdr.ScSpecTypeScSpecTypeBytes,
	"string":    xdr.ScSpecTypeScSpecTypeString,
	"symbol":    xdr.ScSpecTypeScSpecTypeSymbol,
	// Val says nothing about muxed accounts, so they are allowed.
	"address":    xdr.ScSpecTypeScSpecTypeMuxedAddress,
	untypedError: xdr.ScSpecTypeScSpecTypeError,
}

var anyType = xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeVal}

// untyped reads a Val: an object with one member that names the type.
func (c converter) untyped(n *node, at *path, depth int) (xdr.ScVal, error) {
	if n.kind != kindObject || len(n.members) != 1 {
		return xdr.ScVal{}, at.fail("Val", `is not an object with one member that names the type, such as {"u32": 5}`)
	}
	m := n.members[0]
	here := at.member(m.name)
	switch m.name {
	case untypedVec:
		return c.value(m.value, vecOf(anyType), here, depth)
	case untypedMap:
		return c.value(m.value, mapOf(anyType, anyType), here, depth)
	}
	t, ok := untypedScalars[m.name]
	if !ok {
		return xdr.ScVal{}, here.fail("Val", "is not the name of a type")
	}
	return c.value(m.value, xdr.ScSpecTypeDef{Type: t}, here, depth)
}

func vecOf(element xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{
		Type: xdr.ScSpecTypeScSpecTypeVec,
		Vec:  &xdr.ScSpecTypeVec{ElementType: element},
	}
}

func mapOf(key, value xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{
		Type: xdr.ScSpecTypeScSpecTypeMap,
		Map:  &xdr.ScSpecTypeMap{KeyType: key, ValueType: value},
	}
}
