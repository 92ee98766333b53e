package contractspec

import (
	"errors"
	"slices"
	"strconv"
	"strings"
)

var (
	// ErrMalformed is wrapped by errors about wasm or spec entries that cannot be read.
	ErrMalformed = errors.New("contractspec: malformed contract")
	// ErrNoSpec means that the wasm is well formed but declares no interface.
	ErrNoSpec = errors.New("contractspec: the wasm has no " + specSection + " section")
	// ErrUnknownFunction is wrapped when the contract declares no function of the given name.
	ErrUnknownFunction = errors.New("contractspec: unknown function")
)

// maxPointerToken bounds how much of a member's name an error repeats, in bytes.
const maxPointerToken = 64

// ValueError says where and why a value does not fit the type the contract
// declares. It never repeats the value, so it may be shown to the client that
// sent it and written to a log.
type ValueError struct {
	// Pointer is the RFC 6901 JSON pointer of the value, relative to the
	// arguments or to the result; empty for the whole document. A member name
	// longer than 64 bytes is cut.
	Pointer string
	// Expected is the declared type, such as "i128" or "Vec<Address>"; empty
	// when the problem has nothing to do with a type.
	Expected string
	// Problem says what is wrong, in words that follow "Pointer: ".
	Problem string
}

// Error joins the parts in one line.
func (e *ValueError) Error() string {
	var b strings.Builder
	b.WriteString("contractspec: ")
	if e.Pointer != "" {
		b.WriteString(e.Pointer + ": ")
	}
	b.WriteString(e.Problem)
	if e.Expected != "" {
		b.WriteString(" (expected " + e.Expected + ")")
	}
	return b.String()
}

// path is a position in a document, linked from the leaf to the root so that
// only an error pays for spelling it out.
type path struct {
	parent *path
	token  string
}

func (p *path) member(name string) *path { return &path{parent: p, token: name} }

func (p *path) index(i int) *path { return &path{parent: p, token: strconv.Itoa(i)} }

var pointerEscaper = strings.NewReplacer("~", "~0", "/", "~1")

// String spells the RFC 6901 pointer.
func (p *path) String() string {
	var tokens []string
	for ; p != nil; p = p.parent {
		tokens = append(tokens, pointerEscaper.Replace(cut(p.token, maxPointerToken)))
	}
	var b strings.Builder
	for _, token := range slices.Backward(tokens) {
		b.WriteString("/" + token)
	}
	return b.String()
}

// fail builds the error for the value at p.
func (p *path) fail(expected, problem string) error {
	return &ValueError{Pointer: p.String(), Expected: expected, Problem: problem}
}

// cut shortens s to at most limit bytes of whole runes and marks the cut.
func cut(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}
