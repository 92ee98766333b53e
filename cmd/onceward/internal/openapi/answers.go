package openapi

import (
	"net/http"
	"slices"
	"strconv"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/oncehttp"
)

// Headers of answers.
const (
	headerLink    = "Link"
	headerRetry   = "Retry-After"
	headerApplied = "Preference-Applied"
)

// baseHeaders are those that the gateway adds to answers.
func baseHeaders() object {
	described := func(text string, schema object) object { return object{"description": text, "schema": schema} }
	text := object{"type": "string"}
	return object{
		oncehttp.HeaderReplayed: described("true on an answer that an earlier request recorded.", object{"const": "true"}),
		oncehttp.HeaderExpires:  described("Until when the answer is kept, an HTTP date.", text),
		headerLink:              described("The idempotency policy, with rel=describedby.", text),
		headerRetry:             described("Seconds after which the same request may get an answer.", object{"type": "integer", "minimum": 1}),
		headerApplied:           described("The preference that was followed.", object{"const": "respond-async"}),
		observe.HeaderTrace:     described("The trace in which the answer was made.", text),
		"Location":              described("Where the operation can be asked about.", object{"type": "string", "format": "uri-reference"}),
		"WWW-Authenticate":      described("How to send credentials.", text),
		"Allow":                 described("The methods that the address takes.", text),
	}
}

// headers describes some of baseHeaders: those that are always there, and
// those that may be.
func headers(always []string, sometimes ...string) object {
	base, out := baseHeaders(), make(object)
	for _, name := range sometimes {
		out[name] = object{"$ref": "#/components/headers/" + name}
	}
	for _, name := range always {
		h, _ := base[name].(object)
		h["required"] = true
		out[name] = h
	}
	return out
}

// keyedHeaders are those of an answer to a key.
func keyedHeaders() object {
	return headers([]string{headerLink, oncehttp.HeaderExpires}, oncehttp.HeaderReplayed, observe.HeaderTrace)
}

// byStatus groups problems, each code once.
func byStatus(problems []oncehttp.ProblemType) map[int][]oncehttp.ProblemType {
	out := make(map[int][]oncehttp.ProblemType)
	for _, t := range problems {
		if !slices.ContainsFunc(out[t.Status], func(o oncehttp.ProblemType) bool { return o.Code == t.Code }) {
			out[t.Status] = append(out[t.Status], t)
		}
	}
	return out
}

// responses describes problems by their status.
func responses(problems []oncehttp.ProblemType) object {
	out := make(object)
	for status, types := range byStatus(problems) {
		out[strconv.Itoa(status)] = problemResponse(status, types, false)
	}
	return out
}

// problemResponse describes the problems of one status. Behind a proxied route
// the backend may answer with the same status, and even with problems of its
// own, which have other types.
func problemResponse(status int, types []oncehttp.ProblemType, proxied bool) object {
	codes, examples, text, retryable := []string{}, object{}, "", 0
	for _, t := range types {
		codes = append(codes, string(t.Code))
		text += "- `" + string(t.Code) + "`: " + t.Title + ". " + t.Detail + "\n"
		examples[string(t.Code)] = object{"value": object{
			"type": oncehttp.DefaultPolicyURL + "#" + string(t.Code), "title": t.Title, "status": t.Status,
			"detail": t.Detail, "instance": "urn:uuid:8e03978e-40d5-43dd-bc93-6894a57f9324", "code": t.Code, "retryable": t.Retryable,
		}}
		if t.Retryable {
			retryable++
		}
	}
	schema := object{
		"allOf":      []object{{"$ref": "#/components/schemas/Problem"}},
		"properties": object{"code": object{"enum": codes}, "status": object{"const": status}},
	}
	always, sometimes := []string{headerLink}, []string{oncehttp.HeaderExpires, observe.HeaderTrace}
	switch retryable {
	case 0:
	case len(types):
		always = append(always, headerRetry)
	default:
		sometimes = append(sometimes, headerRetry)
	}
	if status == http.StatusUnauthorized {
		always = append(always, "WWW-Authenticate")
	}
	content := object{mediaProblem: object{"schema": schema, "examples": examples}}
	described := headers(always, sometimes...)
	if proxied {
		own := object{"properties": object{"type": object{"type": "string", "pattern": policyType}}, "required": []string{"type"}}
		content[mediaProblem] = object{"schema": object{"if": own, "then": schema}, "examples": examples}
		content["*/*"] = object{"schema": object{}}
		text += "\nThe backend may answer with this status, too.\n"
		described = headers(nil, append(sometimes, always...)...)
	}
	return object{"description": http.StatusText(status) + "\n\n" + text, "headers": described, "content": content}
}

// codesOf picks problems by their codes.
func codesOf(types []oncehttp.ProblemType, codes ...onceward.Code) []oncehttp.ProblemType {
	return slices.DeleteFunc(slices.Clone(types), func(t oncehttp.ProblemType) bool { return !slices.Contains(codes, t.Code) })
}

// without leaves problems out by their codes.
func without(types []oncehttp.ProblemType, codes ...onceward.Code) []oncehttp.ProblemType {
	return slices.DeleteFunc(slices.Clone(types), func(t oncehttp.ProblemType) bool { return slices.Contains(codes, t.Code) })
}

// Codes that some routes do not answer with.
const (
	codeForbidden        onceward.Code = "forbidden"
	codeNotFound         onceward.Code = "not-found"
	codeMethodNotAllowed onceward.Code = "method-not-allowed"
	codeAuthUnavailable  onceward.Code = "auth-unavailable"
)

// admission lists what is answered before a route is entered. guarded says
// that the route has a rule of its own about who may use it.
func (b *builder) admission(guarded bool) []oncehttp.ProblemType {
	out := slices.Clone(b.cfg.Problems)
	switch any := gateway.AnyProblems(); {
	case len(b.cfg.Security) > 0:
		out = append(out, codesOf(oncehttp.Problems(), oncehttp.CodeUnauthorized)...)
		out = append(out, codesOf(any, codeForbidden, codeAuthUnavailable)...)
	case guarded || b.cfg.Scoped:
		out = append(out, codesOf(any, codeForbidden)...)
	}
	if b.cfg.Quotas {
		out = append(out, codesOf(oncehttp.Problems(), onceward.CodeRateLimited)...)
	}
	return out
}

// guard lists what the middleware answers under the rules of a route.
func guard(opts *oncehttp.Options) []oncehttp.ProblemType {
	out := without(oncehttp.Problems(), oncehttp.CodeUnauthorized)
	if opts.Optional {
		out = without(out, onceward.CodeKeyMissing)
	}
	return out
}

// calling lists what a call of a contract is answered with.
func calling() []oncehttp.ProblemType {
	var any []onceward.Code
	for _, t := range gateway.AnyProblems() {
		any = append(any, t.Code)
	}
	return without(gateway.Problems(), any...)
}

// elsewhere describes the answers to requests without a route.
func elsewhere() object {
	one := func(code onceward.Code, always ...string) object {
		types := codesOf(gateway.AnyProblems(), code)
		out := problemResponse(types[0].Status, types, false)
		out["headers"] = headers(append(always, headerLink))
		return out
	}
	return object{"NotFound": one(codeNotFound), "MethodNotAllowed": one(codeMethodNotAllowed, "Allow")}
}
