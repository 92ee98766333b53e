package repotest_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const rootModule = "github.com/onceward/onceward"

// wiring are the top directories whose packages may import every other: the
// command, and what measures or exercises several rooms together.
var wiring = []string{"cmd", "bench", "conformance"}

func TestRootModuleRequiresNothing(t *testing.T) {
	t.Parallel()
	holds(t, rootRequires)
}

func TestRootModuleImportsOnlyItselfAndTheStandardLibrary(t *testing.T) {
	t.Parallel()
	holds(t, rootImports)
}

func TestSiblingsNeverImportSiblings(t *testing.T) {
	t.Parallel()
	holds(t, siblingImports)
}

func TestEveryModuleIsInTheWorkspace(t *testing.T) {
	t.Parallel()
	holds(t, workspace)
}

var requireLine = regexp.MustCompile(`(?m)^\s*(require|replace)\b.*`)

// rootRequires: whoever imports the core must not inherit anything.
func rootRequires(r *repo) (violations []string) {
	if _, ok := r.files["go.mod"]; !ok {
		return []string{"go.mod is missing"}
	}
	for _, line := range requireLine.FindAllString(r.files["go.mod"], -1) {
		violations = append(violations, fmt.Sprintf("go.mod: %q; the root module depends on nothing", line))
	}
	return violations
}

// imports calls fn for every import of every file.
func imports(r *repo, fn func(s source, at, imported string)) {
	for _, s := range r.sources {
		for _, spec := range s.file.Imports {
			if p, err := strconv.Unquote(spec.Path.Value); err == nil {
				fn(s, s.at(spec), p)
			}
		}
	}
}

// own says whether an import path is of this repository.
func own(p string) bool { return p == rootModule || strings.HasPrefix(p, rootModule+"/") }

// rootImports: tests count, since a test's import is a requirement too.
func rootImports(r *repo) (violations []string) {
	imports(r, func(s source, at, imported string) {
		if r.module(s.path) != "." {
			return
		}
		host, _, _ := strings.Cut(imported, "/")
		standard := !strings.Contains(host, ".") && imported != "C"
		inRoot := own(imported) && r.module(rel(imported)+"/x") == "."
		if !standard && !inRoot {
			violations = append(violations, fmt.Sprintf("%s: the root module may not import %s", at, imported))
		}
	})
	return violations
}

// rel turns an import path of this repository into a directory.
func rel(imported string) string {
	if imported == rootModule {
		return "."
	}
	return strings.TrimPrefix(imported, rootModule+"/")
}

// room is the top directory a package lives in; the core's is ".".
func room(pkg string) string {
	first, _, _ := strings.Cut(rel(pkg), "/")
	return first
}

// siblingImports: the rooms around the core know the core (and its internal
// packages) and never each other, except in tests.
func siblingImports(r *repo) (violations []string) {
	imports(r, func(s source, at, imported string) {
		from := room(r.packagePath(s.dir()))
		if s.isTest() || !own(imported) || slices.Contains(wiring, from) {
			return
		}
		to := room(imported)
		if to == from || to == "internal" || (to == "." && from != ".") {
			return
		}
		violations = append(violations, fmt.Sprintf("%s: %s may not import its sibling %s", at, from, imported))
	})
	return violations
}

var useLine = regexp.MustCompile(`(?m)^\s*(?:use\s+)?(\.[^\s()]*)\s*$`)

// workspace: a module outside go.work is neither built nor tested.
func workspace(r *repo) (violations []string) {
	used := map[string]bool{}
	for _, m := range useLine.FindAllStringSubmatch(r.files["go.work"], -1) {
		used[strings.TrimPrefix(strings.TrimPrefix(m[1], "."), "/")] = true
	}
	for _, dir := range slices.Sorted(maps.Keys(r.modules)) {
		if !used[strings.TrimPrefix(dir, ".")] && !strings.Contains("/"+dir+"/", "/testdata/") {
			violations = append(violations, fmt.Sprintf("%s/go.mod: module is not in go.work", dir))
		}
	}
	return violations
}
