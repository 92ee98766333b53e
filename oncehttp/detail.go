package oncehttp

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"
)

// The detail of a fingerprint is stored beside it and says which parts of two
// requests differ, without their values:
//
//	version, 5 × shortSum (method, path, query, content type, body),
//	then per value in a JSON body: length of its pointer, pointer, shortSum
//
// It stays below 16 KiB. A body that is not JSON, or has too much in it, has
// no values listed and differs as a whole.
const (
	detailVersion = 1
	shortSum      = 8 // bytes of each hash that are kept
	detailHead    = 1 + numParts*shortSum

	maxDetailBody = 64 << 10 // larger bodies are not taken apart
	maxLeaves     = 64
	maxLeafDepth  = 16
	maxPointer    = 128
	maxDiffering  = 32
)

func (s *scratch) appendLeaf(pointer, value []byte) {
	sum := s.sum(value)
	s.detail = binary.AppendUvarint(s.detail, uint64(len(pointer)))
	s.detail = append(s.detail, pointer...)
	s.detail = append(s.detail, sum[:shortSum]...)
}

// appendLeaves lists the values of a JSON text: each by itself if they are
// few, else the top-level members, else nothing.
func (s *scratch) appendLeaves(text []byte) {
	head := len(s.detail)
	for _, depth := range []int{maxLeafDepth, 1} {
		s.buf = s.buf[:0]
		w := leafWalker{scratch: s, scanner: scanner{data: text}, depth: depth}
		if w.walk(0) && w.next() == 0 {
			return
		}
		s.detail = s.detail[:head]
	}
}

// leafWalker visits the values of a JSON text down to a depth. The pointer of
// the value it is at stands in buf.
type leafWalker struct {
	*scratch
	scanner
	depth int
	count int
}

// walk visits the next value. It reports false when there is too much, or it
// is not JSON.
func (w *leafWalker) walk(depth int) bool {
	switch c := w.next(); {
	case c == '{' && depth < w.depth:
		return w.object(depth)
	case c == '[' && depth < w.depth:
		return w.array(depth)
	}
	value, ok := w.value()
	return ok && w.leaf(value.of(w.data))
}

func (w *leafWalker) leaf(value []byte) bool {
	w.count++
	if w.count > maxLeaves || len(w.buf) > maxPointer {
		return false
	}
	w.appendLeaf(w.buf, value)
	return true
}

func (w *leafWalker) object(depth int) bool {
	base := len(w.buf)
	w.accept('{')
	if w.accept('}') {
		return w.leaf([]byte("{}"))
	}
	for {
		name, ok := w.str()
		if !ok || !w.accept(':') {
			return false
		}
		w.buf = appendToken(w.buf, unquote(name.of(w.data)))
		if !w.walk(depth + 1) {
			return false
		}
		w.buf = w.buf[:base]
		if !w.accept(',') {
			return w.accept('}')
		}
	}
}

func (w *leafWalker) array(depth int) bool {
	base := len(w.buf)
	w.accept('[')
	if w.accept(']') {
		return w.leaf([]byte("[]"))
	}
	for i := 0; ; i++ {
		w.buf = strconv.AppendInt(append(w.buf, '/'), int64(i), 10)
		if !w.walk(depth + 1) {
			return false
		}
		w.buf = w.buf[:base]
		if !w.accept(',') {
			return w.accept(']')
		}
	}
}

// appendToken extends a JSON Pointer by a member's name.
func appendToken(pointer, name []byte) []byte {
	pointer = append(pointer, '/')
	for _, c := range name {
		switch c {
		case '~':
			pointer = append(pointer, "~0"...)
		case '/':
			pointer = append(pointer, "~1"...)
		default:
			pointer = append(pointer, c)
		}
	}
	return pointer
}

// lookup finds the value that a JSON Pointer names in canonical JSON.
func lookup(text []byte, pointer string) (span, bool) {
	at := span{0, len(text)}
	for token := range strings.SplitSeq(pointer[1:], "/") {
		token = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
		next, found := child(at.of(text), token)
		if !found {
			return span{}, false
		}
		at = span{at.from + next.from, at.from + next.to}
	}
	return at, true
}

// child finds a member of an object, or an element of an array.
func child(text []byte, token string) (at span, found bool) {
	if len(text) > 0 && text[0] == '{' {
		walkMembers(text, func(name []byte, value span) {
			if string(name) == token {
				at, found = value, true
			}
		})
		return at, found
	}
	index, err := strconv.Atoi(token)
	s := scanner{data: text}
	if err != nil || strconv.Itoa(index) != token || !s.accept('[') {
		return span{}, false
	}
	for i := 0; ; i++ {
		value, ok := s.value()
		if !ok || i == index {
			return value, ok
		}
		if !s.accept(',') {
			return span{}, false
		}
	}
}

// differing names the parts in which two details differ, at most
// maxDiffering. It names none when one of them cannot be read.
func differing(stored, current []byte) []string {
	if !readable(stored) || !readable(current) {
		return nil
	}
	var names []string
	for i, name := range partNames {
		from, to := 1+i*shortSum, 1+(i+1)*shortSum
		if string(stored[from:to]) == string(current[from:to]) {
			continue
		}
		if i == partBody {
			names = append(names, differingLeaves(stored[detailHead:], current[detailHead:])...)
		} else {
			names = append(names, name)
		}
	}
	return names[:min(len(names), maxDiffering)]
}

func readable(detail []byte) bool { return len(detail) >= detailHead && detail[0] == detailVersion }

// differingLeaves names the values that were changed, added or removed, or
// the body as a whole.
func differingLeaves(stored, current []byte) []string {
	was, now := leaves(stored), leaves(current)
	if len(was) == 0 || len(now) == 0 {
		return []string{partNames[partBody]}
	}
	var names []string
	for pointer, sum := range was {
		if now[pointer] != sum {
			names = append(names, pointer)
		}
	}
	for pointer := range now {
		if _, ok := was[pointer]; !ok {
			names = append(names, pointer)
		}
	}
	slices.Sort(names)
	if len(names) == 0 || names[0] == "" {
		// The values agree: spacing, order or spelling does not. Or the whole
		// text is one value.
		return []string{partNames[partBody]}
	}
	return names
}

// leaves reads the listed values: pointer → hash, or hashes if it is there
// several times.
func leaves(b []byte) map[string]string {
	out := make(map[string]string)
	for len(b) > 0 {
		n, size := binary.Uvarint(b)
		if size <= 0 || n > maxPointer || len(b) < size+int(n)+shortSum {
			return nil
		}
		pointer := string(b[size : size+int(n)])
		out[pointer] += string(b[size+int(n) : size+int(n)+shortSum])
		b = b[size+int(n)+shortSum:]
	}
	return out
}
