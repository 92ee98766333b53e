package repotest_test

import (
	"maps"
	"strings"
	"testing"
)

// sound is a tree in which every rule holds; each case below breaks it once.
var sound = map[string]string{
	"go.mod":         "module github.com/onceward/onceward\n\ngo 1.26\n",
	"go.work":        "go 1.26\n\nuse (\n\t.\n\t./soroban\n\t./cmd/onceward\n)\n",
	"soroban/go.mod": "module github.com/onceward/onceward/soroban\n\nrequire github.com/onceward/onceward v0.0.0\n\nreplace github.com/onceward/onceward => ..\n",
	"cmd/onceward/go.mod": "module github.com/onceward/onceward/cmd/onceward\n\n" +
		"require github.com/onceward/onceward/soroban v0.0.0\n",
	"once.go":              "// Package onceward is the core.\npackage onceward\n\nimport _ \"net/http\"\n",
	"memstore/store.go":    "// Package memstore is a store.\npackage memstore\n\nimport _ \"github.com/onceward/onceward\"\n",
	"memstore/m_test.go":   "package memstore_test\n\nimport _ \"github.com/onceward/onceward/oncetest\"\n",
	"internal/x/x.go":      "// Package x is small.\npackage x\n",
	"soroban/s.go":         "// Package soroban submits.\npackage soroban\n\nimport (\n\t_ \"example.org/sdk\"\n\t_ \"github.com/onceward/onceward/internal/x\"\n)\n",
	"cmd/onceward/main.go": "// Command onceward wires.\npackage main\n\nimport _ \"github.com/onceward/onceward/soroban\"\n\nfunc main() {}\n",
	"Makefile":             "test: deps ## test\nX := 1\n",
	"CHANGELOG.md":         "# Changes\n\n## Unreleased\n",
	"README.md":            "# onceward\n\n```sh\nmake test\n```\n\nSee [x](internal/x/x.go), [how](docs/a.md#how-it-works), <https://example.org/work/>.\n",
	"docs/a.md":            "# A\n\n## How it `works`\n\n[up](../README.md) and [home](https://example.org)\n",
}

var bubble = `package memstore_test

import ("testing"; "testing/synctest"; "time")

func TestClock(t *testing.T) { synctest.Test(t, func(t *testing.T) { time.Sleep(time.Hour) }) }
`

func lines(n int) string { return strings.Repeat("\n", n) }

