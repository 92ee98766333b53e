package config

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
)

// schemaID names the schema; it is an identifier, not an address.
const schemaID = "urn:onceward:configuration"

type object = map[string]any

// Schema returns the JSON Schema (2020-12) of the file, for editors and for
// checks in a pipeline. Load refuses more: whatever needs a look at two
// fields or at an expression.
func Schema() []byte {
	s := structSchema(reflect.TypeFor[Config]())
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	s["$id"] = schemaID
	s["title"] = "onceward.yaml"
	out, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		panic(err) // made of strings and numbers
	}
	return append(out, '\n')
}

func structSchema(t reflect.Type) object {
	properties := object{}
	var required []string
	var rules []any
	for _, f := range fieldsOf(t) {
		keys := f.keys()
		for _, key := range keys {
			p := fieldSchema(f, f.kind)
			if f.secret {
				p = object{"type": "string", "minLength": 1}
			}
			if namesVariable(t, f, key) {
				p["pattern"] = variablePattern
			}
			p["description"] = describe(f, key)
			properties[key] = p
		}
		switch {
		case len(keys) == 2:
			rules = append(rules, exclusive(keys, f.required))
		case f.required:
			required = append(required, f.name)
		}
	}
	s := object{"type": "object", "properties": properties, "additionalProperties": false}
	if t == secretType {
		rules = append(rules, exclusive([]string{"env", "file"}, true))
	}
	if t == reflect.TypeFor[Route]() {
		rules = append(rules, object{"oneOf": []any{
			object{"required": []string{"contract"}}, object{"required": []string{"proxy"}},
		}})
	}
	if required != nil {
		s["required"] = required
	}
	if rules != nil {
		s["allOf"] = rules
	}
	return s
}

// exclusive admits one of two keys, or none unless it is required.
func exclusive(keys []string, required bool) object {
	both := object{"required": keys}
	if !required {
		return object{"not": both}
	}
	return object{"oneOf": []any{object{"required": keys[:1]}, object{"required": keys[1:]}}}
}

func describe(f field, key string) string {
	switch {
	case f.secret && strings.HasSuffix(key, "_env"):
		return "Environment variable with: " + f.doc
	case f.secret:
		return "File with: " + f.doc
	}
	return f.doc
}

// fieldSchema describes a value of type t under the tags of f.
func fieldSchema(f field, t reflect.Type) object {
	switch t {
	case reflect.TypeFor[Duration]():
		return withDefault(object{"type": "string", "pattern": durationPattern}, f)
	case reflect.TypeFor[Size]():
		return withDefault(object{"type": "string", "pattern": sizePattern}, f)
	case reflect.TypeFor[Expr]():
		return object{"type": "string", "minLength": 1}
	case reflect.TypeFor[Store]():
		return object{"anyOf": []any{
			object{"type": "string"}, structSchema(reflect.TypeFor[storeSecret]()), structSchema(reflect.TypeFor[storeGroups]()),
		}}
	}
	switch t.Kind() { //nolint:exhaustive // the kinds that the structs of this package have
	case reflect.Pointer:
		return fieldSchema(f, t.Elem())
	case reflect.Struct:
		return structSchema(t)
	case reflect.Slice:
		s := object{"type": "array", "items": fieldSchema(withoutDefault(f), t.Elem())}
		if f.minItems > 0 {
			s["minItems"] = f.minItems
		}
		if f.maxItems > 0 {
			s["maxItems"] = f.maxItems
		}
		if f.fallback != "" {
			s["default"] = strings.Split(f.fallback, ", ")
		}
		return s
	case reflect.Map:
		return object{"type": "object", "additionalProperties": fieldSchema(withoutDefault(f), t.Elem()), "propertyNames": object{"minLength": 1}}
	case reflect.Bool:
		return withDefault(object{"type": "boolean"}, f)
	case reflect.Int:
		s := object{"type": "integer"}
		if f.min != "" {
			s["minimum"], _ = strconv.Atoi(f.min)
		}
		if f.max != "" {
			s["maximum"], _ = strconv.Atoi(f.max)
		}
		return withDefault(s, f)
	}
	return textSchema(f)
}

func textSchema(f field) object {
	s := object{"type": "string"}
	if f.enum != nil {
		s["enum"] = f.enum
	}
	switch {
	case f.pattern != nil:
		s["pattern"] = f.pattern.String()
	case f.format == "address":
		s["pattern"] = `:[0-9A-Za-z-]+$`
	case f.format == "url":
		s["pattern"] = `^https?://[^/@]+`
	case f.format == "backend":
		s["pattern"] = `^(https?|h2c)://[^/@]+`
	}
	return withDefault(s, f)
}

func withoutDefault(f field) field {
	f.fallback = ""
	return f
}

func withDefault(s object, f field) object {
	switch {
	case f.fallback == "":
	case s["type"] == "integer":
		s["default"], _ = strconv.Atoi(f.fallback)
	case s["type"] == "boolean":
		s["default"] = f.fallback == "true"
	default:
		s["default"] = f.fallback
	}
	return s
}
