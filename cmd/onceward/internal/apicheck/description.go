package apicheck

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/pb33f/libopenapi/datamodel"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Description is an OpenAPI document, ready to judge. It is safe for
// concurrent use.
type Description struct {
	doc   document
	paths []template

	mu       sync.Mutex
	compiler *jsonschema.Compiler
	schemas  map[string]*jsonschema.Schema // by their places in the document
}

type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Headers   map[string]header
		Responses map[string]response
	}
}

type operation struct {
	Parameters  []parameter
	RequestBody *struct {
		Required bool
		Content  map[string]json.RawMessage
	}
	Responses map[string]response
}

type parameter struct {
	Name, In string
	Required bool
	Subtree  bool `json:"x-subtree"`
}

type response struct {
	Content map[string]json.RawMessage
	Headers map[string]header
}

type header struct {
	Ref      string `json:"$ref"`
	Required bool
	Schema   struct{ Type string }
}

// template is a path of the document.
type template struct {
	path    string
	matches *regexp.Regexp
	params  []string
	literal int // characters outside of parameters: more is more specific
}

const resource = "openapi.json"

// published is the schema of OpenAPI 3.1 that the OpenAPI Initiative publishes.
var published = sync.OnceValues(func() (*jsonschema.Schema, error) {
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(datamodel.OpenAPI31SchemaData))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi-3.1", doc); err != nil {
		return nil, err
	}
	return c.Compile("openapi-3.1")
})

// Parse reads a document, which must be OpenAPI 3.1 and hold valid schemas.
func Parse(doc []byte) (*Description, error) {
	d := &Description{compiler: jsonschema.NewCompiler(), schemas: make(map[string]*jsonschema.Schema)}
	if err := json.Unmarshal(doc, &d.doc); err != nil {
		return nil, fmt.Errorf("apicheck: %w", err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(doc))
	if err != nil {
		return nil, fmt.Errorf("apicheck: %w", err)
	}
	official, err := published()
	if err == nil {
		err = official.Validate(parsed)
	}
	if err != nil {
		return nil, fmt.Errorf("apicheck: no OpenAPI 3.1: %w", err)
	}
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(resource, parsed); err != nil {
		return nil, fmt.Errorf("apicheck: %w", err)
	}
	for path, item := range d.doc.Paths {
		t, err := newTemplate(path, item)
		if err != nil {
			return nil, err
		}
		d.paths = append(d.paths, t)
	}
	slices.SortFunc(d.paths, func(a, b template) int { return b.literal - a.literal })
	return d, d.compileAll(parsed, "#")
}

var inBraces = regexp.MustCompile(`\{[^}]*\}`)

func newTemplate(path string, item map[string]operation) (template, error) {
	t := template{path: path, literal: len(inBraces.ReplaceAllString(path, ""))}
	subtree := make(map[string]bool)
	for _, op := range item {
		for _, p := range op.Parameters {
			subtree[p.Name] = subtree[p.Name] || p.In == "path" && p.Subtree
		}
	}
	var form strings.Builder
	for rest := path; rest != ""; {
		at := inBraces.FindStringIndex(rest)
		if at == nil {
			form.WriteString(regexp.QuoteMeta(rest))
			break
		}
		name := rest[at[0]+1 : at[1]-1]
		t.params = append(t.params, name)
		form.WriteString(regexp.QuoteMeta(rest[:at[0]]))
		if subtree[name] {
			form.WriteString("(.*)")
		} else {
			form.WriteString("([^/]+)")
		}
		rest = rest[at[1]:]
	}
	for method, op := range item {
		if declared := op.pathParams(); !slices.Equal(declared, slices.Sorted(slices.Values(t.params))) {
			return t, fmt.Errorf("apicheck: %s %s declares the parameters %q", method, path, declared)
		}
	}
	var err error
	if t.matches, err = regexp.Compile("^" + form.String() + "$"); err != nil {
		return t, fmt.Errorf("apicheck: path %s: %w", path, err)
	}
	return t, nil
}

// pathParams are the names of an operation's parameters in the path.
func (o *operation) pathParams() []string {
	var out []string
	for _, p := range o.Parameters {
		if p.In == "path" {
			out = append(out, p.Name)
		}
	}
	slices.Sort(out)
	return out
}

// compileAll compiles whatever stands under "schema" or in the components.
func (d *Description) compileAll(v any, at string) error {
	var errs []error
	switch v := v.(type) {
	case map[string]any:
		for name, inner := range v {
			place := at + "/" + escape(name)
			if name == "schema" || at == "#/components/schemas" {
				if _, err := d.schema(place); err != nil {
					errs = append(errs, err)
				}
				continue
			}
			errs = append(errs, d.compileAll(inner, place))
		}
	case []any:
		for i, inner := range v {
			errs = append(errs, d.compileAll(inner, fmt.Sprint(at, "/", i)))
		}
	}
	return errors.Join(errs...)
}

// schema returns what stands at a place in the document, such as
// "#/components/schemas/Problem".
func (d *Description) schema(place string) (*jsonschema.Schema, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.schemas[place]; s != nil {
		return s, nil
	}
	s, err := d.compiler.Compile(resource + place)
	if err != nil {
		return nil, fmt.Errorf("apicheck: the schema at %s: %w", place, err)
	}
	d.schemas[place] = s
	return s, nil
}

// Valid reports whether data is JSON that the schema at a place admits.
func (d *Description) Valid(place string, data []byte) error {
	s, err := d.schema(place)
	if err != nil {
		return err
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return err
	}
	return s.Validate(v)
}

// found is an operation of the document, and where it stands.
type found struct {
	operation
	place  string
	params map[string]string // from the path
}

// find returns the operation that a request is for. known says that there are
// others at its path.
func (d *Description) find(method, path string) (op *found, known bool) {
	for _, t := range d.paths {
		values := t.matches.FindStringSubmatch(path)
		if values == nil {
			continue
		}
		known = true
		for _, m := range alternatives(method) {
			if o, ok := d.doc.Paths[t.path][m]; ok {
				op = &found{operation: o, place: "#/paths/" + escape(t.path) + "/" + m, params: make(map[string]string)}
				for i, name := range t.params {
					op.params[name] = values[i+1]
				}
				return op, true
			}
		}
	}
	return nil, known
}

// alternatives are the names that a method has in a document: whoever answers
// GET answers HEAD.
func alternatives(method string) []string {
	if method == http.MethodHead {
		return []string{"head", "get"}
	}
	return []string{strings.ToLower(method)}
}

// escape makes a name a token of a JSON Pointer in a URL.
func escape(name string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D", "%", "%25").Replace(name)
}
