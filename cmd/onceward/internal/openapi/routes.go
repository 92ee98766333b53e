package openapi

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/oncehttp"
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
	method, path, params, err := splitPattern(r.Pattern)
	if err != nil {
		return err
	}
	t := &typer{spec: spec, prefix: prefixOf(r.Contract), schemas: b.schemas}
	properties, required := object{}, []string{}
	for _, p := range fn.Inputs {
		arg := r.Args[p.Name]
		if arg == nil || len(arg.Path) != 1 {
			continue // computed or derived, not sent as it is
		}
		member := arg.Path[0]
		schema := t.schema(p.Type)
		if p.Doc != "" {
			schema["description"] = p.Doc
		}
		properties[member] = schema
		required = append(required, member)
	}
	for name, limit := range r.Ignore {
		properties[name] = object{"type": "string", "maxLength": limit, "description": "Not sent to the contract."}
	}
	slices.Sort(required)
	result := object{"type": "null"}
	if fn.Output != nil {
		result = t.result(*fn.Output)
	}
	success := object{
		"type": "object", "required": []string{"operation_id", "status", "ledger", "result"},
		"properties": object{
			"operation_id": object{"type": "string", "format": "uuid"},
			"status":       object{"const": "SUCCEEDED"},
			"tx_hash":      object{"type": "string", "pattern": "^[0-9a-f]{64}$"},
			"ledger":       object{"type": "integer", "minimum": 0},
			"result":       result,
		},
	}
	description := fn.Doc
	if len(r.NaturalKey) > 0 {
		description = strings.TrimSpace(description + "\n\nRequests with the same " + sources(r.NaturalKey) +
			" are one operation, whatever their keys: the second gets the first one's answer.")
	}
	opts := oncehttp.Options{}
	op := object{
		"tags": []string{"contracts"}, "summary": "Calls " + r.Function + " of " + r.Contract,
		"parameters": append(pathParams(params), keyHeader(&opts)),
		"requestBody": object{"required": true, "content": object{mediaJSON: object{"schema": object{
			"type": "object", "properties": properties, "required": required, "additionalProperties": false,
		}}}},
		"responses": responses(slices.Concat(oncehttp.Problems(), gateway.Problems()), http.StatusOK, object{
			"description": "The transaction is in a ledger and has succeeded.", "headers": keyedHeaders(),
			"content": object{mediaJSON: object{"schema": success}},
		}),
	}
	if description != "" {
		op["description"] = description
	}
	return b.add(path, method, op)
}

// addProxy describes what the gateway adds to a backend's route.
func (b *builder) addProxy(p *Proxy) error {
	method, path, params, err := splitPattern(p.Pattern)
	if err != nil {
		return err
	}
	methods := []string{method}
	if method == "" {
		methods = []string{
			http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut,
			http.MethodPatch, http.MethodDelete, http.MethodOptions,
		}
	}
	for _, m := range methods {
		keyed := guarded(&p.Options, m)
		op := object{"tags": []string{"backends"}, "summary": "Handed on to a backend", "parameters": pathParams(params)}
		problems, headers := p.Problems, object{}
		if keyed {
			op["parameters"] = append(pathParams(params), keyHeader(&p.Options))
			problems, headers = slices.Concat(oncehttp.Problems(), p.Problems), keyedHeaders()
			limit := p.Options.MaxBodyBytes
			if limit == 0 {
				limit = oncehttp.DefaultMaxBodyBytes
			}
			op["description"] = fmt.Sprintf("With a key the request reaches the backend once. Its body may have %d bytes.", limit)
		}
		if m != http.MethodGet && m != http.MethodHead {
			op["requestBody"] = object{"content": object{"*/*": object{"schema": object{}}}}
		}
		all := responses(problems, 0, nil)
		all["default"] = object{
			"description": "The backend's answer.", "headers": headers, "content": object{"*/*": object{"schema": object{}}},
		}
		op["responses"] = all
		if err := b.add(path, m, op); err != nil {
			return err
		}
	}
	return nil
}

