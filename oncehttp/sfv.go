package oncehttp

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf8"
)

// This file reads Structured Field Values (RFC 9651): an Item whose bare item
// is a String. Parameters must be well-formed and mean nothing here, as the
// RFC asks for parameters that a field does not define.

var (
	errNotString = errors.New("it is not a quoted string")
	errParam     = errors.New("a parameter after the string is malformed")
)

// parseStringItem returns the String of the Item in s.
func parseStringItem(s string) (string, error) {
	p := sfParser{strings.Trim(s, " ")}
	v, ok := p.str()
	if !ok {
		return "", errNotString
	}
	if !p.parameters() || p.rest != "" {
		return "", errParam
	}
	return v, nil
}

// sfParser consumes a field value from its front.
type sfParser struct{ rest string }

// take consumes c if it is next.
func (p *sfParser) take(c byte) bool {
	if p.rest == "" || p.rest[0] != c {
		return false
	}
	p.rest = p.rest[1:]
	return true
}

// while consumes the bytes that ok accepts.
func (p *sfParser) while(ok func(byte) bool) string {
	n := 0
	for n < len(p.rest) && ok(p.rest[n]) {
		n++
	}
	s := p.rest[:n]
	p.rest = p.rest[n:]
	return s
}

// str reads an sf-string (RFC 9651, 4.2.5). It allocates only for escapes.
func (p *sfParser) str() (string, bool) {
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
func (p *sfParser) parameters() bool {
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
func (p *sfParser) bareItem() bool {
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
func (p *sfParser) number() (integer, ok bool) {
	p.take('-')
	whole := len(p.while(isDigit))
	if !p.take('.') {
		return true, 1 <= whole && whole <= 15
	}
	fraction := len(p.while(isDigit))
	return false, 1 <= whole && whole <= 12 && 1 <= fraction && fraction <= 3
}

// bytes reads a Byte Sequence (4.2.7); padding may be missing.
func (p *sfParser) bytes() bool {
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
func (p *sfParser) display() bool {
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
func isLower(c byte) bool          { return 'a' <= c && c <= 'z' }
func isLowerHex(c byte) bool       { return isDigit(c) || 'a' <= c && c <= 'f' }

func unhex(c byte) byte {
	if isDigit(c) {
		return c - '0'
	}
	return c - 'a' + 10
}
