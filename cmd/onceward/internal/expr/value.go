package expr

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/cel-go/common/types"
	"github.com/google/cel-go/common/types/ref"
	"github.com/google/cel-go/common/types/traits"
)

const maxDepth = 64 // of a body, and of a result

// digits is an integer that CEL's own cannot hold. It can be passed on,
// compared for equality and turned into text.
type digits string

var digitsType = types.NewOpaqueType("onceward.integer")

// ConvertToNative implements ref.Val.
func (d digits) ConvertToNative(t reflect.Type) (any, error) {
	if t.Kind() == reflect.String {
		return string(d), nil
	}
	return nil, fmt.Errorf("an integer of %d digits is not a %v", len(d), t)
}

// ConvertToType implements ref.Val.
func (d digits) ConvertToType(t ref.Type) ref.Val {
	switch t.TypeName() {
	case types.StringType.TypeName():
		return types.String(d)
	case digitsType.TypeName():
		return d
	}
	return types.NewErr("an integer beyond 64 bits cannot become %s", t.TypeName())
}

// Equal implements ref.Val.
func (d digits) Equal(other ref.Val) ref.Val { return types.Bool(other == ref.Val(d)) }

// Type implements ref.Val.
func (d digits) Type() ref.Type { return digitsType }

// Value implements ref.Val.
func (d digits) Value() any { return string(d) }

// ParseBody reads a JSON body for the variable body. It refuses what two
// readers could understand differently.
func ParseBody(body []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	v, err := parseValue(dec, maxDepth)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more after the JSON value")
	}
	return v, nil
}

func parseValue(dec *json.Decoder, depth int) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, fmt.Errorf("the body is not JSON: %w", err)
	}
	switch t := t.(type) {
	case json.Number:
		return parseNumber(t), nil
	case json.Delim:
		if depth == 0 {
			return nil, fmt.Errorf("the body is nested deeper than %d", maxDepth)
		}
		if t == '[' {
			return parseList(dec, depth-1)
		}
		return parseObject(dec, depth-1)
	case nil:
		return types.NullValue, nil
	default:
		return t, nil
	}
}

func parseNumber(n json.Number) any {
	s := n.String()
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	if !strings.ContainsAny(s, ".eE") {
		return digits(s)
	}
	f, err := n.Float64()
	if err != nil {
		return digits(s)
	}
	return f
}

func parseList(dec *json.Decoder, depth int) (any, error) {
	out := []any{}
	for dec.More() {
		v, err := parseValue(dec, depth)
		if err != nil {
			return nil, err
		}
		out = append(out, v)
	}
	_, err := dec.Token()
	return out, err
}

func parseObject(dec *json.Decoder, depth int) (any, error) {
	out := map[string]any{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("the body is not JSON: %w", err)
		}
		name, _ := t.(string) // the decoder admits nothing else here
		if _, dup := out[name]; dup {
			return nil, fmt.Errorf("the member %.64q is given twice", name)
		}
		if out[name], err = parseValue(dec, depth); err != nil {
			return nil, err
		}
	}
	_, err := dec.Token()
	return out, err
}

// ErrFraction means that a value has a fraction, which has no exact form.
var ErrFraction = errors.New("is a number with a fraction; give a text or an integer")

// Encode writes a result as JSON, exactly: integers with all their digits,
// bytes as hexadecimal, times as Unix seconds.
func Encode(v ref.Val) (json.RawMessage, error) { return encode(v, maxDepth) }

func encode(v ref.Val, depth int) (json.RawMessage, error) {
	if depth == 0 {
		return nil, fmt.Errorf("is nested deeper than %d", maxDepth)
	}
	switch v := v.(type) {
	case types.Bool, types.Int, types.Uint, types.String:
		return json.Marshal(v.Value())
	case types.Null:
		return json.RawMessage("null"), nil
	case types.Bytes:
		return json.Marshal(hex.EncodeToString(v))
	case types.Timestamp:
		return json.RawMessage(strconv.FormatInt(v.Unix(), 10)), nil
	case types.Duration:
		return json.RawMessage(strconv.FormatInt(int64(v.Seconds()), 10)), nil
	case digits:
		return json.RawMessage(v), nil
	case types.Double:
		return nil, ErrFraction
	case traits.Lister:
		return encodeList(v, depth)
	case traits.Mapper:
		return encodeMap(v, depth)
	}
	return nil, fmt.Errorf("gives %s, which is no JSON value", v.Type().TypeName())
}

func encodeList(l traits.Lister, depth int) (json.RawMessage, error) {
	out := []byte{'['}
	for it := l.Iterator(); it.HasNext() == types.True; {
		item, err := encode(it.Next(), depth-1)
		if err != nil {
			return nil, err
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(out, item...)
	}
	return append(out, ']'), nil
}

func encodeMap(m traits.Mapper, depth int) (json.RawMessage, error) {
	members := make(map[string]json.RawMessage)
	for it := m.Iterator(); it.HasNext() == types.True; {
		key := it.Next()
		name, ok := key.ConvertToType(types.StringType).(types.String)
		if !ok {
			return nil, errors.New("has a key that is no text")
		}
		value, err := encode(m.Get(key), depth-1)
		if err != nil {
			return nil, err
		}
		members[string(name)] = value
	}
	return json.Marshal(members)
}

// Part spells a value as a part of a natural key: a text by itself, anything
// else as JSON.
func Part(v ref.Val) (string, error) {
	if s, ok := v.(types.String); ok {
		return string(s), nil
	}
	out, err := Encode(v)
	return string(out), err
}

// NewRequest makes the variable request. params are the names of the
// wildcards in the route's pattern.
func NewRequest(r *http.Request, params []string) *Request {
	out := &Request{
		Method: r.Method, Path: r.URL.Path, Host: r.Host,
		Headers: make(map[string]string, len(r.Header)), Query: make(map[string]string), Params: make(map[string]string, len(params)),
	}
	for name, values := range r.Header {
		out.Headers[strings.ToLower(name)] = strings.Join(values, ", ")
	}
	for name, values := range r.URL.Query() {
		out.Query[name] = values[0]
	}
	for _, p := range params {
		out.Params[p] = r.PathValue(p)
	}
	return out
}

// Params lists the wildcards of a ServeMux pattern.
func Params(pattern string) []string {
	var out []string
	for segment := range strings.SplitSeq(pattern, "/") {
		if name, ok := strings.CutPrefix(segment, "{"); ok && name != "$}" {
			name = strings.TrimSuffix(strings.TrimSuffix(name, "}"), "...")
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