// addOwn describes the gateway's own endpoints. Those of a route win.
func (b *builder) addOwn() {
	get := func(path, summary string, parameters []object, problems []oncehttp.ProblemType, content object) {
		_ = b.add(path, http.MethodGet, object{ // a route may have taken the place
			"tags": []string{"gateway"}, "summary": summary, "parameters": parameters,
			"responses": responses(problems, http.StatusOK, object{"description": "The answer.", "content": content}),
		})
	}
	asJSON := func(schema object) object { return object{mediaJSON: object{"schema": schema}} }
	if len(b.cfg.Routes) > 0 {
		lookup := problemsOf(gateway.Problems(), "unauthorized", "invalid-request", "not-found")
		lookup = append(lookup, problemsOf(oncehttp.Problems(), onceward.CodeStoreUnavailable)...)
		operation := asJSON(object{"$ref": "#/components/schemas/Operation"})
		get("/v1/operations", "What became of a key", []object{{
			"name": "key", "in": "query", "required": true, "description": "The idempotency key, without quotes.",
			"schema": object{"type": "string", "minLength": 1, "maxLength": 255},
		}}, lookup, operation)
		get("/v1/operations/{id}", "What became of an operation", []object{{
			"name": "id", "in": "path", "required": true, "schema": object{"type": "string", "format": "uuid"},
		}}, lookup, operation)
	}
	parts := object{"type": "object", "additionalProperties": object{"type": "string"}}
	get("/healthz", "Whether the process is alive", []object{}, nil, asJSON(parts))
	get("/readyz", "Whether writes can be taken; 503 if not", []object{}, nil, asJSON(parts))
	get(gateway.PolicyPath, "The idempotency policy", []object{}, nil, object{
		"text/html": object{"schema": object{"type": "string"}}, mediaJSON: object{"schema": object{"type": "object"}},
	})
	if item, ok := b.paths["/readyz"].(object); ok {
		item["get"].(object)["responses"].(object)["503"] = object{"description": "Something is missing.", "content": asJSON(parts)}
	}
	for _, path := range []string{"/healthz", "/readyz", gateway.PolicyPath} {
		if item, ok := b.paths[path].(object); ok && item["get"] != nil {
			item["get"].(object)["security"] = []object{}
		}
	}
}

func problemsOf(types []oncehttp.ProblemType, codes ...onceward.Code) []oncehttp.ProblemType {
	return slices.DeleteFunc(slices.Clone(types), func(t oncehttp.ProblemType) bool { return !slices.Contains(codes, t.Code) })
}

func pathParams(names []string) []object {
	out := make([]object, 0, len(names)+1)
	for _, name := range names {
		out = append(out, object{
			"name": name, "in": "path", "required": true, "schema": object{"type": "string"},
			"description": "May hold slashes where the route is a whole subtree.",
		})
	}
	return out
}

// keyHeader describes the header that carries the key.
func keyHeader(opts *oncehttp.Options) object {
	name := opts.Header
	if name == "" {
		name = oncehttp.DefaultHeader
	}
	pattern, example := "^[!-~]{1,510}$", `"8e03978e-40d5-43dd-bc93-6894a57f9324"`
	if opts.StrictKeys {
		pattern = `^"[ -~]{1,510}"$`
	}
	return object{
		"name": name, "in": "header", "required": !opts.Optional && opts.BodyKey == "",
		"description": "Names the operation: make one for each, keep it, and send it with every retry. 1 to 255 visible ASCII characters, " +
			"in quotes (RFC 9651) or bare where the route allows it.",
		"schema": object{"type": "string", "pattern": pattern}, "example": example,
	}
}

func keyedHeaders() object {
	out := make(object)
	for _, name := range slices.Sorted(maps.Keys(baseHeaders())) {
		if name != "Retry-After" {
			out[name] = object{"$ref": "#/components/headers/" + name}
		}
	}
	return out
}

// sources are the expressions of a natural key, for people.
func sources(programs []*expr.Program) string {
	out := make([]string, len(programs))
	for i, p := range programs {
		out[i] = p.Source
	}
	return strings.Join(out, " and ")
}
