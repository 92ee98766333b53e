package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban/contractspec"
)

const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
)

// addContract describes a call of a contract.
func (b *builder) addContract(r *gateway.Route) error {
	spec := b.cfg.Specs[r.Contract]
	if spec == nil {
		return fmt.Errorf("nothing is known of contract %s", r.Contract)
	}
	fn, err := spec.Function(r.Function)
	if err != nil {
		return err
	}
	method, path, params, subtree, err := splitPattern(r.Pattern)
	if err != nil {
		return err
	}
	t := &typer{spec: spec, prefix: prefixOf(r.Contract), schemas: b.schemas}
	result := object{"type": "null"}
	if fn.Output != nil {
		result = t.result(*fn.Output)
	}
	description := fn.Doc
	if len(r.NaturalKey) > 0 {
		description = strings.TrimSpace(description + "\n\nRequests with the same " + sources(r.NaturalKey) +
			" are one operation, whatever their keys: the second gets the first one's answer.")
	}
	all := responses(slices.Concat(guard(&r.Options), calling(), b.admission(r.Allow != nil)))
	all[strconv.Itoa(http.StatusOK)] = succeeded(result)
	all[strconv.Itoa(http.StatusAccepted)] = accepted()
	op := object{
		"tags": []string{"contracts"}, "summary": "Calls " + r.Function + " of " + r.Contract,
		"parameters":  append(pathParams(params, subtree), keyHeader(&r.Options), prefer()),
		"requestBody": object{"required": true, "content": object{mediaJSON: object{"schema": t.body(r, fn)}}},
		"responses":   all,
	}
	if description != "" {
		op["description"] = description
	}
	return b.add(path, method, op)
}

// body describes what a contract route takes.
func (t *typer) body(r *gateway.Route, fn contractspec.Function) object {
	properties, required := object{}, []string{}
	for _, p := range fn.Inputs {
		arg := r.Args[p.Name]
		if arg == nil || len(arg.Path) == 0 {
			continue // computed or derived, not sent as it is
		}
		schema := t.schema(p.Type)
		if p.Doc != "" {
			schema["description"] = p.Doc
		}
		place(properties, &required, arg.Path, schema)
	}
	known, all := r.Members()
	for _, name := range known { // what an expression computes with
		if _, ok := properties[name]; !ok {
			properties[name] = object{}
		}
	}
	for name, limit := range r.Ignore {
		properties[name] = object{"type": "string", "maxLength": limit, "description": "Not sent to the contract."}
	}
	if key := r.Options.BodyKey; key != "" {
		properties[key] = object{"type": "string", "pattern": "^[!-~]{1,255}$", "description": "The key, instead of the header."}
	}
	slices.Sort(required)
	return object{"type": "object", "properties": properties, "required": required, "additionalProperties": all}
}

// place puts the schema of an argument where its path leads.
func place(properties object, required *[]string, path []string, schema object) {
	if !slices.Contains(*required, path[0]) {
		*required = append(*required, path[0])
	}
	if len(path) == 1 {
		properties[path[0]] = schema
		return
	}
	inner, ok := properties[path[0]].(object)
	if !ok {
		inner = object{"type": "object", "properties": object{}, "required": []string{}}
		properties[path[0]] = inner
	}
	within, ok := inner["properties"].(object)
	needed, listed := inner["required"].([]string)
	if ok && listed { // else the whole member is an argument, too
		place(within, &needed, path[1:], schema)
		inner["required"] = needed
	}
}

func succeeded(result object) object {
	return object{
		"description": "The transaction is in a ledger and has succeeded.", "headers": keyedHeaders(),
		"content": object{mediaJSON: object{"schema": object{
			"type": "object", "required": []string{"operation_id", "status", "ledger", "result"},
			"properties": object{
				"operation_id": object{"type": "string", "format": "uuid"},
				"status":       object{"const": "SUCCEEDED"},
				"tx_hash":      object{"type": "string", "pattern": "^[0-9a-f]{64}$"},
				"ledger":       object{"type": "integer", "minimum": 0},
				"result":       result,
			},
		}}},
	}
}

func accepted() object {
	return object{
		"description": "The operation goes on. Ask at Location, or send the same request again: every one gets this answer until the operation is final.",
		"headers":     headers([]string{"Location", headerRetry, headerLink, oncehttp.HeaderExpires}, headerApplied),
		"content": object{mediaJSON: object{"schema": object{
			"type": "object", "required": []string{"operation_id", "status"},
			"properties": object{"operation_id": object{"type": "string", "format": "uuid"}, "status": object{"const": "PENDING"}},
		}}},
	}
}

func prefer() object {
	return object{
		"name": "Prefer", "in": "header", "required": false, "schema": object{"type": "string"}, "example": "respond-async, wait=5",
		"description": "respond-async (RFC 7240) asks for 202 as soon as the operation is stored, with wait=N after at most N seconds.",
	}
}

