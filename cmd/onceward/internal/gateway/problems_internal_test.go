package gateway

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/auth"
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
	if codeAuthUnavailable != string(auth.CodeAuthUnavailable) {
		t.Error("one failure has two codes")
	}
	if found != len(listed) {
		t.Errorf("%d codes, %d described", found, len(listed))
	}
}

// What the relay refuses is described, too.
func TestRelayProblemsListsEveryCode(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../../../soroban/relay.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, p := range RelayProblems() {
		listed[string(p.Code)] = p.Status >= 400 && p.Title != "" && p.Detail != ""
	}
	found := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Relay") {
			return true
		}
		found++
		code, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil || !listed[relayPrefix+code] {
			t.Errorf("RelayProblems does not describe %s", spec.Names[0].Name)
		}
		return true
	})
	if found == 0 || found != len(listed) {
		t.Errorf("%d codes, %d described", found, len(listed))
	}
}
