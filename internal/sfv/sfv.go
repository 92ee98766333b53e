// Package sfv reads what an idempotency key may look like as a Structured Field
// Value (RFC 9651): an Item whose bare item is a String.
//
// It guarantees to accept exactly the grammar of the RFC, parameters of every
// type included; package conformance holds it against the public test vectors
// and against a complete implementation. It does not return the parameters,
// which mean nothing for a key, reads no other type, and writes nothing.
package sfv

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

var (
	errNotString = errors.New("it is not a quoted string")
	errParam     = errors.New("a parameter after the string is malformed")
)

// ParseString returns the String of the Item in s. Parameters must be
// well-formed and are ignored, as the RFC asks for those that a field does not
// define.
func ParseString(s string) (string, error) {
	p := parser{strings.Trim(s, " ")}
	v, ok := p.str()
	if !ok {
		return "", errNotString
	}
	if !p.parameters() || p.rest != "" {
		return "", errParam
	}
	return v, nil
}

// parser consumes a field value from its front.
type parser struct{ rest string }

// take consumes c if it is next.
func (p *parser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// while consumes the bytes that ok accepts.
func (p *parser) while(ok func(byte) bool) string {
	n := 0
	for n < len(p.rest) && ok(p.rest[n]) {
		n++
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

// str reads an sf-string (RFC 9651, 4.2.5). It allocates only for escapes.
func (p *parser) str() (string, bool) {
	if !p.take('"') {
		return "", false
	}
	plain := 0
	for plain < len(p.rest) && p.rest[plain] != '"' && p.rest[plain] != '\\' {
		if !isVisibleOrSpace(p.rest[plain]) {
			return "", false
		}
		plain++
	}
	head := p.rest[:plain]
	p.rest = p.rest[plain:]
	if p.take('"') {
		return head, true
	}
	out := []byte(head)
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '"':
			return string(out), true
		case c == '\\':
			if p.rest == "" || p.rest[0] != '"' && p.rest[0] != '\\' {
				return "", false
			}
			out = append(out, p.rest[0])
			p.rest = p.rest[1:]
		case isVisibleOrSpace(c):
			out = append(out, c)
		default:
			return "", false
		}
	}
	return "", false
}

// parameters consumes well-formed parameters (4.2.3.2).
func (p *parser) parameters() bool {
	for p.take(';') {
		p.while(func(c byte) bool { return c == ' ' })
		if p.rest == "" || !isLower(p.rest[0]) && p.rest[0] != '*' {
			return false
		}
		p.while(func(c byte) bool { return isLower(c) || isDigit(c) || strings.IndexByte("_-.*", c) >= 0 })
		if p.take('=') && !p.bareItem() {
			return false
		}
	}
	return true
}

// bareItem consumes a bare item of any type (4.2.3.1).
func (p *parser) bareItem() bool {
	if p.rest == "" {
		return false
	}
	switch c := p.rest[0]; {
	case c == '"':
		_, ok := p.str()
		return ok
	case c == '-' || isDigit(c):
		_, ok := p.number()
		return ok
	case c == '?':
		p.take('?')
		return p.take('0') || p.take('1')
	case c == ':':
		return p.bytes()
	case c == '@':
		p.take('@')
		integer, ok := p.number()
		return ok && integer
	case c == '%':
		return p.display()
	case isAlpha(c) || c == '*':
		p.while(func(c byte) bool { return isTchar(c) || c == ':' || c == '/' })
		return true
	}
	return false
}

// number reads an Integer of at most 15 digits, or a Decimal of at most 12
// and 3 (4.2.4).
func (p *parser) number() (integer, ok bool) {
	p.take('-')
	whole := len(p.while(isDigit))
	if !p.take('.') {
		return true, 1 <= whole && whole <= 15
	}
	fraction := len(p.while(isDigit))
	return false, 1 <= whole && whole <= 12 && 1 <= fraction && fraction <= 3
}

// bytes reads a Byte Sequence (4.2.7); padding may be missing.
func (p *parser) bytes() bool {
	p.take(':')
	s, after, closed := strings.Cut(p.rest, ":")
	if !closed {
		return false
	}
	p.rest = after
	_, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	return err == nil && !strings.ContainsAny(s, "\r\n")
}

// display reads a Display String (4.2.10).
func (p *parser) display() bool {
	p.take('%')
	if !p.take('"') {
		return false
	}
	var out []byte
	for p.rest != "" {
		c := p.rest[0]
		p.rest = p.rest[1:]
		switch {
		case c == '"':
			return utf8.Valid(out)
		case !isVisibleOrSpace(c):
			return false
		case c == '%':
			if len(p.rest) < 2 || !isLowerHex(p.rest[0]) || !isLowerHex(p.rest[1]) {
				return false
			}
			out = append(out, unhex(p.rest[0])<<4|unhex(p.rest[1]))
			p.rest = p.rest[2:]
		default:
			out = append(out, c)
		}
	}
	return false
}

func isVisibleOrSpace(c byte) bool { return 0x20 <= c && c <= 0x7e }
func isTchar(c byte) bool {
	return isAlpha(c) || isDigit(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

func isAlpha(c byte) bool    { return 'a' <= c|0x20 && c|0x20 <= 'z' }
func isDigit(c byte) bool    { return '0' <= c && c <= '9' }
func isLower(c byte) bool    { return 'a' <= c && c <= 'z' }
func isLowerHex(c byte) bool { return isDigit(c) || 'a' <= c && c <= 'f' }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c - 'a' + 10
}
