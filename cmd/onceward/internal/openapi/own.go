package openapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/oncehttp"
)

// addOwn describes the gateway's own endpoints. Those of a route win.
func (b *builder) addOwn() {
	b.addLookups()
	anything, parts := object{"type": "object"}, object{"type": "object", "additionalProperties": object{"type": "string"}}
	html := object{"schema": object{"type": "string"}}
	b.addOpen("/healthz", "Whether the process is alive", asJSON(parts))
	b.addOpen("/readyz", "Whether writes can be taken; 503 if not", asJSON(parts))
	b.addOpen(gateway.PolicyPath, "The idempotency policy", object{"text/html": html, mediaJSON: object{"schema": anything}})
	b.addOpen(Path, "This description", asJSON(anything))
	b.addOpen(PagePath, "This description as a page", object{"text/html": html})
	item, _ := b.paths["/readyz"].(object)
	op, _ := item["get"].(object)
	answers, _ := op["responses"].(object)
	if answers == nil || op["tags"].([]string)[0] != tagOwn {
		return
	}
	busy, _ := answers["503"].(object)
	if busy == nil {
		answers["503"] = object{"description": "Something is missing.", "content": asJSON(parts)}
		return
	}
	content, _ := busy["content"].(object)
	content[mediaJSON] = object{"schema": parts}
	busy["description"], busy["headers"] = "Something is missing, and the body says what; or a problem:\n\n"+busy["description"].(string), headers(nil, headerLink, headerRetry)
}

const tagOwn = "gateway"

func asJSON(schema object) object { return object{mediaJSON: object{"schema": schema}} }

// get describes one of the gateway's own endpoints, unless a route has taken
// its place.
func (b *builder) get(path, summary string, parameters []object, problems []oncehttp.ProblemType, content object) object {
	all := responses(problems)
	all[strconv.Itoa(http.StatusOK)] = object{"description": "The answer.", "content": content}
	op := object{"tags": []string{tagOwn}, "summary": summary, "parameters": parameters, "responses": all}
	_ = b.add(path, http.MethodGet, op)
	return op
}

// addOpen describes an endpoint that needs no credentials.
func (b *builder) addOpen(path, summary string, content object) {
	b.get(path, summary, []object{}, b.cfg.Problems, content)["security"] = []object{}
}

// addLookups describes where clients ask what became of a key.
func (b *builder) addLookups() {
	problems := slices.Concat(
		codesOf(gateway.Problems(), "invalid-request", codeNotFound), codesOf(oncehttp.Problems(), onceward.CodeStoreUnavailable), b.admission(false))
	operation := asJSON(object{"$ref": "#/components/schemas/Operation"})
	b.get("/v1/operations", "What became of a key", []object{{
		"name": "key", "in": "query", "required": true, "description": "The idempotency key, without quotes.",
		"schema": object{"type": "string", "minLength": 1, "maxLength": 255},
	}}, problems, operation)
	b.get("/v1/operations/{id}", "What became of an operation", []object{{
		"name": "id", "in": "path", "required": true, "schema": object{"type": "string", "format": "uuid"},
	}}, problems, operation)
}
