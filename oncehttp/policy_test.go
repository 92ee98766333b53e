package oncehttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/oncehttp"
)

func policyPage(t *testing.T, method, accept string) *httptest.ResponseRecorder {
	t.Helper()
	h, err := oncehttp.PolicyHandler(newEngine(t),
		oncehttp.PolicyRoute{Pattern: "POST /v1/<orders>", Options: oncehttp.Options{
			Scope: oncehttp.SingleTenant, Retention: 90 * time.Minute, BodyKey: "key", StrictKeys: true,
			Fields: []string{"/amount"}, Wait: 2 * time.Second,
		}},
		oncehttp.PolicyRoute{Pattern: "PUT /v1/files", Scope: "the customer", Options: oncehttp.Options{
			Scope: oncehttp.SingleTenant, Optional: true, Methods: []string{"PUT"}, Header: "x-key", CanonicalJSON: true,
		}, Problems: []oncehttp.ProblemType{
			{Code: "backend-failed", Status: 502, Title: "Backend failed", Detail: "It may have acted."},
			{Code: "unauthorized", Status: 401, Title: "listed already"},
		}})
	if err != nil {
		t.Fatal(err)
	}
	rec := newRecorder()
	req := httptest.NewRequestWithContext(t.Context(), method, "/idempotency-policy", nil)
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	h.ServeHTTP(rec, req)
	return rec
}

func TestPolicyPageAsHTML(t *testing.T) {
	t.Parallel()
	for _, accept := range []string{"", "*/*", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html, application/json;q=0.5"} {
		rec := policyPage(t, "GET", accept)
		if ct := rec.Header().Get("Content-Type"); rec.Code != 200 || ct != "text/html; charset=utf-8" {
			t.Fatalf("%q: %d %s", accept, rec.Code, ct)
		}
		page := rec.Body.String()
		for _, p := range oncehttp.Problems() { // the anchors that problems point to
			if !strings.Contains(page, `<tr id="`+string(p.Code)+`">`) {
				t.Errorf("no anchor for %s", p.Code)
			}
		}
		if strings.Contains(page, "listed already") {
			t.Error("a code is listed twice")
		}
		for _, want := range []string{
			`<tr id="backend-failed">`, "POST /v1/&lt;orders&gt;", "1h30m from", "24h from", "quoted form only", "/amount", "the authenticated principal",
			"the customer", "<code>X-Key</code>; optional", "waits up to 2 s", "RFC 8785", "member <code>key</code>",
		} {
			if !strings.Contains(page, want) {
				t.Errorf("the page lacks %q", want)
			}
		}
	}
}

func TestPolicyPageAsJSON(t *testing.T) {
	t.Parallel()
	rec := policyPage(t, "GET", "application/json")
	var doc struct {
		Routes []struct {
			Pattern   string
			Methods   []string
			Header    string
			Required  bool  `json:"key_required"`
			Retention int64 `json:"retention_seconds"`
		}
		Problems []struct{ Code string }
	}
	if err := json.Unmarshal(rec.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	if len(doc.Routes) != 2 || len(doc.Problems) != len(oncehttp.Problems())+1 {
		t.Fatalf("%+v", doc)
	}
	if r := doc.Routes[0]; r.Pattern != "POST /v1/<orders>" || r.Header != "Idempotency-Key" || !r.Required || r.Retention != 5400 || len(r.Methods) != 2 {
		t.Fatalf("%+v", r)
	}
	if r := doc.Routes[1]; r.Required || r.Header != "X-Key" || r.Retention != 86400 {
		t.Fatalf("%+v", r)
	}
}

func TestPolicyPageIsReadOnly(t *testing.T) {
	t.Parallel()
	if rec := policyPage(t, "HEAD", ""); rec.Code != http.StatusOK || rec.Header().Get("Content-Length") == "" {
		t.Fatal(rec.Code, rec.Header())
	}
	if rec := policyPage(t, "POST", ""); rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
		t.Fatal(rec.Code, rec.Header())
	}
}
