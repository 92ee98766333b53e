package contractspec

import (
	"fmt"
	"math/big"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// udt reads a value of a type that the contract declares.
func (c converter) udt(n *node, name string, at *path, depth int) (xdr.ScVal, error) {
	entry, err := c.spec.udt(name, at)
	if err != nil {
		return xdr.ScVal{}, err
	}
	switch {
	case entry.UdtStructV0 != nil:
		return c.structure(n, entry.UdtStructV0, at, depth)
	case entry.UdtUnionV0 != nil:
		return c.union(n, entry.UdtUnionV0, at, depth)
	case entry.UdtEnumV0 != nil:
		value, err := enumValue(n, enumCases(entry.UdtEnumV0), name, at)
		return xdr.ScVal{Type: xdr.ScValTypeScvU32, U32: new(xdr.Uint32(value))}, err
	default: // index admits no other entry
		value, err := enumValue(n, errorCases(entry.UdtErrorEnumV0), name, at)
		return contractErrorVal(new(xdr.Uint32(value))), err
	}
}

func (c converter) structure(n *node, d *xdr.ScSpecUdtStructV0, at *path, depth int) (xdr.ScVal, error) {
	fields, tuple, err := structFields(d, at)
	if err != nil {
		return xdr.ScVal{}, err
	}
	if tuple {
		types := make([]xdr.ScSpecTypeDef, len(fields))
		for i, f := range fields {
			types[i] = f.kind
		}
		return c.tuple(n, types, d.Name, at, depth)
	}
	if n.kind != kindObject {
		return xdr.ScVal{}, at.fail(d.Name, "is "+string(n.kind))
	}
	values, err := c.fields(n, fields, at, depth)
	if err != nil {
		return xdr.ScVal{}, err
	}
	entries := make([]located, len(fields))
	for i, f := range fields {
		entries[i] = located{xdr.ScMapEntry{Key: symbolVal(f.name), Val: values[i]}, at.member(f.name)}
	}
	return sortedMap(entries, d.Name)
}

// unionCase is a case of either kind.
type unionCase struct {
	name  string
	void  bool
	types []xdr.ScSpecTypeDef
}

func findUnionCase(d *xdr.ScSpecUdtUnionV0, name string) (unionCase, bool) {
	for _, c := range d.Cases {
		switch {
		case c.VoidCase != nil && c.VoidCase.Name == name:
			return unionCase{name: name, void: true}, true
		case c.TupleCase != nil && c.TupleCase.Name == name:
			return unionCase{name: name, types: c.TupleCase.Type}, true
		}
	}
	return unionCase{}, false
}

func (c converter) union(n *node, d *xdr.ScSpecUdtUnionV0, at *path, depth int) (xdr.ScVal, error) {
	tag := n.get(memberTag)
	if n.kind != kindObject || tag == nil || tag.kind != kindString {
		return xdr.ScVal{}, at.fail(d.Name, `is not an object with the member "tag", a string`)
	}
	chosen, ok := findUnionCase(d, tag.text)
	if !ok || !validSymbol(chosen.name) {
		return xdr.ScVal{}, at.member(memberTag).fail(d.Name, "is not a case of the union")
	}
	vec := xdr.ScVec{symbolVal(chosen.name)}
	for _, m := range n.members {
		if m.name != memberTag && (m.name != memberValues || chosen.void) {
			return xdr.ScVal{}, unknownMember(at, m.name)
		}
	}
	if chosen.void {
		return vecVal(vec), nil
	}
	values := n.get(memberValues)
	if values == nil {
		return xdr.ScVal{}, at.member(memberValues).fail(d.Name, "is missing")
	}
	tuple, err := c.tuple(values, chosen.types, "the values of "+d.Name, at.member(memberValues), depth)
	if err != nil {
		return xdr.ScVal{}, err
	}
	return vecVal(append(vec, **tuple.Vec...)), nil
}

// enumCase is a case of an enum or of an error enum.
type enumCase struct {
	name  string
	value uint32
}

func enumCases(d *xdr.ScSpecUdtEnumV0) []enumCase {
	cases := make([]enumCase, len(d.Cases))
	for i, c := range d.Cases {
		cases[i] = enumCase{c.Name, uint32(c.Value)}
	}
	return cases
}

func errorCases(d *xdr.ScSpecUdtErrorEnumV0) []enumCase {
	cases := make([]enumCase, len(d.Cases))
	for i, c := range d.Cases {
		cases[i] = enumCase{c.Name, uint32(c.Value)}
	}
	return cases
}

// enumValue reads a case by its name, a string, or by its value, a number.
func enumValue(n *node, cases []enumCase, expected string, at *path) (uint32, error) {
	switch n.kind {
	case kindString:
		for _, c := range cases {
			if c.name == n.text {
				return c.value, nil
			}
		}
	case kindNumber:
		v, err := parseInteger(n, integers[xdr.ScSpecTypeScSpecTypeU32], expected, at)
		if err != nil {
			return 0, err
		}
		for _, c := range cases {
			if v.Cmp(big.NewInt(int64(c.value))) == 0 {
				return c.value, nil
			}
		}
	default:
		return 0, at.fail(expected, "is "+string(n.kind))
	}
	return 0, at.fail(expected, fmt.Sprintf("is none of the enum's %d cases", len(cases)))
}
