package openapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/apicheck"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/openapi"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban/contractspec"
)

// What the gateway takes and answers is what its description says, by the
// word of an independent validator.
func TestTheGatewayKeepsToItsDescription(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	doc, err := openapi.Document(s.cfg)
	must(t, err)
	v := validated(t, doc)
	someone := keypair.Master("someone").Address()
	for _, tc := range []struct {
		name, method, path, key, body string
		status                        int
		valid                         bool // the request is one that the description admits
	}{
		{"mint", "POST", "/v1/rewards", `"r1"`, `{"to":"` + someone + `","amount":"100","reason":"first"}`, 200, true},
		{"replay", "POST", "/v1/rewards", `"r1"`, `{"to":"` + someone + `","amount":"100","reason":"first"}`, 200, true},
		{"reused", "POST", "/v1/rewards", `"r1"`, `{"to":"` + someone + `","amount":"101","reason":"first"}`, 422, true},
		{"number", "POST", "/v1/rewards", `r2`, `{"to":"` + someone + `","amount":100}`, 200, true},
		{"rejected", "POST", "/v1/rewards", `r3`, `{"to":"` + someone + `","amount":"-5"}`, 422, true},
		{"vote", "POST", "/v1/votes", `v1`, `{"voter":"` + someone + `","proposal_id":"1","support":true}`, 200, true},
		{"content", "POST", "/v1/content", `c1`, `{"author":"` + someone + `","content_hash":"` + strings.Repeat("ab", 32) + `","uri":"https://example.org/1"}`, 200, true},
		{"no key", "POST", "/v1/rewards", ``, `{"to":"` + someone + `","amount":"100"}`, 400, false},
		{"missing member", "POST", "/v1/rewards", `r4`, `{"to":"` + someone + `"}`, 400, false},
		{"unknown member", "POST", "/v1/rewards", `r5`, `{"to":"` + someone + `","amount":"1","x":1}`, 400, false},
		{"no address", "POST", "/v1/rewards", `r6`, `{"to":"me","amount":"1"}`, 400, false},
		{"fraction", "POST", "/v1/rewards", `r7`, `{"to":"` + someone + `","amount":"1.5"}`, 400, false},
		{"hash too short", "POST", "/v1/content", `c2`, `{"author":"` + someone + `","content_hash":"ab","uri":"x"}`, 400, false},
		{"by key", "GET", "/v1/operations?key=r1", ``, ``, 200, true},
		{"by id", "GET", "/v1/operations/11111111-1111-8111-8111-111111111111", ``, ``, 404, true},
		{"asked for 202", "POST", "/v1/rewards", `r8`, `{"to":"` + someone + `","amount":"7"}`, 202, true},
		{"health", "GET", "/healthz", ``, ``, 200, true},
		{"ready", "GET", "/readyz", ``, ``, 200, true},
	} {
		request := func() *http.Request {
			r := httptest.NewRequestWithContext(t.Context(), tc.method, "http://gateway.test"+tc.path, strings.NewReader(tc.body))
			r.Header.Set("Authorization", "Bearer someone")
			if tc.key != "" {
				r.Header.Set("Idempotency-Key", tc.key)
			}
			if tc.body != "" {
				r.Header.Set("Content-Type", "application/json")
			}
			if tc.status == http.StatusAccepted {
				r.Header.Set("Prefer", "respond-async")
			}
			return r
		}
		if err := v.Request(request(), []byte(tc.body)); (err == nil) != tc.valid {
			t.Errorf("%s: the request is valid: %v, want %v", tc.name, err, tc.valid)
		}
		rec := httptest.NewRecorder()
		s.gateway.ServeHTTP(rec, request())
		if rec.Code != tc.status {
			t.Errorf("%s: answered %d %s", tc.name, rec.Code, rec.Body)
		}
		if err := v.Answer(apicheck.Answer{
			Method: tc.method, Path: request().URL.Path, Status: rec.Code, Header: rec.Header(), Body: rec.Body.Bytes(),
		}); err != nil {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// Every problem of a route is described, and every key header.
func TestTheDescriptionIsComplete(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	doc, err := openapi.Document(s.cfg)
	must(t, err)
	again, err := openapi.Document(s.cfg)
	must(t, err)
	if !bytes.Equal(doc, again) {
		t.Error("the same configuration gives another document")
	}
	var parsed struct {
		Paths map[string]map[string]json.RawMessage
	}
	validated(t, doc)
	if ids := regexp.MustCompile(`"operationId": "[^"]*"`).FindAllString(string(doc), -1); len(ids) != len(slices.Compact(slices.Sorted(slices.Values(ids)))) {
		t.Errorf("two operations have one id: %q", ids)
	}
	must(t, json.Unmarshal(doc, &parsed))
	want := map[string]string{
		"/v1/content": "post", "/v1/votes": "post", "/v1/rewards": "post", "/api/{path}": "post",
		"/shop/{id}/items": "delete get head options patch post put", "/shop/id-items": "post",
		"/v1/operations": "get", "/v1/operations/{id}": "get", "/healthz": "get", "/readyz": "get", "/idempotency-policy": "get",
		"/openapi.json": "get", "/docs": "get", "/v1/transactions": "post",
	}
	for path, methods := range want {
		item, ok := parsed.Paths[path]
		for method := range strings.FieldsSeq(methods) {
			if item[method] == nil {
				t.Errorf("%s %s is not described", method, path)
			}
		}
		if !ok || len(item) != len(strings.Fields(methods)) {
			t.Errorf("%s has %d methods, want %s", path, len(item), methods)
		}
		delete(parsed.Paths, path)
	}
	for path := range parsed.Paths {
		t.Errorf("%s is described, but not configured", path)
	}
	must(t, json.Unmarshal(doc, &parsed))
	rewards, relay, api := parsed.Paths["/v1/rewards"]["post"], parsed.Paths["/v1/transactions"]["post"], parsed.Paths["/api/{path}"]["post"]
	lookup, shop := parsed.Paths["/v1/operations/{id}"]["get"], parsed.Paths["/shop/{id}/items"]
	get, put := shop["get"], shop["put"]
	always := []onceward.Code{"unauthorized", "forbidden", "auth-unavailable", "rate-limited", "busy"}
	nowhere := []onceward.Code{"not-found", "method-not-allowed"}
	for name, tc := range map[string]struct {
		text    json.RawMessage
		want    []onceward.Code
		without []onceward.Code
	}{
		"a contract route":  {rewards, slices.Concat(always, codes(oncehttp.Problems()), codes(gateway.Problems())), nowhere},
		"the relay":         {relay, slices.Concat(always, codes(oncehttp.Problems()), codes(gateway.Problems()), codes(gateway.RelayProblems())), nowhere},
		"a proxy route":     {api, slices.Concat(always, codes(oncehttp.Problems()), codes(proxy.Problems())), append(nowhere, onceward.CodeKeyMissing)},
		"an unkeyed proxy":  {get, slices.Concat(always, codes(proxy.Problems())), append(nowhere, onceward.CodeKeyReused, proxy.CodeError, oncehttp.CodeRequestTimeout)},
		"an unkeyed upload": {put, append(always, oncehttp.CodeRequestTimeout, oncehttp.CodePayloadInvalid), append(nowhere, onceward.CodeKeyReused)},
		"a lookup":          {lookup, append(always, "invalid-request", "not-found", onceward.CodeStoreUnavailable), []onceward.Code{onceward.CodeKeyReused, "method-not-allowed"}},
		"the health":        {parsed.Paths["/healthz"]["get"], []onceward.Code{"busy"}, always[:4]},
	} {
		for _, code := range tc.want {
			if strings.Contains(string(tc.text), `"`+string(code)+`"`) == slices.Contains(tc.without, code) {
				t.Errorf("%s: %s is wanted: %v", name, code, !slices.Contains(tc.without, code))
			}
		}
		for _, code := range tc.without {
			if strings.Contains(string(tc.text), `"`+string(code)+`"`) {
				t.Errorf("%s: %s is described, and never answered", name, code)
			}
		}
	}
	if !strings.Contains(string(shop["patch"]), `"X-Key"`) || strings.Contains(string(shop["put"]), `"X-Key"`) {
		t.Error("the key header is not where keys are")
	}
}

func codes(types []oncehttp.ProblemType) []onceward.Code {
	out := make([]onceward.Code, len(types))
	for i, t := range types {
		out[i] = t.Code
	}
	return out
}

// A contract route is described with its own rules about keys and members.
func TestTheRulesOfARouteAreDescribed(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	route := s.cfg.Routes[2]
	route.Options.Header, route.Options.StrictKeys, route.Options.Optional, route.Options.BodyKey = "X-Key", true, true, "key"
	route.NaturalKey = []*expr.Program{member(t, "to")}
	to, err := expr.Compile("body.user.address", expr.JSON, expr.VarBody)
	must(t, err)
	amount, err := expr.Compile("has(body.amount) ? body.amount : '1'", expr.JSON, expr.VarBody)
	must(t, err)
	route.Args = map[string]*expr.Program{"to": to, "amount": amount}
	doc, err := openapi.Document(openapi.Config{Routes: []gateway.Route{route}, Specs: s.cfg.Specs})
	must(t, err)
	v := validated(t, doc)
	someone := keypair.Master("someone").Address()
	for body, valid := range map[string]bool{
		`{"user":{"address":"` + someone + `"}}`:                          true,
		`{"user":{"address":"` + someone + `"},"amount":5,"key":"k"}`:     true,
		`{"user":{"address":"` + someone + `"},"to":"` + someone + `"}`:   true, // the natural key reads it
		`{"user":{"address":"me"}}`:                                       false,
		`{"user":{}}`:                                                     false,
		`{"amount":5}`:                                                    false,
		`{"user":{"address":"` + someone + `"},"idempotency":"k"}`:        false,
		`{"user":{"address":"` + someone + `"},"key":"` + "\u00e9" + `"}`: false,
	} {
		for key, well := range map[string]bool{"": true, `"k"`: true, "k": false} {
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/v1/rewards", nil)
			r.Header.Set("Content-Type", "application/json")
			if key != "" {
				r.Header.Set("X-Key", key)
			}
			if err := v.Request(r, []byte(body)); (err == nil) != (valid && well) {
				t.Errorf("%s with key %s: %v", body, key, err)
			}
		}
	}
	for text, want := range map[string]bool{`"key-missing"`: false, `"unauthorized"`: false, `"202"`: true, `"Prefer"`: true, `"X-Key"`: true, `"Idempotency-Key"`: false} {
		if strings.Contains(string(doc), text) != want {
			t.Errorf("%s is described: %v", text, !want)
		}
	}
}

func TestThePageIsWhole(t *testing.T) {
	t.Parallel()
	s := newSample(t)
	s.cfg.Title = "<script>alert(1)</script>"
	doc, err := openapi.Document(s.cfg)
	must(t, err)
	h, err := openapi.Handler(doc)
	must(t, err)
	get := func(path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return rec
	}
	if rec := get(openapi.Path); !bytes.Equal(rec.Body.Bytes(), doc) || rec.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the document is served as %v", rec.Header())
	}
	page := get(openapi.PagePath)
	html := page.Body.String()
	for _, want := range []string{"POST /v1/rewards", "GET /v1/operations/{id}", "POST /api/{path}", "contract-rejected", "backend-timeout", "Idempotency-Key", "content_hash"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	if strings.Contains(html, "<script") || !strings.Contains(page.Header().Get("Content-Security-Policy"), "default-src 'none'") {
		t.Error("the page may run scripts")
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(html, -1) {
		if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") {
			t.Errorf("the page points to %s", m[1])
		}
		if anchor, ok := strings.CutPrefix(m[1], "#"); ok && !strings.Contains(html, `id="`+anchor+`"`) {
			t.Errorf("the page has no %s", anchor)
		}
	}
}

// Every type that a contract can declare has a schema, also one that refers
// to itself.
func TestEveryTypeHasASchema(t *testing.T) {
	t.Parallel()
	prim := func(k xdr.ScSpecType) xdr.ScSpecTypeDef { return xdr.ScSpecTypeDef{Type: k} }
	udt := func(name string) xdr.ScSpecTypeDef {
		return xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeUdt, Udt: &xdr.ScSpecTypeUdt{Name: name}}
	}
	u32, symbol := prim(xdr.ScSpecTypeScSpecTypeU32), prim(xdr.ScSpecTypeScSpecTypeSymbol)
	var types []xdr.ScSpecTypeDef
	for k := xdr.ScSpecTypeScSpecTypeVal; k <= xdr.ScSpecTypeScSpecTypeMuxedAddress; k++ {
		if contractspec.TypeName(prim(k)) != "unknown type" {
			types = append(types, prim(k))
		}
	}
	types = append(types,
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeOption, Option: &xdr.ScSpecTypeOption{ValueType: u32}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeVec, Vec: &xdr.ScSpecTypeVec{ElementType: udt("Tree")}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeMap, Map: &xdr.ScSpecTypeMap{KeyType: symbol, ValueType: u32}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeMap, Map: &xdr.ScSpecTypeMap{KeyType: prim(xdr.ScSpecTypeScSpecTypeBool), ValueType: u32}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeTuple, Tuple: &xdr.ScSpecTypeTuple{ValueTypes: []xdr.ScSpecTypeDef{u32, symbol}}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeTuple, Tuple: &xdr.ScSpecTypeTuple{}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeBytesN, BytesN: &xdr.ScSpecTypeBytesN{N: 32}},
		xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeResult, Result: &xdr.ScSpecTypeResult{OkType: u32, ErrorType: udt("Err")}},
		udt("Tree"), udt("Choice"), udt("Level"), udt("Err"), udt("Pair"))
	entries := []xdr.ScSpecEntry{
		{Kind: xdr.ScSpecEntryKindScSpecEntryUdtStructV0, UdtStructV0: &xdr.ScSpecUdtStructV0{Name: "Tree", Fields: []xdr.ScSpecUdtStructFieldV0{
			{Name: "children", Type: xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeVec, Vec: &xdr.ScSpecTypeVec{ElementType: udt("Tree")}}},
		}}},
		{Kind: xdr.ScSpecEntryKindScSpecEntryUdtStructV0, UdtStructV0: &xdr.ScSpecUdtStructV0{Name: "Pair", Fields: []xdr.ScSpecUdtStructFieldV0{
			{Name: "0", Type: u32}, {Name: "1", Type: u32},
		}}},
		{Kind: xdr.ScSpecEntryKindScSpecEntryUdtUnionV0, UdtUnionV0: &xdr.ScSpecUdtUnionV0{Name: "Choice", Cases: []xdr.ScSpecUdtUnionCaseV0{
			{Kind: xdr.ScSpecUdtUnionCaseV0KindScSpecUdtUnionCaseVoidV0, VoidCase: &xdr.ScSpecUdtUnionCaseVoidV0{Name: "None"}},
			{Kind: xdr.ScSpecUdtUnionCaseV0KindScSpecUdtUnionCaseTupleV0, TupleCase: &xdr.ScSpecUdtUnionCaseTupleV0{Name: "Some", Type: []xdr.ScSpecTypeDef{u32}}},
		}}},
		{Kind: xdr.ScSpecEntryKindScSpecEntryUdtEnumV0, UdtEnumV0: &xdr.ScSpecUdtEnumV0{Name: "Level", Cases: []xdr.ScSpecUdtEnumCaseV0{{Name: "Low", Value: 1}}}},
		{Kind: xdr.ScSpecEntryKindScSpecEntryUdtErrorEnumV0, UdtErrorEnumV0: &xdr.ScSpecUdtErrorEnumV0{Name: "Err", Cases: []xdr.ScSpecUdtErrorEnumCaseV0{{Name: "No", Value: 1}}}},
	}
	fn := &xdr.ScSpecFunctionV0{Name: "f", Doc: "does it", Outputs: []xdr.ScSpecTypeDef{types[len(types)-6]}}
	args := make(map[string]*expr.Program)
	for i, ty := range types {
		name := fmt.Sprintf("a%d", i)
		args[name] = member(t, name)
		fn.Inputs = append(fn.Inputs, xdr.ScSpecFunctionInputV0{Name: name, Type: ty})
	}
	spec, err := contractspec.New(append(entries, xdr.ScSpecEntry{Kind: xdr.ScSpecEntryKindScSpecEntryFunctionV0, FunctionV0: fn}))
	must(t, err)
	doc, err := openapi.Document(openapi.Config{
		Routes: []gateway.Route{{Pattern: "POST /f", Contract: "CONTRACT", Function: "f", Args: args}},
		Specs:  map[string]*contractspec.Spec{"CONTRACT": spec},
	})
	must(t, err)
	validated(t, doc)
	if strings.Contains(string(doc), "does not know") {
		t.Error("a type has no schema")
	}
}

func TestWrongConfigurationIsRefused(t *testing.T) {
	t.Parallel()
	for name, cfg := range map[string]openapi.Config{
		"unknown contract": {Routes: []gateway.Route{{Pattern: "POST /f", Contract: "C"}}},
		"twice":            {Proxies: []openapi.Proxy{{Pattern: "POST /a"}, {Pattern: "POST /a"}}},
		"no path":          {Proxies: []openapi.Proxy{{Pattern: "POST"}}},
		"unknown scheme":   {Security: []openapi.Scheme{"password"}},
	} {
		if _, err := openapi.Document(cfg); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
