package contractspec_test

import (
	"testing"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Strkeys of the bytes 1 to 32; the muxed account has the id 77.
const (
	account      = "GAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSABOV"
	contract     = "CAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSBFLM"
	pool         = "LAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSB4BB"
	muxedAccount = "MAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSAAAAAAAAAAAAJVJFY"
)

func prim(t xdr.ScSpecType) xdr.ScSpecTypeDef { return xdr.ScSpecTypeDef{Type: t} }

var (
	tVal     = prim(xdr.ScSpecTypeScSpecTypeVal)
	tBool    = prim(xdr.ScSpecTypeScSpecTypeBool)
	tVoid    = prim(xdr.ScSpecTypeScSpecTypeVoid)
	tError   = prim(xdr.ScSpecTypeScSpecTypeError)
	tU32     = prim(xdr.ScSpecTypeScSpecTypeU32)
	tI32     = prim(xdr.ScSpecTypeScSpecTypeI32)
	tU64     = prim(xdr.ScSpecTypeScSpecTypeU64)
	tI64     = prim(xdr.ScSpecTypeScSpecTypeI64)
	tTime    = prim(xdr.ScSpecTypeScSpecTypeTimepoint)
	tSpan    = prim(xdr.ScSpecTypeScSpecTypeDuration)
	tU128    = prim(xdr.ScSpecTypeScSpecTypeU128)
	tI128    = prim(xdr.ScSpecTypeScSpecTypeI128)
	tU256    = prim(xdr.ScSpecTypeScSpecTypeU256)
	tI256    = prim(xdr.ScSpecTypeScSpecTypeI256)
	tBytes   = prim(xdr.ScSpecTypeScSpecTypeBytes)
	tString  = prim(xdr.ScSpecTypeScSpecTypeString)
	tSymbol  = prim(xdr.ScSpecTypeScSpecTypeSymbol)
	tAddress = prim(xdr.ScSpecTypeScSpecTypeAddress)
	tMuxed   = prim(xdr.ScSpecTypeScSpecTypeMuxedAddress)
)

func tOption(of xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeOption, Option: &xdr.ScSpecTypeOption{ValueType: of}}
}

func tResult(ok, err xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{
		Type:   xdr.ScSpecTypeScSpecTypeResult,
		Result: &xdr.ScSpecTypeResult{OkType: ok, ErrorType: err},
	}
}

func tVec(of xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeVec, Vec: &xdr.ScSpecTypeVec{ElementType: of}}
}

func tMap(key, value xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{
		Type: xdr.ScSpecTypeScSpecTypeMap,
		Map:  &xdr.ScSpecTypeMap{KeyType: key, ValueType: value},
	}
}

func tTuple(of ...xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeTuple, Tuple: &xdr.ScSpecTypeTuple{ValueTypes: of}}
}

func tBytesN(n uint32) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeBytesN, BytesN: &xdr.ScSpecTypeBytesN{N: xdr.Uint32(n)}}
}

func tUDT(name string) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeUdt, Udt: &xdr.ScSpecTypeUdt{Name: name}}
}

// param and its kin build declarations with as little noise as the tables need.
type param struct {
	name string
	kind xdr.ScSpecTypeDef
}

func function(name string, output *xdr.ScSpecTypeDef, inputs ...param) xdr.ScSpecEntry {
	f := xdr.ScSpecFunctionV0{Name: xdr.ScSymbol(name)}
	for _, input := range inputs {
		f.Inputs = append(f.Inputs, xdr.ScSpecFunctionInputV0{Name: input.name, Type: input.kind})
	}
	if output != nil {
		f.Outputs = []xdr.ScSpecTypeDef{*output}
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryFunctionV0, FunctionV0: &f}
}

func structure(name string, fields ...param) xdr.ScSpecEntry {
	s := xdr.ScSpecUdtStructV0{Name: name}
	for _, f := range fields {
		s.Fields = append(s.Fields, xdr.ScSpecUdtStructFieldV0{Name: f.name, Type: f.kind})
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryUdtStructV0, UdtStructV0: &s}
}

func enum(name string, cases ...string) xdr.ScSpecEntry {
	e := xdr.ScSpecUdtEnumV0{Name: name}
	for i, c := range cases {
		e.Cases = append(e.Cases, xdr.ScSpecUdtEnumCaseV0{Name: c, Value: xdr.Uint32(i + 1)})
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryUdtEnumV0, UdtEnumV0: &e}
}

