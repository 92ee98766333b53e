package gateway

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/onceward/onceward"
)

// A code that the gateway answers with is one that it describes.
func TestProblemsListsEveryCode(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "problem.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[onceward.Code]bool)
	for _, p := range Problems() {
		listed[p.Code] = p.Status >= 400 && p.Title != "" && p.Detail != ""
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "code") {
			return true
		}
		found++
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !listed[onceward.Code(code)] {
			t.Errorf("Problems does not describe %s", spec.Names[0].Name)
		}
		return true
	})
	if found != len(listed) {
		t.Errorf("%d codes, %d described", found, len(listed))
	}
}
