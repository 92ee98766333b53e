package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"
)

type param struct {
	name string
	typ  xdr.ScSpecTypeDef
}

func prim(t xdr.ScSpecType) xdr.ScSpecTypeDef { return xdr.ScSpecTypeDef{Type: t} }

var (
	tAddress = prim(xdr.ScSpecTypeScSpecTypeAddress)
	tBool    = prim(xdr.ScSpecTypeScSpecTypeBool)
	tI128    = prim(xdr.ScSpecTypeScSpecTypeI128)
	tString  = prim(xdr.ScSpecTypeScSpecTypeString)
	tU32     = prim(xdr.ScSpecTypeScSpecTypeU32)
	tU64     = prim(xdr.ScSpecTypeScSpecTypeU64)
	tHash    = xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeBytesN, BytesN: &xdr.ScSpecTypeBytesN{N: 32}}
)

func udt(name string) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeUdt, Udt: &xdr.ScSpecTypeUdt{Name: name}}
}

func option(t xdr.ScSpecTypeDef) xdr.ScSpecTypeDef {
	return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeOption, Option: &xdr.ScSpecTypeOption{ValueType: t}}
}

// fn describes a function; out is nil if it returns nothing.
func fn(doc, name string, out *xdr.ScSpecTypeDef, in ...param) xdr.ScSpecEntry {
	f := &xdr.ScSpecFunctionV0{Doc: doc, Name: xdr.ScSymbol(name)}
	for _, p := range in {
		f.Inputs = append(f.Inputs, xdr.ScSpecFunctionInputV0{Name: p.name, Type: p.typ})
	}
	if out != nil {
		f.Outputs = []xdr.ScSpecTypeDef{*out}
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryFunctionV0, FunctionV0: f}
}

// structure describes a struct type; fields must be in the order of their names.
func structure(doc, name string, fields ...param) xdr.ScSpecEntry {
	s := &xdr.ScSpecUdtStructV0{Doc: doc, Name: name}
	for _, f := range fields {
		s.Fields = append(s.Fields, xdr.ScSpecUdtStructFieldV0{Name: f.name, Type: f.typ})
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryUdtStructV0, UdtStructV0: s}
}

type failure struct {
	code uint32
	name string
	doc  string
}

func errorEnum(cases ...failure) xdr.ScSpecEntry {
	e := &xdr.ScSpecUdtErrorEnumV0{Name: "Error"}
	for _, c := range cases {
		e.Cases = append(e.Cases, xdr.ScSpecUdtErrorEnumCaseV0{Doc: c.doc, Name: c.name, Value: xdr.Uint32(c.code)})
	}
	return xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryUdtErrorEnumV0, UdtErrorEnumV0: e}
}
