package config

import "reflect"

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
