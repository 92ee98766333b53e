package repotest_test

import (
	"fmt"
	"go/ast"
	"slices"
	"testing"
)

func TestTestsNeverSleep(t *testing.T) {
	t.Parallel()
	holds(t, sleepingTests)
}

func TestTestsAreNeverSkipped(t *testing.T) {
	t.Parallel()
	holds(t, skippingTests)
}

// sleepingTests: real sleeping is slow when the machine is fast and wrong when
// it is slow. Inside the function given to synctest.Test it only moves the fake
// clock, and is allowed.
func sleepingTests(r *repo) (violations []string) {
	for _, s := range r.sources {
		if !s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if isSelector(call.Fun, "synctest", "Test") {
				return false
			}
			if isSelector(call.Fun, "time", "Sleep") {
				violations = append(violations, s.at(n)+": time.Sleep outside a synctest.Test bubble")
			}
			return true
		})
	}
	return violations
}

// skippingTests: a skipped test passes without anyone noticing.
func skippingTests(r *repo) (violations []string) {
	for _, s := range r.sources {
		handles := testHandles(s.file)
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			for _, handle := range handles {
				for _, skip := range []string{"Skip", "Skipf", "SkipNow"} {
					if isSelector(call.Fun, handle, skip) {
						violations = append(violations, fmt.Sprintf("%s: %s.%s; a test runs or does not exist", s.at(n), handle, skip))
					}
				}
			}
			return true
		})
	}
	return violations
}

// testHandles lists the names under which a file's functions take a *testing.T,
// B or F, or a testing.TB.
func testHandles(f *ast.File) (names []string) {
	ast.Inspect(f, func(n ast.Node) bool {
		field, ok := n.(*ast.Field)
		if !ok {
			return true
		}
		typ := field.Type
		if star, ok := typ.(*ast.StarExpr); ok {
			typ = star.X
		}
		for _, name := range []string{"T", "B", "F", "TB"} {
			if !isSelector(typ, "testing", name) {
				continue
			}
			for _, ident := range field.Names {
				if !slices.Contains(names, ident.Name) {
					names = append(names, ident.Name)
				}
			}
		}
		return true
	})
	return names
}

// isSelector says whether an expression reads x.name.
func isSelector(e ast.Expr, x, name string) bool {
	sel, ok := e.(*ast.SelectorExpr)
	if !ok || sel.Sel.Name != name {
		return false
	}
	ident, ok := sel.X.(*ast.Ident)
	return ok && ident.Name == x
}
