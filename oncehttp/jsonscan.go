package oncehttp

import (
	"encoding/json"
	"strings"
)

// isJSON reports whether a Content-Type is application/json or anything+json.
func isJSON(contentType string) bool {
	mediaType, _, _ := strings.Cut(contentType, ";")
	mediaType = strings.TrimSpace(mediaType)
	return strings.EqualFold(mediaType, "application/json") ||
		len(mediaType) > 5 && strings.EqualFold(mediaType[len(mediaType)-5:], "+json")
}

// span is a part of a text.
type span struct{ from, to int }

func (s span) of(b []byte) []byte { return b[s.from:s.to] }

// scanner finds the values in a JSON text without decoding them. It relies on
// well-formed text to be right, and on nothing to end without a panic.
type scanner struct {
	data []byte
	pos  int
}

// next skips white space and returns the byte there, 0 at the end.
func (s *scanner) next() byte {
	for s.pos < len(s.data) {
		switch c := s.data[s.pos]; c {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return c
		}
	}
	return 0
}

// accept consumes c if it is next.
func (s *scanner) accept(c byte) bool {
	if s.next() != c {
		return false
	}
	s.pos++
	return true
}

// str consumes a string, with its quotes.
func (s *scanner) str() (span, bool) {
	if !s.accept('"') {
		return span{}, false
	}
	from := s.pos - 1
	for s.pos < len(s.data) {
		switch s.data[s.pos] {
		case '"':
			s.pos++
			return span{from, s.pos}, true
		case '\\':
			s.pos++
		}
		s.pos++
	}
	s.pos = len(s.data)
	return span{}, false
}

// value consumes any value, however deep, without recursion.
func (s *scanner) value() (span, bool) {
	c := s.next()
	from := s.pos
	if c != '{' && c != '[' {
		return s.scalar()
	}
	for depth := 0; s.pos < len(s.data); {
		switch s.data[s.pos] {
		case '"':
			if _, ok := s.str(); !ok {
				return span{}, false
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		s.pos++
		if depth == 0 {
			return span{from, s.pos}, true
		}
	}
	return span{}, false
}

// scalar consumes a string, number or literal.
func (s *scanner) scalar() (span, bool) {
	if s.next() == '"' {
		return s.str()
	}
	from := s.pos
	for s.pos < len(s.data) && strings.IndexByte(" \t\r\n,]}:{[\"", s.data[s.pos]) < 0 {
		s.pos++
	}
	return span{from, s.pos}, s.pos > from
}

// unquote returns the text of a string with its quotes; it allocates only for
// escapes. Text that is not a JSON string is returned as it stands.
func unquote(raw []byte) []byte {
	if len(raw) < 2 {
		return raw
	}
	for _, c := range raw {
		if c == '\\' {
			var s string
			if json.Unmarshal(raw, &s) != nil {
				return raw
			}
			return []byte(s)
		}
	}
	return raw[1 : len(raw)-1]
}

// walkMembers calls fn for every member of the object that is data.
func walkMembers(data []byte, fn func(name []byte, value span)) bool {
	s := scanner{data: data}
	if !s.accept('{') {
		return false
	}
	if s.accept('}') {
		return true
	}
	for {
		name, ok := s.str()
		if !ok || !s.accept(':') {
			return false
		}
		value, ok := s.value()
		if !ok {
			return false
		}
		fn(unquote(name.of(data)), value)
		if !s.accept(',') {
			return s.accept('}')
		}
	}
}
