package openapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/contractspec"
)

// typer turns the types of one contract into schemas of the JSON forms that
// package contractspec reads. Declared types become components, so that they
// may refer to themselves.
type typer struct {
	spec    *contractspec.Spec
	prefix  string
	schemas object
}

// prefixOf keeps the types of two contracts apart.
func prefixOf(contract string) string { return contract[:min(len(contract), 8)] + "." }

const (
	unsignedDigits = "^(0|[1-9][0-9]*)$"
	signedDigits   = "^(0|-?[1-9][0-9]*)$"
	accountOrC     = "^[GC][A-Z2-7]{55}$"
	muxed          = "^([GC][A-Z2-7]{55}|M[A-Z2-7]{68})$"
)

func integer(bits int, signed bool) object {
	pattern, number := unsignedDigits, object{"type": "integer", "minimum": 0}
	name := "u"
	if signed {
		pattern, number, name = signedDigits, object{"type": "integer"}, "i"
	}
	if bits == 32 {
		number["maximum"] = math.MaxUint32
		if signed {
			number["minimum"], number["maximum"] = math.MinInt32, math.MaxInt32
		}
	}
	return object{
		"title": name + strconv.Itoa(bits),
		"anyOf": []object{{"type": "string", "pattern": pattern, "maxLength": 79}, number},
	}
}

func text(title, pattern string) object {
	return object{"title": title, "type": "string", "pattern": pattern}
}

// plain are the types without parameters.
func plain(t xdr.ScSpecType) object {
	switch t {
	case xdr.ScSpecTypeScSpecTypeBool:
		return object{"type": "boolean"}
	case xdr.ScSpecTypeScSpecTypeVoid:
		return object{"type": "null"}
	case xdr.ScSpecTypeScSpecTypeU32:
		return integer(32, false)
	case xdr.ScSpecTypeScSpecTypeI32:
		return integer(32, true)
	case xdr.ScSpecTypeScSpecTypeU64, xdr.ScSpecTypeScSpecTypeTimepoint, xdr.ScSpecTypeScSpecTypeDuration:
		return integer(64, false)
	case xdr.ScSpecTypeScSpecTypeI64:
		return integer(64, true)
	case xdr.ScSpecTypeScSpecTypeU128:
		return integer(128, false)
	case xdr.ScSpecTypeScSpecTypeI128:
		return integer(128, true)
	case xdr.ScSpecTypeScSpecTypeU256:
		return integer(256, false)
	case xdr.ScSpecTypeScSpecTypeI256:
		return integer(256, true)
	case xdr.ScSpecTypeScSpecTypeBytes:
		return text("bytes, hexadecimal", "^([0-9a-fA-F]{2})*$")
	case xdr.ScSpecTypeScSpecTypeSymbol:
		return text("symbol", "^[a-zA-Z0-9_]{0,32}$")
	case xdr.ScSpecTypeScSpecTypeString:
		return object{"title": "string", "anyOf": []object{{"type": "string"}, only("hex", text("bytes", "^([0-9a-fA-F]{2})*$"))}}
	case xdr.ScSpecTypeScSpecTypeAddress:
		return text("address", accountOrC)
	case xdr.ScSpecTypeScSpecTypeMuxedAddress:
		return text("address, may be muxed", muxed)
	case xdr.ScSpecTypeScSpecTypeError:
		return object{"title": "Error", "type": "object", "required": []string{"type", "code"}, "properties": object{"type": object{"type": "string"}, "code": object{}}}
	case xdr.ScSpecTypeScSpecTypeVal:
		return object{"title": "any value: one member that names its type", "type": "object", "minProperties": 1, "maxProperties": 1}
	default: // has parameters
		return nil
	}
}

// only is an object with exactly one member.
func only(name string, schema object) object {
	return object{"type": "object", "properties": object{name: schema}, "required": []string{name}, "additionalProperties": false}
}

// schema describes the JSON of a value.
func (t *typer) schema(d xdr.ScSpecTypeDef) object {
	if s := plain(d.Type); s != nil {
		return s
	}
	switch {
	case d.Option != nil:
		return object{"anyOf": []object{t.schema(d.Option.ValueType), {"type": "null"}}}
	case d.Result != nil:
		return object{"oneOf": []object{only("ok", t.schema(d.Result.OkType)), only("error", t.schema(d.Result.ErrorType))}}
	case d.Vec != nil:
		return object{"type": "array", "items": t.schema(d.Vec.ElementType)}
	case d.Tuple != nil:
		return t.tuple(d.Tuple.ValueTypes)
	case d.Map != nil:
		pairs := object{"type": "array", "items": t.tuple([]xdr.ScSpecTypeDef{d.Map.KeyType, d.Map.ValueType})}
		if !textual(d.Map.KeyType.Type) {
			return pairs
		}
		return object{"anyOf": []object{{"type": "object", "additionalProperties": t.schema(d.Map.ValueType)}, pairs}}
	case d.BytesN != nil:
		return text(fmt.Sprintf("BytesN<%d>, hexadecimal", d.BytesN.N), fmt.Sprintf("^[0-9a-fA-F]{%d}$", 2*d.BytesN.N))
	case d.Udt != nil:
		return t.declared(d.Udt.Name)
	}
	return object{"description": "A type that this gateway does not know."}
}

