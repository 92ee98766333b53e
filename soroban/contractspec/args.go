package contractspec

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Args turns a JSON object of arguments by name into the values of a call to
// function, in the order of its parameters. The package documentation lists the
// JSON forms. A value that does not fit gives a [*ValueError] whose pointer is
// relative to raw; a name the contract does not have gives ErrUnknownFunction.
func (s *Spec) Args(function string, raw json.RawMessage) ([]xdr.ScVal, error) {
	f, err := s.Function(function)
	if err != nil {
		return nil, err
	}
	document, err := parseDocument(raw, nil)
	if err != nil {
		return nil, err
	}
	if document.kind != kindObject {
		return nil, (*path)(nil).fail("an object of arguments", "is "+string(document.kind))
	}
	return s.convertArgs(f, document)
}

// ArgsByName is Args for arguments that were taken apart already, each a JSON
// document of its own. The bounds hold for each argument alone. Parameters
// named in without are left out: the caller has other means to give them.
func (s *Spec) ArgsByName(function string, args map[string]json.RawMessage, without ...string) ([]xdr.ScVal, error) {
	f, err := s.Function(function)
	if err != nil {
		return nil, err
	}
	f.Inputs = slices.DeleteFunc(f.Inputs, func(p Param) bool { return slices.Contains(without, p.Name) })
	document := &node{kind: kindObject}
	for _, input := range f.Inputs {
		raw, ok := args[input.Name]
		if !ok {
			continue // convertArgs names it
		}
		value, err := parseDocument(raw, (*path)(nil).member(input.Name))
		if err != nil {
			return nil, err
		}
		document.members = append(document.members, member{input.Name, value})
	}
	for name := range args {
		if document.get(name) == nil {
			return nil, unknownMember(nil, name)
		}
	}
	return s.convertArgs(f, document)
}

func (s *Spec) convertArgs(f Function, document *node) ([]xdr.ScVal, error) {
	fields := make([]field, len(f.Inputs))
	for i, input := range f.Inputs {
		fields[i] = field{input.Name, input.Type}
	}
	return converter{s}.fields(document, fields, nil, 0)
}

// converter turns JSON into values. depth counts the types passed, which bounds
// the recursion where a type nests without nesting the JSON.
type converter struct{ spec *Spec }

func (c converter) value(n *node, t xdr.ScSpecTypeDef, at *path, depth int) (xdr.ScVal, error) {
	if depth++; depth > MaxJSONDepth {
		return xdr.ScVal{}, at.fail("", fmt.Sprintf("values nested deeper than %d", MaxJSONDepth))
	}
	if i, ok := integers[t.Type]; ok {
		v, err := parseInteger(n, i, TypeName(t), at)
		if err != nil {
			return xdr.ScVal{}, err
		}
		return integerVal(t.Type, v)
	}
	switch t.Type {
	case xdr.ScSpecTypeScSpecTypeVal:
		return c.untyped(n, at, depth)
	case xdr.ScSpecTypeScSpecTypeError:
		return parseError(n, at)
	case xdr.ScSpecTypeScSpecTypeOption:
		if n.kind == kindNull {
			return voidVal, nil
		}
		return c.value(n, t.Option.ValueType, at, depth)
	case xdr.ScSpecTypeScSpecTypeResult:
		return c.result(n, t, at, depth)
	case xdr.ScSpecTypeScSpecTypeVec:
		return c.vec(n, t, at, depth)
	case xdr.ScSpecTypeScSpecTypeMap:
		return c.mapping(n, t, at, depth)
	case xdr.ScSpecTypeScSpecTypeTuple:
		return c.tuple(n, t.Tuple.ValueTypes, TypeName(t), at, depth)
	case xdr.ScSpecTypeScSpecTypeUdt:
		return c.udt(n, t.Udt.Name, at, depth)
	default:
		return parseScalar(n, t, at)
	}
}

func (c converter) vec(n *node, t xdr.ScSpecTypeDef, at *path, depth int) (xdr.ScVal, error) {
	if n.kind != kindArray {
		return xdr.ScVal{}, at.fail(TypeName(t), "is "+string(n.kind))
	}
	vec := make(xdr.ScVec, len(n.items))
	for i, item := range n.items {
		v, err := c.value(item, t.Vec.ElementType, at.index(i), depth)
		if err != nil {
			return xdr.ScVal{}, err
		}
		vec[i] = v
	}
	return vecVal(vec), nil
}

func (c converter) tuple(n *node, types []xdr.ScSpecTypeDef, name string, at *path, depth int) (xdr.ScVal, error) {
	if n.kind != kindArray {
		return xdr.ScVal{}, at.fail(name, "is "+string(n.kind))
	}
	if len(n.items) != len(types) {
		return xdr.ScVal{}, at.fail(name, fmt.Sprintf("has %d elements instead of %d", len(n.items), len(types)))
	}
	vec := make(xdr.ScVec, len(types))
	for i, item := range n.items {
		v, err := c.value(item, types[i], at.index(i), depth)
		if err != nil {
			return xdr.ScVal{}, err
		}
		vec[i] = v
	}
	return vecVal(vec), nil
}

// result reads {"ok": …} or {"error": …}.
func (c converter) result(n *node, t xdr.ScSpecTypeDef, at *path, depth int) (xdr.ScVal, error) {
	if n.kind == kindObject && len(n.members) == 1 {
		switch m := n.members[0]; m.name {
		case memberOK:
			return c.value(m.value, t.Result.OkType, at.member(m.name), depth)
		case memberError:
			return c.value(m.value, t.Result.ErrorType, at.member(m.name), depth)
		}
	}
	return xdr.ScVal{}, at.fail(TypeName(t), `is not an object with the one member "ok" or "error"`)
}

// field is a member that an object must have.
type field struct {
	name string
	kind xdr.ScSpecTypeDef
}

// fields reads an object that has exactly the given members.
func (c converter) fields(n *node, fields []field, at *path, depth int) ([]xdr.ScVal, error) {
	byName := make(map[string]*node, len(n.members))
	for _, m := range n.members {
		byName[m.name] = m.value
	}
	values := make([]xdr.ScVal, len(fields))
	for i, f := range fields {
		value, ok := byName[f.name]
		if !ok {
			return nil, at.member(f.name).fail(TypeName(f.kind), "is missing")
		}
		v, err := c.value(value, f.kind, at.member(f.name), depth)
		if err != nil {
			return nil, err
		}
		values[i] = v
		delete(byName, f.name)
	}
	for _, m := range n.members {
		if _, left := byName[m.name]; left {
			return nil, unknownMember(at, m.name)
		}
	}
	return values, nil
}

func unknownMember(at *path, name string) error {
	return at.member(name).fail("", "is not a member the contract declares here")
}