func errorEnum(name string, cases ...string) xdr.ScSpecEntry {
	e := xdr.ScSpecUdtErrorEnumV0{Name: name}
	for i, c := range cases {
		e.Cases = append(e.Cases, xdr.ScSpecUdtErrorEnumCaseV0{Name: c, Value: xdr.Uint32(i + 1)})
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryUdtErrorEnumV0, UdtErrorEnumV0: &e}
}

func union(name string, cases ...xdr.ScSpecUdtUnionCaseV0) xdr.ScSpecEntry {
	u := xdr.ScSpecUdtUnionV0{Name: name, Cases: cases}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryUdtUnionV0, UdtUnionV0: &u}
}

func voidCase(name string) xdr.ScSpecUdtUnionCaseV0 {
	return xdr.ScSpecUdtUnionCaseV0{
		Kind:     xdr.ScSpecUdtUnionCaseV0KindScSpecUdtUnionCaseVoidV0,
		VoidCase: &xdr.ScSpecUdtUnionCaseVoidV0{Name: name},
	}
}

func tupleCase(name string, types ...xdr.ScSpecTypeDef) xdr.ScSpecUdtUnionCaseV0 {
	return xdr.ScSpecUdtUnionCaseV0{
		Kind:      xdr.ScSpecUdtUnionCaseV0KindScSpecUdtUnionCaseTupleV0,
		TupleCase: &xdr.ScSpecUdtUnionCaseTupleV0{Name: name, Type: types},
	}
}

// declared are the types of the fixture contract.
func declared() []xdr.ScSpecEntry {
	return []xdr.ScSpecEntry{
		structure("Item", param{"name", tSymbol}, param{"amount", tI128}, param{"note", tOption(tString)}),
		structure("Ticket", param{"amount", tI128}, param{"color", tUDT("Color")}, param{"notes", tVec(tString)}),
		structure("Pair", param{"0", tU32}, param{"1", tAddress}),
		structure("Empty"),
		enum("Color", "Red", "Green"),
		errorEnum("Error", "NotFound", "AlreadyVoted"),
		union("Tree", voidCase("Leaf"), tupleCase("Node", tU32, tVec(tUDT("Tree")))),
	}
}

// echoes are types by the name of the function that takes and returns them.
func echoes() map[string]xdr.ScSpecTypeDef {
	return map[string]xdr.ScSpecTypeDef{
		"val": tVal, "bool": tBool, "void": tVoid, "error": tError,
		"u32": tU32, "i32": tI32, "u64": tU64, "i64": tI64, "timepoint": tTime, "duration": tSpan,
		"u128": tU128, "i128": tI128, "u256": tU256, "i256": tI256,
		"bytes": tBytes, "bytes4": tBytesN(4), "string": tString, "symbol": tSymbol,
		"address": tAddress, "muxed": tMuxed,
		"opt_u32": tOption(tU32), "opt_addr": tOption(tAddress), "res_i128": tResult(tI128, tUDT("Error")), "vec_vec": tVec(tVec(tBytesN(2))), "vec_i64": tVec(tI64), "tuple": tTuple(tBool, tString),
		"map_symbol": tMap(tSymbol, tU32), "map_u64": tMap(tU64, tBool), "map_i32": tMap(tI32, tBool),
		"map_string": tMap(tString, tVoid), "map_bool": tMap(tBool, tU32), "map_bytes": tMap(tBytes, tU32),
		"map_vec": tMap(tVec(tU32), tU32), "map_val": tMap(tVal, tU32), "map_addr": tMap(tAddress, tU32),
		"map_i128": tMap(tI128, tU32), "map_i256": tMap(tI256, tU32), "map_muxed": tMap(tMuxed, tU32),
		"map_map": tMap(tMap(tSymbol, tU32), tU32), "map_error": tMap(tError, tU32),
		"vec_res": tVec(tResult(tU32, tUDT("Error"))),
		"item":    tUDT("Item"), "ticket": tUDT("Ticket"), "pair": tUDT("Pair"), "empty": tUDT("Empty"), "color": tUDT("Color"),
		"fault": tUDT("Error"), "tree": tUDT("Tree"), "missing": tUDT("Nowhere"),
	}
}

func fixture(tb testing.TB) *contractspec.Spec {
	tb.Helper()
	entries := declared()
	for name, kind := range echoes() {
		entries = append(entries, function(name, &kind, param{"v", kind}))
	}
	result := tResult(tI128, tUDT("Error"))
	entries = append(entries,
		function("mint", nil, param{"to", tAddress}, param{"amount", tI128}),
		function("balance", &result, param{"of", tAddress}),
	)
	spec, err := contractspec.New(entries)
	if err != nil {
		tb.Fatal(err)
	}
	return spec
}
