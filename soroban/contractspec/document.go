package contractspec

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

const (
	// MaxJSONBytes bounds a JSON document of arguments. A transaction holds at
	// most 128 KiB, twice that as hexadecimal.
	MaxJSONBytes = 512 << 10
	// MaxJSONDepth bounds the nesting of arrays and objects in JSON, and of the
	// values that Result accepts.
	MaxJSONDepth = 64
	// MaxJSONValues bounds the number of values in a JSON document, and of the
	// values inside a value that Result accepts.
	MaxJSONValues = 1 << 15
)

// kind is the type of a JSON value, spelled as errors spell it.
type kind string

const (
	kindNull   kind = "null"
	kindBool   kind = "a boolean"
	kindNumber kind = "a number"
	kindString kind = "a string"
	kindArray  kind = "an array"
	kindObject kind = "an object"
)

// node is a JSON value that remembers what encoding/json forgets: the exact
// digits of numbers and the order of members.
type node struct {
	kind    kind
	truth   bool
	text    string // of a string, or the digits of a number
	items   []*node
	members []member
}

type member struct {
	name  string
	value *node
}

// get returns the member called name, or nil.
func (n *node) get(name string) *node {
	for _, m := range n.members {
		if m.name == name {
			return m.value
		}
	}
	return nil
}

// parseDocument reads one JSON document, strictly and within the Max bounds.
func parseDocument(raw []byte, at *path) (*node, error) {
	if len(raw) > MaxJSONBytes {
		return nil, at.fail("", fmt.Sprintf("%d bytes of JSON, the limit is %d", len(raw), MaxJSONBytes))
	}
	if !json.Valid(raw) {
		return nil, at.fail("", "not one well-formed JSON document")
	}
	// encoding/json would replace what is not Unicode, and the replacement would go on chain.
	if !utf8.Valid(raw) || hasLoneSurrogate(raw) {
		return nil, at.fail("", "the JSON holds text that is not valid Unicode")
	}
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	r := reader{decoder: decoder, budget: MaxJSONValues}
	return r.value(at, MaxJSONDepth)
}

type reader struct {
	decoder *json.Decoder
	budget  int // values that may still be read
}

func (r *reader) value(at *path, depth int) (*node, error) {
	token, err := r.decoder.Token()
	if err != nil {
		return nil, at.fail("", "not one well-formed JSON document")
	}
	if r.budget--; r.budget < 0 {
		return nil, at.fail("", fmt.Sprintf("more than %d JSON values", MaxJSONValues))
	}
	switch v := token.(type) {
	case bool:
		return &node{kind: kindBool, truth: v}, nil
	case json.Number:
		return &node{kind: kindNumber, text: v.String()}, nil
	case string:
		return &node{kind: kindString, text: v}, nil
	case json.Delim:
		if depth == 0 {
			return nil, at.fail("", fmt.Sprintf("JSON nested deeper than %d", MaxJSONDepth))
		}
		if v == '[' {
			return r.array(at, depth-1)
		}
		return r.object(at, depth-1)
	}
	return &node{kind: kindNull}, nil
}

func (r *reader) array(at *path, depth int) (*node, error) {
	n := &node{kind: kindArray}
	for r.decoder.More() {
		item, err := r.value(at.index(len(n.items)), depth)
		if err != nil {
			return nil, err
		}
		n.items = append(n.items, item)
	}
	_, err := r.decoder.Token() // the closing bracket
	return n, err
}

func (r *reader) object(at *path, depth int) (*node, error) {
	n := &node{kind: kindObject}
	seen := map[string]bool{}
	for r.decoder.More() {
		token, err := r.decoder.Token()
		if err != nil {
			return nil, err
		}
		name, _ := token.(string)
		if seen[name] {
			return nil, at.member(name).fail("", "the member appears twice")
		}
		seen[name] = true
		value, err := r.value(at.member(name), depth)
		if err != nil {
			return nil, err
		}
		n.members = append(n.members, member{name, value})
	}
	_, err := r.decoder.Token() // the closing brace
	return n, err
}

// hasLoneSurrogate finds \uD800 to \uDFFF escapes that are not a pair. The JSON
// is valid, so backslashes appear in strings only and are never the last byte.
func hasLoneSurrogate(valid []byte) bool {
	for i := 0; i < len(valid); i++ {
		if valid[i] != '\\' {
			continue
		}
		first, ok := escapedUnit(valid[i:])
		i++
		if !ok || !utf16.IsSurrogate(first) {
			continue
		}
		second, ok := escapedUnit(valid[i+5:])
		if !ok || utf16.DecodeRune(first, second) == utf8.RuneError {
			return true
		}
		i += 10
	}
	return false
}

// escapedUnit reads a leading \uXXXX.
func escapedUnit(b []byte) (rune, bool) {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	return rune(unit), err == nil
}
