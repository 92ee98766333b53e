package oncehttp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// maxJSONDepth bounds the nesting that is brought into canonical form.
const maxJSONDepth = 128

// Canonical returns JSON text in the canonical form of RFC 8785 (JCS). Unlike
// a parser that hashes what it understood, it never makes one text of two that
// mean different things: it refuses duplicate members, numbers whose value a
// double cannot keep (9007199254740993, 1e400), unpaired surrogates, invalid
// UTF-8 and more than 128 levels. What is equal in value (1.0 and 1) becomes
// equal in text. The error is meant for the client who sent the text.
func Canonical(data []byte) ([]byte, error) {
	if !utf8.Valid(data) {
		return nil, errors.New("the JSON is not valid UTF-8")
	}
	if !json.Valid(data) {
		var v json.RawMessage
		return nil, fmt.Errorf("the JSON is malformed: %w", json.Unmarshal(data, &v))
	}
	c := canon{scanner{data: data}}
	return c.value(make([]byte, 0, len(data)), 0)
}

// canon brings valid JSON into canonical form.
type canon struct{ scanner }

// value appends the next value to dst.
func (c *canon) value(dst []byte, depth int) ([]byte, error) {
	if depth > maxJSONDepth {
		return nil, fmt.Errorf("the JSON has more than %d levels", maxJSONDepth)
	}
	switch ch := c.next(); {
	case ch == '{':
		return c.object(dst, depth)
	case ch == '[':
		return c.array(dst, depth)
	case ch == '"':
		s, err := c.text()
		return appendString(dst, s), err
	case ch == '-' || isDigit(ch):
		raw, _ := c.scalar()
		return appendNumber(dst, string(raw.of(c.data)))
	}
	raw, _ := c.scalar() // a literal
	return append(dst, raw.of(c.data)...), nil
}

type member struct {
	name  string
	value []byte
}

func (c *canon) object(dst []byte, depth int) ([]byte, error) {
	var members []member
	c.accept('{')
	for !c.accept('}') {
		c.accept(',')
		c.next()
		name, err := c.text()
		if err != nil {
			return nil, err
		}
		c.accept(':')
		value, err := c.value(nil, depth+1)
		if err != nil {
			return nil, err
		}
		members = append(members, member{name, value})
	}
	slices.SortFunc(members, func(a, b member) int { return compareUTF16(a.name, b.name) })
	dst = append(dst, '{')
	for i, m := range members {
		if i > 0 {
			if m.name == members[i-1].name {
				return nil, fmt.Errorf("the JSON has the member %.64q twice", m.name)
			}
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, m.name), ':')
		dst = append(dst, m.value...)
	}
	return append(dst, '}'), nil
}

func (c *canon) array(dst []byte, depth int) ([]byte, error) {
	c.accept('[')
	dst = append(dst, '[')
	for first := true; !c.accept(']'); first = false {
		if !first {
			c.accept(',')
			dst = append(dst, ',')
		}
		var err error
		if dst, err = c.value(dst, depth+1); err != nil {
			return nil, err
		}
	}
	return append(dst, ']'), nil
}

// text decodes the next string, which begins right here.
func (c *canon) text() (string, error) {
	at, _ := c.str()
	raw := at.of(c.data)
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(raw[1 : len(raw)-1]), nil
	}
	if hasLoneSurrogate(raw) {
		return "", errors.New("the JSON has an unpaired surrogate in a string")
	}
	var s string
	err := json.Unmarshal(raw, &s)
	return s, err
}

// hasLoneSurrogate looks for \ud800 to \udfff that are not one of a pair.
func hasLoneSurrogate(raw []byte) bool {
	high := false
	for i := 0; i < len(raw); {
		unit := uint64(0)
		switch {
		case raw[i] != '\\':
			i++
		case raw[i+1] != 'u':
			i += 2
		default:
			unit, _ = strconv.ParseUint(string(raw[i+2:i+6]), 16, 16)
			i += 6
		}
		low := 0xdc00 <= unit && unit <= 0xdfff
		if low != high {
			return true
		}
		high = 0xd800 <= unit && unit <= 0xdbff
	}
	return false
}

// appendString writes a string as RFC 8785, 3.2.2.2, asks.
func appendString(dst []byte, s string) []byte {
	dst = append(dst, '"')
	for i := range len(s) {
		switch c := s[i]; c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\t':
			dst = append(dst, '\\', 't')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\r':
			dst = append(dst, '\\', 'r')
		default:
			if c < 0x20 {
				dst = fmt.Appendf(dst, `\u%04x`, c)
			} else {
				dst = append(dst, c)
			}
		}
	}
	return append(dst, '"')
}

// appendNumber writes a number as ECMAScript does, or refuses it when that
// would change its value.
func appendNumber(dst []byte, text string) ([]byte, error) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return nil, fmt.Errorf("the JSON number %.40s is too large for a double", text)
	}
	format := byte('f')
	if abs := math.Abs(f); abs != 0 && abs < 1e-6 || abs >= 1e21 {
		format = 'e'
	}
	out := strconv.FormatFloat(math.Abs(f), format, -1, 64)
	// Go pads the exponent to two digits.
	out = strings.Replace(strings.Replace(out, "e-0", "e-", 1), "e+0", "e+", 1)
	if decimalOf(strings.TrimPrefix(text, "-")) != decimalOf(out) {
		return nil, fmt.Errorf("the JSON number %.40s has more digits than a double keeps; send it as a string", text)
	}
	if f < 0 {
		dst = append(dst, '-')
	}
	return append(dst, out...), nil
}

// decimal is a number without sign as digits × 10^exp; digits neither begin
// nor end with zero, and are empty for zero.
type decimal struct {
	digits string
	exp    int
}

func decimalOf(text string) decimal {
	mantissa, exponent := text, ""
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		mantissa, exponent = text[:i], text[i+1:]
	}
	whole, fraction, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(whole+fraction, "0")
	if digits == "" {
		return decimal{}
	}
	exp, _ := strconv.Atoi(exponent) // what overflows is not a finite double
	trimmed := strings.TrimRight(digits, "0")
	return decimal{trimmed, exp - len(fraction) + len(digits) - len(trimmed)}
}

// compareUTF16 orders strings by their UTF-16 code units. It differs from the
// order of bytes only where one side is beyond the first plane.
func compareUTF16(a, b string) int {
	for a != "" && b != "" {
		ra, na := utf8.DecodeRuneInString(a)
		rb, nb := utf8.DecodeRuneInString(b)
		if ra != rb {
			if (ra > 0xffff) != (rb > 0xffff) {
				ra, rb = firstUnit(ra), firstUnit(rb)
			}
			return int(ra) - int(rb)
		}
		a, b = a[na:], b[nb:]
	}
	return len(a) - len(b)
}

func firstUnit(r rune) rune {
	if r > 0xffff {
		return 0xd800 + (r-0x10000)>>10
	}
	return r
}
