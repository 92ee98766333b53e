package contractspec

import (
	"fmt"
	"strings"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// How much of a nested type a name spells out: levels, and bytes in all.
const (
	maxTypeNameDepth = 4
	maxTypeNameBytes = 256
)

// primitives names the types without parameters.
var primitives = map[xdr.ScSpecType]string{
	xdr.ScSpecTypeScSpecTypeVal:          "Val",
	xdr.ScSpecTypeScSpecTypeBool:         "bool",
	xdr.ScSpecTypeScSpecTypeVoid:         "void",
	xdr.ScSpecTypeScSpecTypeError:        "Error",
	xdr.ScSpecTypeScSpecTypeU32:          "u32",
	xdr.ScSpecTypeScSpecTypeI32:          "i32",
	xdr.ScSpecTypeScSpecTypeU64:          "u64",
	xdr.ScSpecTypeScSpecTypeI64:          "i64",
	xdr.ScSpecTypeScSpecTypeTimepoint:    "timepoint",
	xdr.ScSpecTypeScSpecTypeDuration:     "duration",
	xdr.ScSpecTypeScSpecTypeU128:         "u128",
	xdr.ScSpecTypeScSpecTypeI128:         "i128",
	xdr.ScSpecTypeScSpecTypeU256:         "u256",
	xdr.ScSpecTypeScSpecTypeI256:         "i256",
	xdr.ScSpecTypeScSpecTypeBytes:        "bytes",
	xdr.ScSpecTypeScSpecTypeString:       "string",
	xdr.ScSpecTypeScSpecTypeSymbol:       "symbol",
	xdr.ScSpecTypeScSpecTypeAddress:      "address",
	xdr.ScSpecTypeScSpecTypeMuxedAddress: "MuxedAddress",
}

// TypeName spells a declared type for people, such as "i128", "BytesN<32>" or
// "Map<symbol, Vec<address>>". Deep nesting is cut with an ellipsis.
func TypeName(t xdr.ScSpecTypeDef) string {
	return cut(typeName(t, maxTypeNameDepth), maxTypeNameBytes)
}

func typeName(t xdr.ScSpecTypeDef, depth int) string {
	if name, ok := primitives[t.Type]; ok {
		return name
	}
	if depth == 0 {
		return "…"
	}
	inner := func(t xdr.ScSpecTypeDef) string { return typeName(t, depth-1) }
	switch {
	case t.Option != nil:
		return "Option<" + inner(t.Option.ValueType) + ">"
	case t.Result != nil:
		return "Result<" + inner(t.Result.OkType) + ", " + inner(t.Result.ErrorType) + ">"
	case t.Vec != nil:
		return "Vec<" + inner(t.Vec.ElementType) + ">"
	case t.Map != nil:
		return "Map<" + inner(t.Map.KeyType) + ", " + inner(t.Map.ValueType) + ">"
	case t.Tuple != nil:
		names := make([]string, len(t.Tuple.ValueTypes))
		for i, v := range t.Tuple.ValueTypes {
			names[i] = inner(v)
		}
		return "(" + strings.Join(names, ", ") + ")"
	case t.BytesN != nil:
		return fmt.Sprintf("BytesN<%d>", t.BytesN.N)
	case t.Udt != nil:
		return t.Udt.Name
	}
	return "unknown type"
}