// broken lists, for every rule, trees in which it must find something.
var broken = []struct {
	name string
	rule func(*repo) []string
	file string // replaced or added in sound
	text string
	want string // part of the violation
}{
	{"require in the root", rootRequires, "go.mod", sound["go.mod"] + "\nrequire example.org/x v1.0.0\n", "depends on nothing"},
	{"require block in the root", rootRequires, "go.mod", sound["go.mod"] + "\nrequire (\n\texample.org/x v1.0.0\n)\n", "depends on nothing"},
	{"core imports a dependency", rootImports, "once.go", "package onceward\n\nimport _ \"example.org/x\"\n", "once.go:3"},
	{"core imports C", rootImports, "once.go", "package onceward\n\nimport \"C\"\n", "may not import C"},
	{"a test of the core imports a dependency", rootImports, "memstore/m_test.go", "package m\n\nimport _ \"example.org/x\"\n", "memstore/m_test.go:3"},
	{"core imports another module", rootImports, "client/c.go", "package client\n\nimport _ \"github.com/onceward/onceward/soroban\"\n", "client/c.go:3"},
	{"sibling imports sibling", siblingImports, "client/c.go", "package client\n\nimport _ \"github.com/onceward/onceward/memstore\"\n", "client may not import"},
	{"core imports an adapter", siblingImports, "once.go", "package onceward\n\nimport _ \"github.com/onceward/onceward/oncehttp\"\n", "once.go:3"},
	{"module imports module", siblingImports, "soroban/devchain/d.go", "package devchain\n\nimport _ \"github.com/onceward/onceward/postgres\"\n", "soroban may not import"},
	{"forgotten module", workspace, "bench/go.mod", "module github.com/onceward/onceward/bench\n", "bench/go.mod"},
	{"package without doc", packageDocs, "client/c.go", "package client\n", "client: the package has no doc"},
	{"doc of another package", packageDocs, "client/c.go", "// Package server serves.\npackage client\n", "client: the doc comment does not begin"},
	{"long file", longFiles, "long_test.go", "package onceward_test\n" + lines(400), "long_test.go: 401 lines"},
	{"long function", longFunctions, "long.go", "package onceward\n\nfunc f() {" + lines(72) + "}\n", "f has 71 lines"},
	{"sleep", sleepingTests, "a_test.go", "package a\n\nimport \"time\"\n\nfunc f() { time.Sleep(1) }\n", "a_test.go:5"},
	{"skip", skippingTests, "a_test.go", "package a\n\nimport \"testing\"\n\nfunc TestX(t *testing.T) { t.Skip() }\n", "a_test.go:5"},
	{"skip by a helper", skippingTests, "a.go", "package a\n\nimport \"testing\"\n\nfunc need(tb testing.TB) { tb.Skipf(\"\") }\n", "tb.Skipf"},
	{"unfinished", unfinishedMarks, "docs/a.md", "a\nTO" + "DO later\n", "docs/a.md:2"},
	{"machine path", machinePaths, "docs/a.md", "see `/wo" + "rk/x`\n", "docs/a.md:1"},
	{"machine path at the start of a line", machinePaths, "a.txt", "\n/ro" + "ot/x\n", "a.txt:2"},
	{"registry", registryHosts, "package-lock.json", `"https://registry.npm` + `js.org/x"`, "package-lock.json:1"},
	{"long README", readme, "README.md", "# a\n\n```\n```\n" + lines(150), "154 lines"},
	{"README with late code", readme, "README.md", "# a\n" + lines(19) + "```\n```\n", "no code block"},
	{"empty changelog", changelog, "CHANGELOG.md", "# Changes\n", "no entry"},
	{"link to nothing", brokenLinks, "docs/b.md", "[x](../gone.md)\n", "../gone.md"},
	{"link to no heading", brokenLinks, "docs/b.md", "[x](a.md#nowhere)\n", "#nowhere"},
	{"image that is not there", brokenLinks, "docs/b.md", `<img src="x.png">` + "\n", "x.png"},
	{"unknown make target", makeTargets, "README.md", "Run `make tset`.\n", "make tset"},
	{"unknown make target in a block", makeTargets, "docs/a.md", "```sh\n$ make X\nmake tset\n```\n", "make tset"},
}

func TestEveryRuleNoticesABrokenTree(t *testing.T) {
	t.Parallel()
	for _, tc := range broken {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			files := maps.Clone(sound)
			files[tc.file] = tc.text
			r, err := newRepo(files)
			if err != nil {
				t.Fatal(err)
			}
			got := tc.rule(r)
			if len(got) != 1 || !strings.Contains(got[0], tc.want) {
				t.Errorf("violations = %q, want one with %q", got, tc.want)
			}
		})
	}
}

func TestNoRuleObjectsToASoundTree(t *testing.T) {
	t.Parallel()
	files := maps.Clone(sound)
	files["memstore/clock_test.go"] = bubble
	files["gen.go"] = "// Code generated by x. DO NOT EDIT.\n\npackage onceward\n\nfunc f() {" + lines(500) + "}\n"
	files["limits.go"] = "package onceward\n\nfunc g() {" + lines(71) + "}\n" + lines(400-74)
	files["testdata/broken.go"] = "not Go"
	r, err := newRepo(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range broken {
		for _, violation := range tc.rule(r) {
			t.Errorf("%s: %s", tc.name, violation)
		}
	}
}
