package apicheck_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/apicheck"
)

const api = `{"openapi":"3.1.0","info":{"title":"orders","version":"1"},"paths":{
  "/orders":{"post":{
    "parameters":[{"name":"Key","in":"header","required":true,"schema":{"type":"string","pattern":"^[a-z]+$"}}],
    "requestBody":{"required":true,"content":{"application/json":{"schema":{"type":"object","required":["n"]}}}},
    "responses":{
      "201":{"description":"d","headers":{"Location":{"required":true,"schema":{"type":"string"}},"Retry-After":{"$ref":"#/components/headers/Retry-After"}},
        "content":{"application/json":{"schema":{"$ref":"#/components/schemas/Order"}}}},
      "202":{"description":"without a body"}}}},
  "/orders/{id}":{"get":{"parameters":[{"name":"id","in":"path","required":true,"schema":{"type":"string","format":"uuid"}}],"responses":{"200":{"description":"d","content":{"text/html":{}}}}}},
  "/{path}":{"get":{"parameters":[{"name":"path","in":"path","required":true,"x-subtree":true,"schema":{"type":"string"}}],
    "responses":{"default":{"description":"d","content":{"*/*":{"schema":{}}}}}}}},
  "components":{
    "schemas":{"Order":{"type":"object","required":["id"],"properties":{"id":{"type":"integer"}}}},
    "headers":{"Retry-After":{"schema":{"type":"integer","minimum":1}}},
    "responses":{
      "NotFound":{"description":"d","content":{"application/json":{"schema":{"required":["lost"]}}}},
      "MethodNotAllowed":{"description":"d","headers":{"Allow":{"required":true,"schema":{"type":"string"}}},"content":{"application/json":{"schema":{}}}}}}}`

