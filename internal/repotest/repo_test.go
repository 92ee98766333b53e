package repotest_test

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"
)

// repo is a tree of files with what the rules need to know about it.
type repo struct {
	files   map[string]string // slash-separated path → content, empty unless text
	sources []source          // every .go file outside testdata
	modules map[string]string // directory → module path, of every go.mod
}

// source is one parsed Go file.
type source struct {
	path string
	file *ast.File
	fset *token.FileSet
}

func (s source) dir() string  { return path.Dir(s.path) }
func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// at formats where a node begins, for violations.
func (s source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// line is the line a position is on.
func (s source) line(p token.Pos) int { return s.fset.Position(p).Line }

var moduleLine = regexp.MustCompile(`(?m)^module\s+(\S+)`)

// newRepo parses files into a repo.
func newRepo(files map[string]string) (*repo, error) {
	r := &repo{files: files, modules: map[string]string{}}
	for name, text := range files {
		if path.Base(name) == "go.mod" {
			if m := moduleLine.FindStringSubmatch(text); m != nil {
				r.modules[path.Dir(name)] = m[1]
			}
		}
		if path.Ext(name) != ".go" || strings.Contains("/"+name, "/testdata/") {
			continue
		}
		fset := token.NewFileSet()
		f, err := parser.ParseFile(fset, name, text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		r.sources = append(r.sources, source{path: name, file: f, fset: fset})
	}
	return r, nil
}

// module returns the directory of the module that holds a file: the deepest one.
func (r *repo) module(file string) string {
	for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
		if _, ok := r.modules[dir]; ok {
			return dir
		}
	}
	return "."
}

// packagePath returns the import path of the package in a directory.
func (r *repo) packagePath(dir string) string {
	mod := r.module(dir + "/x")
	rel := strings.TrimPrefix(strings.TrimPrefix(dir, mod), "/")
	if mod == "." {
		rel = dir
	}
	return path.Join(r.modules[mod], rel)
}

// thisRepo reads this repository, once for all tests.
var thisRepo = sync.OnceValues(func() (*repo, error) {
	root, err := filepath.Abs("../..")
	if err != nil {
		return nil, err
	}
	git := func(args ...string) ([]byte, error) {
		cmd := exec.Command("git", append([]string{"-C", root}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			return nil, fmt.Errorf("git %s: %w (these tests need a git clone)", args[0], err)
		}
		return out, nil
	}
	// Looking at the index makes go test notice files added since a cached run.
	index, err := git("rev-parse", "--path-format=absolute", "--git-path", "index")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(string(bytes.TrimSpace(index))); err != nil {
		return nil, err
	}
	list, err := git("ls-files", "-z")
	if err != nil {
		return nil, err
	}
	files := map[string]string{}
	for name := range strings.SplitSeq(strings.TrimRight(string(list), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(name)))
		if os.IsNotExist(err) {
			continue // deleted, not yet committed
		}
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0 {
			data = nil // not text: only its name counts
		}
		files[name] = string(data)
	}
	return newRepo(files)
})

// holds fails the test for every violation of a rule in this repository.
func holds(t *testing.T, rule func(*repo) []string) {
	t.Helper()
	r, err := thisRepo()
	if err != nil {
		t.Fatal(err)
	}
	if len(r.sources) == 0 {
		t.Fatal("no Go file found: the rules would hold for anything")
	}
	for _, violation := range rule(r) {
		t.Error(violation)
	}
}
