package contractspec

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Result turns what function returned into JSON by its declared type; the
// package documentation lists the forms. Where the function declares a Result,
// its ok value is written bare, because a call that returns an error fails and
// has no result; an error is written as {"error": …} all the same.
//
// A value that is not of the declared type gives a [*ValueError]; [JSON] can
// still write it.
func (s *Spec) Result(function string, v xdr.ScVal) (json.RawMessage, error) {
	f, err := s.Function(function)
	if err != nil {
		return nil, err
	}
	declared := xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeVoid}
	if f.Output != nil {
		declared = *f.Output
	}
	if declared.Type == xdr.ScSpecTypeScSpecTypeResult && v.Type != xdr.ScValTypeScvError {
		declared = declared.Result.OkType
	}
	w := formatter{spec: s, budget: MaxJSONValues}
	return marshal(w.value(v, declared, nil, 0))
}

// JSON writes a value as a Val, each part with its type, without asking any
// contract: {"vec": [{"u32": 5}]}.
func JSON(v xdr.ScVal) (json.RawMessage, error) {
	w := formatter{spec: &Spec{}, budget: MaxJSONValues}
	return marshal(w.untyped(v, nil, 0))
}

func marshal(v any, err error) (json.RawMessage, error) {
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		return nil, fmt.Errorf("contractspec: write result: %w", err)
	}
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'}), nil
}

// formatter turns values into what encoding/json marshals to their JSON form.
// The values come from a server, so it trusts no union to be whole.
type formatter struct {
	spec   *Spec
	budget int // values that may still be written
}

func (w *formatter) value(v xdr.ScVal, t xdr.ScSpecTypeDef, at *path, depth int) (any, error) {
	if depth++; depth > MaxJSONDepth {
		return nil, at.fail("", fmt.Sprintf("values nested deeper than %d", MaxJSONDepth))
	}
	if w.budget--; w.budget < 0 {
		return nil, at.fail("", fmt.Sprintf("more than %d values", MaxJSONValues))
	}
	if _, ok := integers[t.Type]; ok {
		return w.integer(v, t, at)
	}
	switch t.Type {
	case xdr.ScSpecTypeScSpecTypeVal:
		return w.untyped(v, at, depth)
	case xdr.ScSpecTypeScSpecTypeOption:
		if v.Type == xdr.ScValTypeScvVoid {
			return nil, nil // JSON null
		}
		return w.value(v, t.Option.ValueType, at, depth)
	case xdr.ScSpecTypeScSpecTypeResult:
		return w.result(v, t, at, depth)
	case xdr.ScSpecTypeScSpecTypeVec:
		return w.vec(v, t, at, depth)
	case xdr.ScSpecTypeScSpecTypeMap:
		return w.mapping(v, t, at, depth)
	case xdr.ScSpecTypeScSpecTypeTuple:
		return w.tuple(v, t.Tuple.ValueTypes, TypeName(t), at, depth)
	case xdr.ScSpecTypeScSpecTypeUdt:
		return w.udt(v, t.Udt.Name, at, depth)
	default:
		return formatScalar(v, t, at)
	}
}

func (w *formatter) integer(v xdr.ScVal, t xdr.ScSpecTypeDef, at *path) (any, error) {
	digits, ok := integerOf(v, t.Type)
	if !ok {
		return nil, mismatch(v, TypeName(t), at)
	}
	if integers[t.Type].bits == 32 {
		return json.Number(digits), nil
	}
	return digits, nil
}

func (w *formatter) result(v xdr.ScVal, t xdr.ScSpecTypeDef, at *path, depth int) (any, error) {
	if v.Type != xdr.ScValTypeScvError {
		inner, err := w.value(v, t.Result.OkType, at.member(memberOK), depth)
		return map[string]any{memberOK: inner}, err
	}
	inner, err := w.value(v, t.Result.ErrorType, at.member(memberError), depth)
	if err != nil {
		// The host's own errors are outside what the contract declares.
		whole, ok := formatError(v.Error)
		if !ok {
			return nil, err
		}
		inner = whole
	}
	return map[string]any{memberError: inner}, nil
}

func (w *formatter) vec(v xdr.ScVal, t xdr.ScSpecTypeDef, at *path, depth int) (any, error) {
	items, ok := vecOfVal(v)
	if !ok {
		return nil, mismatch(v, TypeName(t), at)
	}
	out := make([]any, len(items))
	for i, item := range items {
		inner, err := w.value(item, t.Vec.ElementType, at.index(i), depth)
		if err != nil {
			return nil, err
		}
		out[i] = inner
	}
	return out, nil
}

func (w *formatter) tuple(v xdr.ScVal, types []xdr.ScSpecTypeDef, name string, at *path, depth int) ([]any, error) {
	items, ok := vecOfVal(v)
	if !ok || len(items) != len(types) {
		return nil, mismatch(v, name, at)
	}
	out := make([]any, len(items))
	for i, item := range items {
		inner, err := w.value(item, types[i], at.index(i), depth)
		if err != nil {
			return nil, err
		}
		out[i] = inner
	}
	return out, nil
}

func (w *formatter) mapping(v xdr.ScVal, t xdr.ScSpecTypeDef, at *path, depth int) (any, error) {
	entries, ok := mapOfVal(v)
	if !ok {
		return nil, mismatch(v, TypeName(t), at)
	}
	object := make(map[string]any, len(entries))
	pairs := make([]any, len(entries))
	allText := keyedByText(t.Map.KeyType)
	for i, entry := range entries {
		here := at.index(i)
		key, err := w.value(entry.Key, t.Map.KeyType, here.index(0), depth)
		if err != nil {
			return nil, err
		}
		value, err := w.value(entry.Val, t.Map.ValueType, here.index(1), depth)
		if err != nil {
			return nil, err
		}
		pairs[i] = []any{key, value}
		switch k := key.(type) {
		case string:
			object[k] = value
		case json.Number:
			object[k.String()] = value
		default: // a string that is not UTF-8
			allText = false
		}
	}
	if !allText {
		return pairs, nil
	}
	if len(object) != len(entries) {
		return nil, at.fail(TypeName(t), "is a map in which a key appears twice")
	}
	return object, nil
}

// vecOfVal returns the elements of a vector.
func vecOfVal(v xdr.ScVal) (xdr.ScVec, bool) {
	if v.Type != xdr.ScValTypeScvVec || v.Vec == nil || *v.Vec == nil {
		return nil, false
	}
	return **v.Vec, true
}

// mapOfVal returns the entries of a map.
func mapOfVal(v xdr.ScVal) (xdr.ScMap, bool) {
	if v.Type != xdr.ScValTypeScvMap || v.Map == nil || *v.Map == nil {
		return nil, false
	}
	return **v.Map, true
}