func parse(t *testing.T, doc string) *apicheck.Description {
	t.Helper()
	d, err := apicheck.Parse([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestAnswer(t *testing.T) {
	t.Parallel()
	d := parse(t, api)
	const problem, link = "Content-Type=application/problem+json|Cache-Control=no-store", `|Link=</idempotency-policy>; rel="describedby"`
	for name, tc := range map[string]struct {
		method, path string
		status       int
		header, body string
		wrong        string // what is said of it; empty for nothing
	}{
		"as described":                  {"POST", "/orders", 201, "Content-Type=application/json; charset=utf-8|Location=/1", `{"id":1}`, ""},
		"a wrong body":                  {"POST", "/orders", 201, "Content-Type=application/json|Location=/1", `{"id":"1"}`, "/id"},
		"no JSON":                       {"POST", "/orders", 201, "Content-Type=application/json|Location=/1", `{`, "EOF"},
		"no Location":                   {"POST", "/orders", 201, "Content-Type=application/json", `{"id":1}`, "header Location is missing"},
		"a wrong header":                {"POST", "/orders", 201, "Content-Type=application/json|Location=/1|Retry-After=0", `{"id":1}`, "header Retry-After"},
		"another media type":            {"POST", "/orders", 201, "Content-Type=text/plain|Location=/1", `{"id":1}`, "text/plain"},
		"no media type":                 {"POST", "/orders", 201, "Location=/1", ``, "media type"},
		"another status":                {"POST", "/orders", 200, "Content-Type=application/json", `{"id":1}`, "no such answer"},
		"nothing":                       {"POST", "/orders", 202, "", ``, ""},
		"an unexpected body":            {"POST", "/orders", 202, "", `x`, "none is described"},
		"the closer path":               {"GET", "/orders/1", 404, "", ``, "no such answer"},
		"the rest of a path":            {"GET", "/a/b/c", 404, "Content-Type=x/y", `x`, ""},
		"the empty rest":                {"GET", "/", 200, "Content-Type=x/y", `x`, ""},
		"HEAD as GET":                   {"HEAD", "/orders/1", 200, "", ``, ""},
		"the method is taken":           {"PUT", "/orders", 405, "Content-Type=application/json|Allow=POST", `{}`, ""},
		"without Allow":                 {"PUT", "/orders", 405, "Content-Type=application/json", `{}`, "header Allow"},
		"a secret method":               {"PUT", "/orders", 200, "Content-Type=application/json", `{}`, "no such answer"},
		"a method of no name":           {"MADE-UP", "/orders", 405, "", ``, ""},
		"a problem":                     {"GET", "/x", 503, problem + link + "|Retry-After=1", `{"type":"/idempotency-policy#a","status":503,"code":"a","retryable":true}`, ""},
		"a problem without link":        {"GET", "/x", 400, problem, `{"type":"/idempotency-policy#a","status":400,"code":"a"}`, "link"},
		"a problem that hides its time": {"GET", "/x", 503, problem + link, `{"type":"/idempotency-policy#a","status":503,"code":"a","retryable":true}`, "say when"},
		"a problem with two codes":      {"GET", "/x", 400, problem + link, `{"type":"/idempotency-policy#a","status":400,"code":"b"}`, "do not agree"},
		"a problem with two statuses":   {"GET", "/x", 400, problem + link, `{"type":"/idempotency-policy#a","status":500,"code":"a"}`, "do not agree"},
		"a problem to keep":             {"GET", "/x", 400, "Content-Type=application/problem+json" + link, `{"type":"/idempotency-policy#a","status":400,"code":"a"}`, "cache"},
		"a backend's problem":           {"GET", "/x", 400, problem, `{"type":"about:blank"}`, ""},
	} {
		err := d.Answer(apicheck.Answer{Method: tc.method, Path: tc.path, Status: tc.status, Header: header(tc.header), Body: []byte(tc.body)})
		if (err == nil) != (tc.wrong == "") || err != nil && !strings.Contains(err.Error(), tc.wrong) {
			t.Errorf("%s: %v, want %q", name, err, tc.wrong)
		}
	}
}

func header(text string) http.Header {
	out := make(http.Header)
	for pair := range strings.SplitSeq(text, "|") {
		if name, value, ok := strings.Cut(pair, "="); ok {
			out.Add(name, value)
		}
	}
	return out
}

// What has no route is judged by the components.
func TestAnswerElsewhere(t *testing.T) {
	t.Parallel()
	d := parse(t, strings.Replace(api, `"/{path}"`, `"/elsewhere/{path}"`, 1))
	for body, ok := range map[string]bool{`{"lost":1}`: true, `{}`: false} {
		err := d.Answer(apicheck.Answer{Method: "GET", Path: "/nowhere", Status: 404, Header: header("Content-Type=application/json"), Body: []byte(body)})
		if (err == nil) != ok {
			t.Errorf("%s: %v", body, err)
		}
	}
	if err := d.Answer(apicheck.Answer{Method: "GET", Path: "/nowhere", Status: 200, Header: http.Header{}}); err == nil {
		t.Error("an answer from nowhere passes")
	}
}

func TestRequest(t *testing.T) {
	t.Parallel()
	d := parse(t, api)
	for name, tc := range map[string]struct {
		method, target, key, media, body string
		ok                               bool
	}{
		"as described":       {"POST", "/orders", "k", "application/json", `{"n":1}`, true},
		"no key":             {"POST", "/orders", "", "application/json", `{"n":1}`, false},
		"a wrong key":        {"POST", "/orders", "K", "application/json", `{"n":1}`, false},
		"no body":            {"POST", "/orders", "k", "application/json", ``, false},
		"a wrong body":       {"POST", "/orders", "k", "application/json", `{}`, false},
		"another media type": {"POST", "/orders", "k", "text/plain", `{"n":1}`, false},
		"by id":              {"GET", "/orders/8e03978e-40d5-43dd-bc93-6894a57f9324", "", "", ``, true},
		"by no id":           {"GET", "/orders/1", "", "", ``, false},
		"no such method":     {"DELETE", "/orders", "k", "", ``, false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tc.method, tc.target, nil)
		if tc.key != "" {
			r.Header.Set("Key", tc.key)
		}
		r.Header.Set("Content-Type", tc.media)
		if err := d.Request(r, []byte(tc.body)); (err == nil) != tc.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBrokenDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	for name, doc := range map[string]string{
		"no JSON":          `{`,
		"no schema":        strings.Replace(api, `"type":"integer","minimum":1`, `"type":"none"`, 1),
		"no OpenAPI":       strings.Replace(api, `"description":"without a body"`, `"text":"without a description"`, 1),
		"an undeclared id": strings.Replace(api, `"/orders/{id}"`, `"/orders/{number}"`, 1),
		"a dangling $ref":  strings.Replace(api, "#/components/schemas/Order", "#/components/schemas/Gone", 1),
		"a broken pattern": strings.Replace(api, "^[a-z]+$", "^[a-z", 1),
	} {
		if _, err := apicheck.Parse([]byte(doc)); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
