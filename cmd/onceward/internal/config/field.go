package config

import (
	"fmt"
	"math"
	"net"
	"net/netip"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// field is what the tags of a struct's field say of it.
type field struct {
	index    int
	name     string
	doc      string
	secret   bool // named name_env and name_file
	required bool
	fallback string // the default, as it is written
	enum     []string
	pattern  *regexp.Regexp
	format   string
	min, max string
	minItems int
	maxItems int
	vars     []string // of an expression
	result   string
	kind     reflect.Type
}

type fieldList []field

var secretType = reflect.TypeFor[Secret]()

var known sync.Map // reflect.Type → fieldList

// fieldsOf reads the tags of a struct.
func fieldsOf(t reflect.Type) fieldList {
	if l, ok := known.Load(t); ok {
		return l.(fieldList) //nolint:forcetypeassert // only what is stored below
	}
	l := readTags(t)
	known.Store(t, l)
	return l
}

// readTags reads the tags. They are the package's own, so that what is wrong
// with them is a bug and panics, in every test.
func readTags(t reflect.Type) fieldList {
	if t == secretType { // in a dictionary of secrets
		text := reflect.TypeFor[string]()
		return fieldList{
			{index: 0, name: "env", kind: text, doc: "Environment variable with the secret."},
			{index: 1, name: "file", kind: text, doc: "File with the secret."},
		}
	}
	var out fieldList
	for i := range t.NumField() {
		sf := t.Field(i)
		name, ok := sf.Tag.Lookup("yaml")
		if !ok {
			continue
		}
		f := field{
			index: i, name: name, doc: sf.Tag.Get("doc"), secret: sf.Type == secretType,
			required: sf.Tag.Get("required") == "true", fallback: sf.Tag.Get("default"),
			format: sf.Tag.Get("format"), min: sf.Tag.Get("min"), max: sf.Tag.Get("max"),
			minItems: number(sf.Tag.Get("minItems")), maxItems: number(sf.Tag.Get("maxItems")),
			result: sf.Tag.Get("result"), kind: sf.Type,
		}
		if s := sf.Tag.Get("enum"); s != "" {
			f.enum = strings.Split(s, ",")
		}
		if s := sf.Tag.Get("vars"); s != "" {
			f.vars = strings.Split(s, ",")
		}
		if s := sf.Tag.Get("pattern"); s != "" {
			f.pattern = regexp.MustCompile(s)
		}
		out = append(out, f)
	}
	return out
}

func number(s string) int {
	if s == "" {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil {
		panic(err)
	}
	return n
}

// keys are the names that the file uses for the field.
func (f field) keys() []string {
	if f.secret {
		return []string{f.name + "_env", f.name + "_file"}
	}
	return []string{f.name}
}

func (l fieldList) keys() []string {
	var out []string
	for _, f := range l {
		out = append(out, f.keys()...)
	}
	return out
}

func (l fieldList) byKey(key string) (field, bool) {
	i := slices.IndexFunc(l, func(f field) bool { return slices.Contains(f.keys(), key) })
	if i < 0 {
		return field{}, false
	}
	return l[i], true
}

// in returns where the value of key belongs in the struct v.
func (f field) in(v reflect.Value, key string) reflect.Value {
	v = v.Field(f.index)
	if !f.secret {
		return v
	}
	if strings.HasSuffix(key, "_env") {
		return v.Field(0)
	}
	return v.Field(1)
}

// setDefault fills in what the file leaves out, in nested structs as well.
func (f field) setDefault(v reflect.Value) {
	switch {
	case v.Kind() == reflect.Struct:
		for _, inner := range fieldsOf(v.Type()) {
			inner.setDefault(v.Field(inner.index))
		}
	case f.fallback == "":
	case v.Kind() == reflect.Slice:
		v.Set(reflect.ValueOf(strings.Split(f.fallback, ", ")))
	case v.Kind() == reflect.String:
		v.SetString(f.fallback)
	case v.Kind() == reflect.Bool:
		v.SetBool(f.fallback == "true")
	default:
		i, err := parseUnit(v.Type(), f.fallback)
		if err != nil {
			panic(err)
		}
		v.SetInt(i)
	}
}

// parseUnit reads a number of one of the three kinds that there are.
func parseUnit(t reflect.Type, s string) (int64, error) {
	switch t {
	case reflect.TypeFor[Duration]():
		d, err := parseDuration(s)
		return int64(d), err
	case reflect.TypeFor[Size]():
		n, err := parseSize(s)
		return int64(n), err
	}
	return strconv.ParseInt(s, 10, 64)
}

// element is the type that min and max speak of.
func (f field) element() reflect.Type {
	t := f.kind
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Map || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func (f field) bounds() (low, high int64) {
	low, high = 0, math.MaxInt64
	var err error
	if f.min != "" {
		if low, err = parseUnit(f.element(), f.min); err != nil {
			panic(err)
		}
	}
	if f.max != "" {
		if high, err = parseUnit(f.element(), f.max); err != nil {
			panic(err)
		}
	}
	return low, high
}

func (f field) outOfRange(given string) string {
	switch {
	case f.max == "":
		return fmt.Sprintf("%s is too little; at least %s", given, zero(f.min))
	case f.min == "":
		return fmt.Sprintf("%s is too much; at most %s", given, f.max)
	}
	return fmt.Sprintf("%s is not between %s and %s", given, f.min, f.max)
}

func zero(s string) string {
	if s == "" {
		return "0"
	}
	return s
}

// checkText returns what is wrong with a text, or "".
func (f field) checkText(s string) string {
	switch {
	case f.enum != nil && !slices.Contains(f.enum, s):
		return fmt.Sprintf("unknown value %q; %s", s, suggest(s, f.enum))
	case f.pattern != nil && !f.pattern.MatchString(s):
		return fmt.Sprintf("%q does not have the form %s", s, f.pattern)
	}
	return checkFormat(f.format, s)
}

// checkFormat returns what is wrong with a text of a known format, or "".
func checkFormat(format, s string) string {
	switch format {
	case "address":
		if _, port, err := net.SplitHostPort(s); err != nil || port == "" {
			return fmt.Sprintf("%q is no address; write host:port, such as 127.0.0.1:8080", s)
		}
	case "url", "backend":
		u, err := url.Parse(s)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" && (u.Scheme != "h2c" || format == "url"):
			return fmt.Sprintf("%q is no URL; write http://host or https://host", s)
		case u.User != nil:
			return "the URL contains a password; secrets are not written into this file"
		}
	case "cidr":
		if _, err := netip.ParsePrefix(s); err != nil {
			return fmt.Sprintf("%q is no network; write 10.0.0.0/8 or 2001:db8::/32", s)
		}
	}
	return ""
}
