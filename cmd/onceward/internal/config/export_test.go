package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Decode reads without the checks that need a look at two fields.
func Decode(data []byte) error {
	d := &document{at: make(map[string]Pos)}
	root, problem := parse(data)
	if problem != nil {
		return &Problems{List: []Problem{*problem}}
	}
	if d.want(root, kindMap, "", "a mapping") {
		d.object(root, reflect.ValueOf(&Config{}).Elem(), "")
	}
	if len(d.problems) > 0 {
		return &Problems{List: d.problems}
	}
	return nil
}

// Plain reads a document as encoding/json would.
func Plain(data []byte) any {
	root, problem := parse(data)
	if problem != nil {
		panic(problem.Message)
	}
	return root.plain()
}

// Fields lists every name that a file may use, by the path that leads there.
func Fields() []string {
	var out []string
	var walk func(t reflect.Type, path string)
	walk = func(t reflect.Type, path string) {
		for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t == reflect.TypeFor[Expr]() || t == secretType || t == reflect.TypeFor[Store]() {
			return
		}
		for _, f := range fieldsOf(t) {
			out = append(out, path+f.name)
			walk(f.kind, path+f.name+".")
		}
	}
	walk(reflect.TypeFor[Config](), "")
	return out
}

// Reference describes every field in Markdown.
func Reference() string {
	var b strings.Builder
	var section func(title string, t reflect.Type)
	section = func(title string, t reflect.Type) {
		fmt.Fprintf(&b, "### %s\n\n| field | type | default | meaning |\n|---|---|---|---|\n", title)
		type nested struct {
			title string
			t     reflect.Type
		}
		var below []nested
		for _, f := range fieldsOf(t) {
			fallback := "`" + f.fallback + "`"
			switch {
			case f.fallback != "":
			case f.required:
				fallback = "**required**"
			default:
				fallback = ""
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", strings.Join(f.keys(), "` or `"), typeWords(f), fallback, words(f))
			if inner := f.element(); inner.Kind() == reflect.Struct && inner != secretType && inner != reflect.TypeFor[Expr]() && inner != reflect.TypeFor[Store]() {
				name := strings.TrimPrefix(title+".", "The file.") + f.name
				if f.kind.Kind() == reflect.Slice {
					name += "[]"
				}
				if f.kind.Kind() == reflect.Map {
					name += ".NAME"
				}
				below = append(below, nested{name, inner})
			}
		}
		b.WriteByte('\n')
		for _, n := range below {
			section(n.title, n.t)
		}
	}
	section("The file", reflect.TypeFor[Config]())
	return b.String()
}

func typeWords(f field) string {
	word := map[reflect.Type]string{
		secretType: "secret", reflect.TypeFor[Expr](): "expression", reflect.TypeFor[Duration](): "duration",
		reflect.TypeFor[Size](): "size", reflect.TypeFor[Store](): "text, `{dsn_env: …}` or `{groups: […]}`",
	}[f.element()]
	if word == "" {
		word = map[reflect.Kind]string{
			reflect.String: "text", reflect.Bool: "true or false", reflect.Int: "integer", reflect.Struct: "section",
		}[f.element().Kind()]
	}
	switch {
	case f.enum != nil:
		word = strings.Join(f.enum, ", ")
	case f.format != "":
		word = f.format
	}
	switch f.kind.Kind() { //nolint:exhaustive // the others are single values
	case reflect.Slice:
		word = "list: " + word
	case reflect.Map:
		word = "mapping: " + word
	}
	return word
}

func words(f field) string {
	out := strings.ReplaceAll(f.doc, "|", "\\|")
	switch {
	case f.min != "" && f.max != "":
		out += fmt.Sprintf(" (%s to %s)", f.min, f.max)
	case f.min != "":
		out += fmt.Sprintf(" (%s or more)", f.min)
	case f.max != "":
		out += fmt.Sprintf(" (up to %s)", f.max)
	}
	if f.vars != nil {
		out += " Sees " + strings.Join(f.vars, ", ") + "."
	}
	return out
}
