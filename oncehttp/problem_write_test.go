package oncehttp_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

const policyLink = `</idempotency-policy>; rel="describedby"`

// A problem in front of the middleware, or without it, has what one from the
// middleware has: the link to the policy page, and the key.
func TestProblemsWithoutTheMiddleware(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		method string
		opts   oncehttp.Options
		header []string // lines of the header of the key
		key    string
	}{
		"none":                   {"POST", oncehttp.Options{}, nil, ""},
		"bare":                   {"POST", oncehttp.Options{}, []string{"k"}, "k"},
		"quoted":                 {"PATCH", oncehttp.Options{}, []string{`"k"`}, "k"},
		"bare where it must not": {"POST", oncehttp.Options{StrictKeys: true}, []string{"k"}, ""},
		"invalid":                {"POST", oncehttp.Options{}, []string{"a b"}, ""},
		"twice":                  {"POST", oncehttp.Options{}, []string{"k", "k"}, ""},
		"another header":         {"POST", oncehttp.Options{Header: "X-Key"}, []string{"k"}, ""},
		"no method of keys":      {"GET", oncehttp.Options{}, []string{"k"}, ""},
		"a method of the route":  {"PUT", oncehttp.Options{Methods: []string{"PUT"}}, []string{"k"}, "k"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), tc.method, "/", nil)
		r.Header["Idempotency-Key"] = tc.header
		w := httptest.NewRecorder()
		w.Header().Set("Link", "</next>; rel=next")
		oncehttp.WriteProblem(w, oncehttp.WithKey(r, tc.opts), &onceward.Error{Code: onceward.CodeStoreUnavailable})
		var p struct {
			Key string `json:"idempotency_key"`
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Key != tc.key {
			t.Errorf("%s: the key is %q, want %q (%v)", name, p.Key, tc.key, err)
		}
		if links := w.Header()["Link"]; !slices.Equal(links, []string{"</next>; rel=next", policyLink}) {
			t.Errorf("%s: links %q", name, links)
		}
	}
}

// The link is there once, whoever writes the problem, and leads to the page
// that the problem's type names. What is retryable says when.
func TestProblemsLinkOnce(t *testing.T) {
	t.Parallel()
	told := &oncehttp.Problem{Code: "told", Status: http.StatusConflict, Retryable: true}
	guarded := newSite(t, onceward.Config{}, oncehttp.Options{PolicyURL: "/rules"}, func(w http.ResponseWriter, r *http.Request) { told.Write(w, r) })
	for name, r := range map[string]reply{
		"of a guarded handler": guarded.post("k", "{}"),
		"of the middleware":    guarded.call("POST", "/", "{}"),
	} {
		if links := r.Header["Link"]; len(links) != 1 || links[0] != `</rules>; rel="describedby"` || !strings.Contains(r.body, `"/rules#`) {
			t.Errorf("%s: links %q, %s", name, links, r.body)
		}
	}
	w := httptest.NewRecorder()
	told.Write(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil))
	if got := w.Header(); len(got["Link"]) != 1 || got.Get("Retry-After") != "1" {
		t.Errorf("without the middleware: %v", got)
	}
}
