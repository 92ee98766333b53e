package contractspec

import (
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// udt writes a value of a type that the contract declares.
func (w *formatter) udt(v xdr.ScVal, name string, at *path, depth int) (any, error) {
	entry, err := w.spec.udt(name, at)
	if err != nil {
		return nil, err
	}
	switch {
	case entry.UdtStructV0 != nil:
		return w.structure(v, entry.UdtStructV0, at, depth)
	case entry.UdtUnionV0 != nil:
		return w.union(v, entry.UdtUnionV0, at, depth)
	case entry.UdtEnumV0 != nil:
		if v.Type != xdr.ScValTypeScvU32 || v.U32 == nil {
			return nil, mismatch(v, name, at)
		}
		return caseName(uint32(*v.U32), enumCases(entry.UdtEnumV0), name, at)
	default: // index admits no other entry
		if v.Type != xdr.ScValTypeScvError || v.Error == nil || v.Error.ContractCode == nil ||
			v.Error.Type != xdr.ScErrorTypeSceContract {
			return nil, mismatch(v, name, at)
		}
		return caseName(uint32(*v.Error.ContractCode), errorCases(entry.UdtErrorEnumV0), name, at)
	}
}

func caseName(value uint32, cases []enumCase, expected string, at *path) (any, error) {
	for _, c := range cases {
		if c.value == value {
			return c.name, nil
		}
	}
	return nil, at.fail(expected, fmt.Sprintf("is none of the enum's %d cases", len(cases)))
}

func (w *formatter) structure(v xdr.ScVal, d *xdr.ScSpecUdtStructV0, at *path, depth int) (any, error) {
	fields, tuple, err := structFields(d, at)
	if err != nil {
		return nil, err
	}
	if tuple {
		types := make([]xdr.ScSpecTypeDef, len(fields))
		for i, f := range fields {
			types[i] = f.kind
		}
		return w.tuple(v, types, d.Name, at, depth)
	}
	entries, ok := mapOfVal(v)
	if !ok || len(entries) != len(fields) {
		return nil, mismatch(v, d.Name, at)
	}
	out := make(map[string]any, len(fields))
	for i, f := range fields { // both in the order of their names
		key := entries[i].Key
		if key.Type != xdr.ScValTypeScvSymbol || key.Sym == nil || string(*key.Sym) != f.name {
			return nil, at.member(f.name).fail(TypeName(f.kind), "is not where the struct has it")
		}
		if out[f.name], err = w.value(entries[i].Val, f.kind, at.member(f.name), depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (w *formatter) union(v xdr.ScVal, d *xdr.ScSpecUdtUnionV0, at *path, depth int) (any, error) {
	items, ok := vecOfVal(v)
	if !ok || len(items) == 0 || items[0].Type != xdr.ScValTypeScvSymbol || items[0].Sym == nil {
		return nil, mismatch(v, d.Name, at)
	}
	chosen, ok := findUnionCase(d, string(*items[0].Sym))
	if !ok {
		return nil, at.member(memberTag).fail(d.Name, "is not a case of the union")
	}
	rest := items[1:]
	if chosen.void {
		if len(rest) > 0 {
			return nil, mismatch(v, d.Name, at)
		}
		return map[string]any{memberTag: chosen.name}, nil
	}
	values, err := w.tuple(vecVal(rest), chosen.types, "the values of "+d.Name, at.member(memberValues), depth)
	if err != nil {
		return nil, err
	}
	return map[string]any{memberTag: chosen.name, memberValues: values}, nil
}
