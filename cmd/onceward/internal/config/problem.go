package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Problem is one thing that is wrong with a file.
type Problem struct {
	Pos
	// Path of the field, such as routes[2].match; empty for the file itself.
	Path    string
	Message string
}

// Problems is everything that is wrong with a file, in its order.
type Problems struct {
	File string
	List []Problem
}

// Error has a line for each problem.
func (p *Problems) Error() string {
	var b strings.Builder
	if len(p.List) > 1 {
		fmt.Fprintf(&b, "%d problems in %s\n", len(p.List), p.File)
	}
	for i, one := range p.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.File)
		if one.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", one.Line, one.Column)
		}
		b.WriteString(": ")
		if one.Path != "" {
			b.WriteString(one.Path + ": ")
		}
		b.WriteString(one.Message)
	}
	return b.String()
}

func (p *Problems) sort() {
	slices.SortStableFunc(p.List, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
}

// maxListed bounds the names that a message repeats.
const maxListed = 12

// suggest completes "unknown …" with the name that was probably meant, or
// with what there is.
func suggest(name string, known []string) string {
	best, distance := "", 1+len(name)/3
	for _, k := range known {
		if d := levenshtein.ComputeDistance(strings.ToLower(name), k); d <= distance {
			best, distance = k, d-1
		}
	}
	switch {
	case best != "":
		return fmt.Sprintf("did you mean %q?", best)
	case len(known) == 0:
		return "there is none"
	case len(known) > maxListed:
		return "there is no such field; see docs/configuration.md"
	}
	return "there is " + strings.Join(known, ", ")
}
