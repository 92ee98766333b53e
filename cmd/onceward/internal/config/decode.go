package config

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
)

// document is a file while it is read: what is wrong, and where what is.
type document struct {
	problems []Problem
	at       map[string]Pos
}

func (d *document) bad(pos Pos, path, format string, args ...any) {
	d.problems = append(d.problems, Problem{Pos: pos, Path: path, Message: fmt.Sprintf(format, args...)})
}

// decode fills v from n. What is wrong with one field does not keep the
// others from being read.
func (d *document) decode(n *node, v reflect.Value, path string, f field) {
	d.at[path] = n.pos
	if n.kind == kindNull {
		d.bad(n.pos, path, "is empty; give it a value or leave it out")
		return
	}
	switch v.Interface().(type) {
	case Duration, Size:
		d.unit(n, v, path, f)
		return
	case Expr:
		if d.want(n, kindString, path, "an expression") {
			d.expression(n, v, path, f)
		}
		return
	case Store:
		d.store(n, v, path)
		return
	}
	switch v.Kind() { //nolint:exhaustive // the kinds that the structs of this package have
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		d.decode(n, v.Elem(), path, f)
	case reflect.Struct:
		if d.want(n, kindMap, path, "a mapping") {
			d.object(n, v, path)
		}
	case reflect.Slice:
		d.list(n, v, path, f)
	case reflect.Map:
		d.dictionary(n, v, path, f)
	case reflect.String:
		if d.want(n, kindString, path, "text") {
			d.text(n, v, path, f)
		}
	case reflect.Bool:
		if d.want(n, kindBool, path, "true or false") {
			v.SetBool(n.value == true)
		}
	case reflect.Int:
		if d.want(n, kindInt, path, "an integer") {
			d.integer(n, v, path, f)
		}
	}
}

// want reports whether n is of the kind, and complains if not.
func (d *document) want(n *node, k kind, path, what string) bool {
	if n.kind == k {
		return true
	}
	hint := ""
	if k == kindString && (n.kind == kindInt || n.kind == kindFloat || n.kind == kindBool) {
		hint = fmt.Sprintf("; write %q in quotes if that is meant", n.text)
	}
	d.bad(n.pos, path, "must be %s, but is %s%s", what, n.kind, hint)
	return false
}

// object reads a mapping into a struct.
func (d *document) object(n *node, v reflect.Value, path string) {
	fields := fieldsOf(v.Type())
	seen := make(map[string]Pos)
	for _, p := range n.pairs {
		at := join(path, p.name)
		if first, dup := seen[p.name]; dup {
			d.bad(p.pos, at, "is given twice; the first time in line %d", first.Line)
			continue
		}
		seen[p.name] = p.pos
		f, ok := fields.byKey(p.name)
		if !ok {
			d.unknown(p, at, fields)
			continue
		}
		if namesVariable(v.Type(), f, p.name) && p.value.kind != kindNull && (p.value.kind != kindString || !variableName(p.value.text)) {
			d.bad(p.pos, at, "is no name of an environment variable; name the one that holds the secret, and keep the secret out of this file")
			f.in(v, p.name).SetString("?") // one message about it is enough
			continue
		}
		d.decode(p.value, f.in(v, p.name), at, f)
	}
	for _, f := range fields {
		d.complete(n, v, path, f, seen)
	}
	if s, ok := reflect.TypeAssert[Secret](v); ok && (s.Env == "") == (s.File == "") {
		d.bad(n.pos, path, "needs exactly one of env and file")
	}
}

// namesVariable reports whether a field of t names an environment variable.
func namesVariable(t reflect.Type, f field, key string) bool {
	return f.secret && strings.HasSuffix(key, "_env") || t == secretType && key == "env"
}

const variablePattern = `^[A-Za-z_][A-Za-z0-9_]{0,127}$`

var (
	variableForm = regexp.MustCompile(variablePattern)
	stellarSeed  = regexp.MustCompile(`^S[A-Z2-7]{55}$`)
)

// variableName reports whether s names an environment variable, and is not the
// secret itself, written where its name belongs: that would get into messages.
func variableName(s string) bool { return variableForm.MatchString(s) && !stellarSeed.MatchString(s) }

func (d *document) unknown(p pair, at string, fields fieldList) {
	for _, f := range fields {
		if f.secret && p.name == f.name {
			d.bad(p.pos, at, "a secret is not written into this file: name the environment variable in %s_env or the file in %s_file", f.name, f.name)
			return
		}
	}
	hint := suggest(p.name, fields.keys())
	if place := elsewhere(p.name); place != "" && !strings.HasPrefix(hint, "did you") {
		hint = fmt.Sprintf("did you mean %s?", place)
	}
	d.bad(p.pos, at, "unknown field; %s", hint)
}

// elsewhere returns where the file has a field of that name, if it has one.
func elsewhere(name string) string {
	var found string
	var look func(t reflect.Type, path string)
	look = func(t reflect.Type, path string) {
		for t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct || t == secretType || found != "" {
			return
		}
		for _, f := range fieldsOf(t) {
			if slices.Contains(f.keys(), name) && path != "" {
				found = path + "." + name
				return
			}
			look(f.kind, join(path, f.name))
		}
	}
	look(reflect.TypeFor[Config](), "")
	return found
}

