package config_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
)

// validator is an independent reader of the published schema.
func validator(t *testing.T) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(config.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("onceward.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("onceward.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func full(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestTheFullFileIsFull(t *testing.T) {
	t.Parallel()
	if _, err := config.Parse("full.yaml", full(t)); err != nil {
		t.Fatal(err)
	}
	if err := validator(t).Validate(config.Plain(full(t))); err != nil {
		t.Fatal(err)
	}
	used := make(map[string]bool)
	walk(config.Plain(full(t)), func(path []any, _ any) {
		var names []string
		for _, step := range path {
			if name, ok := step.(string); ok {
				names = append(names, strings.TrimSuffix(strings.TrimSuffix(name, "_env"), "_file"))
			}
		}
		used[strings.Join(names, ".")] = true
	})
	for _, f := range config.Fields() {
		path := strings.NewReplacer("signers.secret", "signers.minter.secret", "signers.per", "signers.minter.per", "signers.", "signers.payer.").Replace(strings.TrimSuffix(f, "_file"))
		if !used[path] {
			t.Errorf("testdata/full.yaml does not use %s", f)
		}
	}
}

// walk visits every value of a document.
func walk(v any, visit func(path []any, v any)) {
	var down func(path []any, v any)
	down = func(path []any, v any) {
		visit(slices.Clone(path), v)
		switch v := v.(type) {
		case map[string]any:
			for _, name := range slices.Sorted(maps.Keys(v)) {
				down(append(path, name), v[name])
			}
		case []any:
			for i, item := range v {
				down(append(path, i), item)
			}
		}
	}
	down(nil, v)
}

// edit returns a copy of the document in which change was applied to what
// holds the last step of path.
func edit(t *testing.T, doc any, path []any, change func(holder any, last any)) []byte {
	t.Helper()
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	var own any
	if err := json.Unmarshal(text, &own); err != nil {
		t.Fatal(err)
	}
	at := own
	for _, step := range path[:len(path)-1] {
		switch s := step.(type) {
		case string:
			at = at.(map[string]any)[s]
		case int:
			at = at.([]any)[s]
		}
	}
	change(at, path[len(path)-1])
	if text, err = json.Marshal(own); err != nil {
		t.Fatal(err)
	}
	return text
}

// unschematic reports whether all problems are of the kind that no schema
// knows: an expression, or a network.
func unschematic(p *config.Problems) bool {
	return !slices.ContainsFunc(p.List, func(one config.Problem) bool {
		return !strings.Contains(one.Message, "is not an expression") && !strings.Contains(one.Message, "is no network")
	})
}

// excerpt leaves out what has nothing to do with path, which saves most of the
// time. Of the routes it keeps the one that path leads to.
func excerpt(doc any, path []any) (map[string]any, []any) {
	all := doc.(map[string]any)
	out := map[string]any{"store": "sqlite:keys.db", "routes": []any{map[string]any{"match": "/", "proxy": "http://127.0.0.1:1"}}}
	name := path[0].(string)
	out[name] = all[name]
	if len(path) > 1 && name == "routes" {
		out[name] = []any{all[name].([]any)[path[1].(int)]}
		path = append([]any{name, 0}, path[2:]...)
	}
	return out, path
}

// Every value of the full file is replaced by values of other types, taken
// away, and misspelt: the parser and an independent validator of the schema
// agree on each. Load may refuse more; it may never admit what the schema
// refuses.
func TestSchemaAndParserAgree(t *testing.T) {
	t.Parallel()
	if n := agree(t, config.Plain(full(t))); n < 1000 {
		t.Errorf("only %d documents were tried", n)
	}
	groups := config.Plain([]byte(grouped))
	if _, err := config.Parse("x", []byte(grouped)); err != nil {
		t.Error(err)
	}
	if n := agree(t, groups); n < 50 {
		t.Errorf("only %d documents of groups were tried", n)
	}
}

// grouped is a file with the one field that can be written in two ways.
const grouped = `
store: {groups: [{dsn_env: A, slots: 0-31}, {dsn_file: /b, slots: "32-40,42-63,41"}]}
auth: {single_tenant: true}
routes: [{match: /, proxy: "http://127.0.0.1:1"}]
`

// agree returns how many documents were tried.
func agree(t *testing.T, doc any) (n int) {
	t.Helper()
	schema := validator(t)
	try := func(what string, text []byte) {
		n++
		bySchema, byParser := schema.Validate(config.Plain(text)), config.Decode(text)
		if problems, ok := errors.AsType[*config.Problems](byParser); ok && bySchema == nil && !unschematic(problems) {
			t.Errorf("%s: the schema admits it; the parser says %v", what, problems)
		}
		if bySchema == nil || byParser != nil {
			return // what the parser refuses, Load refuses
		}
		if _, err := config.Parse("x", text); err == nil {
			t.Errorf("%s: the schema refuses what Load admits: %v", what, bySchema)
		}
	}
	whole := doc
	walk(whole, func(path []any, _ any) {
		if len(path) == 0 {
			return
		}
		doc, path := excerpt(whole, path)
		for _, value := range []any{nil, true, 7, "?", []any{"?"}, map[string]any{"?": 1}} {
			try(fmt.Sprintf("%v = %#v", path, value), edit(t, doc, path, func(holder, last any) {
				switch s := last.(type) {
				case string:
					holder.(map[string]any)[s] = value
				case int:
					holder.([]any)[s] = value
				}
			}))
		}
		name, ok := path[len(path)-1].(string)
		if !ok {
			return
		}
		try(fmt.Sprintf("without %v", path), edit(t, doc, path, func(holder, _ any) { delete(holder.(map[string]any), name) }))
		try(fmt.Sprintf("misspelt %v", path), edit(t, doc, path, func(holder, _ any) {
			m := holder.(map[string]any)
			m[name+"x"] = m[name]
			delete(m, name)
		}))
	})
	t.Logf("%d documents", n)
	return n
}