// result describes what a function returns: the ok value of a Result bare.
func (t *typer) result(d xdr.ScSpecTypeDef) object {
	if d.Result != nil {
		return t.schema(d.Result.OkType)
	}
	return t.schema(d)
}

func (t *typer) tuple(types []xdr.ScSpecTypeDef) object {
	items := make([]object, len(types))
	for i := range types {
		items[i] = t.schema(types[i])
	}
	out := object{"type": "array", "minItems": len(types), "maxItems": len(types)}
	if len(items) > 0 { // an empty prefixItems is no schema
		out["prefixItems"] = items
	}
	return out
}

// textual reports whether a type is written as a string, so that it can name
// members of an object.
func textual(kind xdr.ScSpecType) bool {
	switch kind {
	case xdr.ScSpecTypeScSpecTypeBool, xdr.ScSpecTypeScSpecTypeVoid, xdr.ScSpecTypeScSpecTypeError, xdr.ScSpecTypeScSpecTypeVal:
		return false
	case xdr.ScSpecTypeScSpecTypeBytesN:
		return true
	default:
		return plain(kind) != nil
	}
}

// declared refers to a type of the contract, and describes it once.
func (t *typer) declared(name string) object {
	id := t.prefix + strings.Map(componentRune, name)
	ref := object{"$ref": "#/components/schemas/" + id}
	if _, known := t.schemas[id]; known {
		return ref
	}
	t.schemas[id] = object{} // so that it may refer to itself
	for _, e := range t.spec.Entries() {
		switch {
		case e.UdtStructV0 != nil && e.UdtStructV0.Name == name:
			t.schemas[id] = documented(t.structure(e.UdtStructV0), e.UdtStructV0.Doc)
		case e.UdtUnionV0 != nil && e.UdtUnionV0.Name == name:
			t.schemas[id] = documented(t.union(e.UdtUnionV0), e.UdtUnionV0.Doc)
		case e.UdtEnumV0 != nil && e.UdtEnumV0.Name == name:
			var cases []any
			for _, c := range e.UdtEnumV0.Cases {
				cases = append(cases, c.Name, uint32(c.Value))
			}
			t.schemas[id] = documented(object{"enum": cases}, e.UdtEnumV0.Doc)
		case e.UdtErrorEnumV0 != nil && e.UdtErrorEnumV0.Name == name:
			var cases []any
			for _, c := range e.UdtErrorEnumV0.Cases {
				cases = append(cases, c.Name, uint32(c.Value))
			}
			t.schemas[id] = documented(object{"enum": cases}, e.UdtErrorEnumV0.Doc)
		}
	}
	return ref
}

func documented(schema object, doc string) object {
	if doc != "" {
		schema["description"] = doc
	}
	return schema
}

// componentRune keeps the characters that the name of a component may have.
func componentRune(r rune) rune {
	if r < 0x80 && (r == '_' || r == '-' || r == '.' || '0' <= r && r <= '9' || 'a' <= r|0x20 && r|0x20 <= 'z') {
		return r
	}
	return '_'
}

// structure describes an object, or an array where the fields are numbered.
func (t *typer) structure(d *xdr.ScSpecUdtStructV0) object {
	numbered := len(d.Fields) > 0
	types := make([]xdr.ScSpecTypeDef, len(d.Fields))
	properties, required := object{}, []string{}
	for i, f := range d.Fields {
		numbered = numbered && f.Name == strconv.Itoa(i)
		types[i] = f.Type
		required = append(required, f.Name)
	}
	if numbered {
		return t.tuple(types)
	}
	for _, f := range d.Fields {
		properties[f.Name] = documented(t.schema(f.Type), f.Doc)
	}
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
}

func (t *typer) union(d *xdr.ScSpecUdtUnionV0) object {
	var cases []object
	for _, c := range d.Cases {
		switch {
		case c.VoidCase != nil:
			cases = append(cases, only("tag", object{"const": c.VoidCase.Name}))
		case c.TupleCase != nil:
			cases = append(cases, object{
				"type": "object", "required": []string{"tag", "values"}, "additionalProperties": false,
				"properties": object{"tag": object{"const": c.TupleCase.Name}, "values": t.tuple(c.TupleCase.Type)},
			})
		}
	}
	return object{"oneOf": cases}
}