// addRelay describes the endpoint that takes what users have signed.
func (b *builder) addRelay(r *Relay) error {
	method, path, params, subtree, err := splitPattern(r.Pattern)
	if err != nil {
		return err
	}
	opts := oncehttp.Options{}
	base64 := func(text string) object {
		return object{"type": "string", "minLength": 1, "description": text}
	}
	one := func(properties object, required string) object {
		return object{"type": "object", "properties": properties, "required": []string{required}, "additionalProperties": false}
	}
	all := responses(slices.Concat(guard(&opts), calling(), gateway.RelayProblems(), b.admission(false)))
	all[strconv.Itoa(http.StatusOK)] = succeeded(object{"description": "What the contract returned."})
	return b.add(path, method, object{
		"tags": []string{"contracts"}, "summary": "Relays what a user has signed",
		"description": "What was signed is one operation, whatever keys it comes under.",
		"parameters":  append(pathParams(params, subtree), keyHeader(&opts)),
		"requestBody": object{"required": true, "content": object{mediaJSON: object{"schema": object{"oneOf": []object{
			one(object{"xdr": base64("A signed transaction, the XDR of its envelope in base64.")}, "xdr"),
			one(object{
				"authorization": base64("A signed authorization entry, its XDR in base64."),
				"invocation":    base64("The call that it authorizes, when that is not its root."),
			}, "authorization"),
		}}}}},
		"responses": all,
	})
}

// addProxy describes what the gateway adds to a backend's route.
func (b *builder) addProxy(p *Proxy) error {
	method, path, params, subtree, err := splitPattern(p.Pattern)
	if err != nil {
		return err
	}
	methods := []string{method}
	switch method {
	case "":
		methods = []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
			http.MethodPatch, http.MethodDelete, http.MethodOptions,
		}
	case http.MethodGet: // as ServeMux has it
		methods = append(methods, http.MethodHead)
	}
	for _, m := range methods {
		op := object{"tags": []string{"backends"}, "summary": "Handed on to a backend", "parameters": pathParams(params, subtree)}
		problems, described := without(p.Problems, proxy.CodeError), object{}
		if guarded(&p.Options, m) {
			header := keyHeader(&p.Options)
			if p.Sometimes {
				header["required"] = false
			}
			op["parameters"] = append(pathParams(params, subtree), header)
			problems = slices.Concat(guard(&p.Options), p.Problems)
			described = headers(nil, slices.Sorted(maps.Keys(keyedHeaders()))...)
			limit := p.Options.MaxBodyBytes
			if limit == 0 {
				limit = oncehttp.DefaultMaxBodyBytes
			}
			op["description"] = fmt.Sprintf("With a key the request reaches the backend once. Its body may have %d bytes.", limit)
		}
		if m != http.MethodGet && m != http.MethodHead {
			problems = append(problems, codesOf(oncehttp.Problems(), oncehttp.CodeRequestTimeout, oncehttp.CodePayloadInvalid)...)
			op["requestBody"] = object{"content": object{"*/*": object{"schema": object{}}}}
		}
		all := make(object)
		for status, types := range byStatus(append(problems, b.admission(p.Guarded)...)) {
			all[strconv.Itoa(status)] = problemResponse(status, types, true)
		}
		all["default"] = object{
			"description": "The backend's answer.", "headers": described, "content": object{"*/*": object{"schema": object{}}},
		}
		op["responses"] = all
		if err := b.add(path, m, op); err != nil {
			return err
		}
	}
	return nil
}

// extensionSubtree marks a parameter that stands for the rest of the path,
// slashes included, which may be empty.
const extensionSubtree = "x-subtree"

func pathParams(names []string, subtree bool) []object {
	out := make([]object, 0, len(names)+1)
	for i, name := range names {
		param := object{"name": name, "in": "path", "required": true, "schema": object{"type": "string"}}
		if subtree && i == len(names)-1 {
			param["description"], param[extensionSubtree] = "The rest of the path, slashes included. May be empty.", true
		}
		out = append(out, param)
	}
	return out
}

// keyHeader describes the header that carries the key.
func keyHeader(opts *oncehttp.Options) object {
	name := opts.Header
	if name == "" {
		name = oncehttp.DefaultHeader
	}
	pattern, form := "^[!-~]{1,510}$", "in quotes (RFC 9651) or bare"
	if opts.StrictKeys {
		pattern, form = `^"[ -~]{1,510}"$`, "in quotes (RFC 9651)"
	}
	if opts.BodyKey != "" {
		form += "; or the member " + opts.BodyKey + " of the body"
	}
	return object{
		"name": name, "in": "header", "required": !opts.Optional && opts.BodyKey == "",
		"description": "Names the operation: make one for each, keep it, and send it with every retry. 1 to 255 visible ASCII characters, " + form + ".",
		"schema":      object{"type": "string", "pattern": pattern}, "example": `"8e03978e-40d5-43dd-bc93-6894a57f9324"`,
	}
}

// sources are the expressions of a natural key, for people.
func sources(programs []*expr.Program) string {
	out := make([]string, len(programs))
	for i, p := range programs {
		out[i] = p.Source
	}
	return strings.Join(out, " and ")
}
