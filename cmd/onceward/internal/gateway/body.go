package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/onceward/onceward/soroban/contractspec"
)

// fieldError says what is wrong with one member of the body.
type fieldError struct {
	Pointer  string `json:"pointer"`
	Expected string `json:"expected,omitempty"`
	Detail   string `json:"detail"`
}

// Error implements error.
func (e *fieldError) Error() string {
	if e.Pointer == "" {
		return e.Detail
	}
	return e.Pointer + ": " + e.Detail
}

// members takes a JSON object apart, leaving each value as it was written. It
// refuses what two readers could understand differently: duplicate members
// and trailing data.
func members(body []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(body) {
		return nil, &fieldError{Detail: "the body is not UTF-8"}
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	first, err := dec.Token()
	if err != nil {
		return nil, malformed(err)
	}
	if first != json.Delim('{') {
		return nil, &fieldError{Expected: "object", Detail: "the body must be a JSON object"}
	}
	out := make(map[string]json.RawMessage)
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, malformed(err)
		}
		key, _ := name.(string) // the decoder admits nothing else here
		if _, dup := out[key]; dup {
			return nil, &fieldError{Pointer: pointer(key), Detail: "is given twice"}
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, malformed(err)
		}
		out[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, malformed(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, &fieldError{Detail: "there is more after the JSON object"}
	}
	return out, nil
}

func malformed(err error) error {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return &fieldError{Detail: fmt.Sprintf("the body is not JSON: %v at byte %d", syntax, syntax.Offset)}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &fieldError{Detail: "the body ends before its JSON object does"}
	}
	return &fieldError{Detail: "the body is not JSON: " + err.Error()}
}

const maxPointerName = 64

// pointer spells the RFC 6901 pointer of a member of the body.
func pointer(name string) string {
	if len(name) > maxPointerName {
		name = strings.ToValidUTF8(name[:maxPointerName], "") + "…"
	}
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

// inBody turns an error about an argument into one about the member of the
// body that carries it. places are the pointers of the arguments' members,
// empty for an argument that is computed.
func inBody(err error, places map[string]string) error {
	value, ok := errors.AsType[*contractspec.ValueError](err)
	if !ok {
		return err
	}
	arg, rest, nested := strings.Cut(strings.TrimPrefix(value.Pointer, "/"), "/")
	at := places[arg]
	if at == "" {
		return &fieldError{Expected: value.Expected, Detail: "argument " + arg + ": " + value.Problem}
	}
	if nested {
		at += "/" + rest
	}
	return &fieldError{Pointer: at, Expected: value.Expected, Detail: value.Problem}
}
