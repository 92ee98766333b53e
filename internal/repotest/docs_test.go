package repotest_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

func TestEveryPackageHasADocComment(t *testing.T) {
	t.Parallel()
	holds(t, packageDocs)
}

// packageDocs: a comment anywhere in the package counts if it begins the way
// readers and tools expect: "Package name", or "Command name" for a command.
func packageDocs(r *repo) (violations []string) {
	type pkg struct{ named, documented bool }
	pkgs := map[string]*pkg{}
	for _, s := range r.sources {
		p := pkgs[s.dir()]
		if p == nil {
			p = &pkg{}
			pkgs[s.dir()] = p
		}
		if s.file.Doc == nil {
			continue
		}
		p.documented = true
		name := strings.TrimSuffix(s.file.Name.Name, "_test")
		text := s.file.Doc.Text()
		p.named = p.named || strings.HasPrefix(text, "Package "+name+" ") ||
			(name == "main" && strings.HasPrefix(text, "Command "))
	}
	for _, dir := range slices.Sorted(maps.Keys(pkgs)) {
		switch p := pkgs[dir]; {
		case !p.documented:
			violations = append(violations, fmt.Sprintf("%s: the package has no doc comment", dir))
		case !p.named:
			violations = append(violations, fmt.Sprintf("%s: the doc comment does not begin with Package (or Command) and its name", dir))
		}
	}
	return violations
}
