package contractspec

import (
	"fmt"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// keyedByText reports whether the keys of a map are written as strings, so that
// a JSON object can hold it.
func keyedByText(t xdr.ScSpecTypeDef) bool {
	if _, ok := integers[t.Type]; ok {
		return true
	}
	switch t.Type {
	case xdr.ScSpecTypeScSpecTypeSymbol, xdr.ScSpecTypeScSpecTypeString,
		xdr.ScSpecTypeScSpecTypeAddress, xdr.ScSpecTypeScSpecTypeMuxedAddress,
		xdr.ScSpecTypeScSpecTypeBytes, xdr.ScSpecTypeScSpecTypeBytesN:
		return true
	default:
		return false
	}
}

// mapping reads a map from an object or from an array of pairs.
func (c converter) mapping(n *node, t xdr.ScSpecTypeDef, at *path, depth int) (xdr.ScVal, error) {
	keyType, valueType := t.Map.KeyType, t.Map.ValueType
	var entries []located
	switch {
	case n.kind == kindObject && keyedByText(keyType):
		for _, m := range n.members {
			here := at.member(m.name)
			key, err := c.value(&node{kind: kindString, text: m.name}, keyType, here, depth)
			if err != nil {
				return xdr.ScVal{}, err
			}
			value, err := c.value(m.value, valueType, here, depth)
			if err != nil {
				return xdr.ScVal{}, err
			}
			entries = append(entries, located{xdr.ScMapEntry{Key: key, Val: value}, here})
		}
	case n.kind == kindArray:
		for i, item := range n.items {
			here := at.index(i)
			pair, err := c.tuple(item, []xdr.ScSpecTypeDef{keyType, valueType}, "[key, value] of "+TypeName(t), here, depth)
			if err != nil {
				return xdr.ScVal{}, err
			}
			entries = append(entries, located{xdr.ScMapEntry{Key: (**pair.Vec)[0], Val: (**pair.Vec)[1]}, here})
		}
	default:
		return xdr.ScVal{}, at.fail(TypeName(t), "is "+string(n.kind))
	}
	return sortedMap(entries, TypeName(t))
}

// located is an entry and where it came from.
type located struct {
	entry xdr.ScMapEntry
	at    *path
}

// sortedMap orders the entries as the host demands and refuses equal keys.
func sortedMap(entries []located, expected string) (xdr.ScVal, error) {
	slices.SortStableFunc(entries, func(a, b located) int { return compare(a.entry.Key, b.entry.Key) })
	m := make(xdr.ScMap, len(entries))
	for i, e := range entries {
		if i > 0 && compare(m[i-1].Key, e.entry.Key) == 0 {
			return xdr.ScVal{}, e.at.fail(expected, "has the same key as another entry")
		}
		m[i] = e.entry
	}
	return xdr.ScVal{Type: xdr.ScValTypeScvMap, Map: new(&m)}, nil
}

// structFields returns a struct's fields in the order of their values, and
// whether it is a tuple struct: its fields are then named 0, 1, 2 and so on.
func structFields(d *xdr.ScSpecUdtStructV0, at *path) (fields []field, tuple bool, err error) {
	fields = make([]field, len(d.Fields))
	for i, f := range d.Fields {
		fields[i] = field{f.Name, f.Type}
	}
	if len(fields) == 0 || !isDigits(fields[0].name) {
		for _, f := range fields {
			if !validSymbol(f.name) || isDigits(f.name) {
				return nil, false, at.fail(d.Name, "the contract declares a struct whose fields cannot be encoded")
			}
		}
		slices.SortFunc(fields, func(a, b field) int { return compare(symbolVal(a.name), symbolVal(b.name)) })
		return fields, false, nil
	}
	ordered := make([]field, len(fields))
	for i := range ordered {
		found := slices.IndexFunc(fields, func(f field) bool { return f.name == fmt.Sprint(i) })
		if found < 0 {
			return nil, false, at.fail(d.Name, "the contract declares a tuple struct with a gap")
		}
		ordered[i] = fields[found]
	}
	return ordered, true, nil
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