// complete checks what is missing and fills in defaults.
func (d *document) complete(n *node, v reflect.Value, path string, f field, seen map[string]Pos) {
	keys := f.keys()
	if f.secret {
		keys = append(keys, f.name) // in the file itself, which has been refused
	}
	given := slices.ContainsFunc(keys, func(k string) bool { _, ok := seen[k]; return ok })
	if given && f.secret {
		if second, both := seen[keys[1]]; both {
			if _, both = seen[keys[0]]; both {
				d.bad(second, join(path, keys[1]), "%s is given as well; leave one of them out", keys[0])
			}
		}
	}
	if given {
		return
	}
	if f.required {
		d.bad(n.pos, path, "%s is missing", strings.Join(f.keys(), " or "))
	}
	f.setDefault(v.Field(f.index))
}

func (d *document) list(n *node, v reflect.Value, path string, f field) {
	if !d.want(n, kindList, path, "a list") {
		return
	}
	if len(n.items) < f.minItems {
		d.bad(n.pos, path, "needs at least %d", f.minItems)
	}
	if f.maxItems > 0 && len(n.items) > f.maxItems {
		d.bad(n.pos, path, "has %d entries; at most %d are allowed", len(n.items), f.maxItems)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.items), len(n.items)))
	for i, item := range n.items {
		d.decode(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), f)
	}
}

// dictionary reads a mapping with names of the user's own. A secret in it is
// NAME: {env: …} or {file: …}.
func (d *document) dictionary(n *node, v reflect.Value, path string, f field) {
	if !d.want(n, kindMap, path, "a mapping") {
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	for _, p := range n.pairs {
		at := join(path, p.name)
		key := reflect.ValueOf(p.name)
		if p.name == "" {
			d.bad(p.pos, path, "a name may not be empty")
			continue
		}
		if v.MapIndex(key).IsValid() {
			d.bad(p.pos, at, "is given twice; the first time in line %d", d.at[at].Line)
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(p.value, value, at, f)
		v.SetMapIndex(key, value)
	}
}

// The forms of a store that are mappings.
type (
	storeSecret struct {
		DSN Secret `yaml:"dsn" required:"true" doc:"The whole DSN."`
	}
	storeGroups struct {
		Groups []Group `yaml:"groups" required:"true" minItems:"2" maxItems:"64" doc:"Several PostgreSQL databases, each of which keeps some of the keys."`
	}
)

func (d *document) store(n *node, v reflect.Value, path string) {
	if n.kind == kindString {
		v.Set(reflect.ValueOf(Store{DSN: n.text}))
		return
	}
	if !d.want(n, kindMap, path, "a text, {dsn_env: NAME} or {groups: […]}") {
		return
	}
	if slices.ContainsFunc(n.pairs, func(p pair) bool { return p.name == "groups" }) {
		var s storeGroups
		d.object(n, reflect.ValueOf(&s).Elem(), path)
		v.Set(reflect.ValueOf(Store{Groups: s.Groups}))
		return
	}
	var s storeSecret
	d.object(n, reflect.ValueOf(&s).Elem(), path)
	v.Set(reflect.ValueOf(Store{Secret: s.DSN}))
}

// expression compiles an expression; its errors have places of their own.
func (d *document) expression(n *node, v reflect.Value, path string, f field) {
	program, err := expr.Compile(n.text, expr.Result(f.result), f.vars...)
	if err == nil {
		v.Set(reflect.ValueOf(Expr{Source: n.text, Program: program}))
		return
	}
	joined, ok := err.(interface{ Unwrap() []error })
	all := []error{err}
	if ok {
		all = joined.Unwrap()
	}
	for _, one := range all {
		at, message := n.pos, one.Error()
		if e, ok := errors.AsType[*expr.Error](one); ok {
			at, message = n.inner, e.Message
			if e.Line > 1 {
				at = Pos{at.Line + e.Line - 1, 0}
			}
			at.Column += e.Column - 1
		}
		d.bad(at, path, "%s", message)
	}
}

func (d *document) text(n *node, v reflect.Value, path string, f field) {
	if msg := f.checkText(n.text); msg != "" {
		d.bad(n.pos, path, "%s", msg)
		return
	}
	v.SetString(n.text)
}

func (d *document) integer(n *node, v reflect.Value, path string, f field) {
	i, err := strconv.ParseInt(strings.ReplaceAll(n.text, "_", ""), 0, 64)
	low, high := f.bounds()
	switch {
	case err != nil || i > math.MaxInt32:
		d.bad(n.pos, path, "%s is too large", n.text)
	case i < low || i > high:
		d.bad(n.pos, path, "%s", f.outOfRange(strconv.FormatInt(i, 10)))
	default:
		v.SetInt(i)
	}
}

// unit reads a Duration or a Size.
func (d *document) unit(n *node, v reflect.Value, path string, f field) {
	if n.kind != kindString {
		example := "30s"
		if _, size := reflect.TypeAssert[Size](v); size {
			example = "64KiB"
		}
		d.bad(n.pos, path, "must be a number with its unit, such as %s, but is %s", example, n.kind)
		return
	}
	i, err := parseUnit(v.Type(), n.text)
	if err != nil {
		d.bad(n.pos, path, "%s", err.Error())
		return
	}
	if low, high := f.bounds(); i < low || i > high {
		d.bad(n.pos, path, "%s", f.outOfRange(n.text))
		return
	}
	v.SetInt(i)
}

func join(path, name string) string {
	if !plainName.MatchString(name) {
		name = strconv.Quote(name)
	}
	if path == "" {
		return name
	}
	return path + "." + name
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
