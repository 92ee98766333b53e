package repotest_test

import (
	"fmt"
	"go/ast"
	"strings"
	"testing"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 70
)

func TestGoFilesAreShort(t *testing.T) {
	t.Parallel()
	holds(t, longFiles)
}

func TestFunctionsAreShort(t *testing.T) {
	t.Parallel()
	holds(t, longFunctions)
}

// longFiles counts tests too; only generated files may be longer.
func longFiles(r *repo) (violations []string) {
	for _, s := range r.sources {
		if lines := countLines(r.files[s.path]); lines > maxFileLines && !ast.IsGenerated(s.file) {
			violations = append(violations, fmt.Sprintf("%s: %d lines, at most %d: split it by idea", s.path, lines, maxFileLines))
		}
	}
	return violations
}

// longFunctions counts the lines between the braces, as funlen does. Tests are
// free: a table is as long as its cases.
func longFunctions(r *repo) (violations []string) {
	for _, s := range r.sources {
		if s.isTest() || ast.IsGenerated(s.file) {
			continue
		}
		for _, decl := range s.file.Decls {
			fn, ok := decl.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				continue
			}
			if lines := s.line(fn.End()) - s.line(fn.Pos()) - 1; lines > maxFunctionLines {
				violations = append(violations, fmt.Sprintf("%s: %s has %d lines, at most %d", s.at(fn), fn.Name.Name, lines, maxFunctionLines))
			}
		}
	}
	return violations
}

// countLines counts a last line without newline as well.
func countLines(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}
