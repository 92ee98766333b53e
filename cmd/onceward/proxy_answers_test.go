package main_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// A backend that acts and then answers 500, or half an answer, may have acted
// for all the gateway knows: hold leaves that to a person, rerun to the next
// retry, and nothing is sent again without one.
func TestProxyBrokenAnswers(t *testing.T) {
	t.Parallel()
	counts := make(map[string]*atomic.Int64) // by path; not changed once the backend runs
	routes := "routes:\n"
	for _, policy := range []string{"hold", "rerun"} {
		for _, kind := range []string{"half", "error"} {
			counts["/"+policy+"/"+kind] = new(atomic.Int64)
		}
	}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		counts[r.URL.Path].Add(1)
		if r.URL.Path == "/hold/half" || r.URL.Path == "/rerun/half" {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = io.WriteString(w, "broken")
	}))
	t.Cleanup(srv.Close)
	for _, policy := range []string{"hold", "rerun"} {
		routes += fmt.Sprintf("  - {match: /%[1]s/, proxy: '%[2]s', crash_policy: %[1]s}\n", policy, srv.URL)
	}
	s := startServe(t, proxyFile(t, routes))
	for _, c := range []struct {
		path        string
		first, then int
		code, again string // of the problem, or the backend's own answer
		acts        int64  // after one retry
	}{
		{"/hold/half", 502, 409, "backend-failed", "outcome-unknown", 1},
		{"/hold/error", 502, 409, "backend-error", "outcome-unknown", 1},
		{"/rerun/half", 502, 502, "backend-failed", "backend-failed", 2},
		{"/rerun/error", 500, 500, "broken", "broken", 2},
	} {
		for i, want := range []struct {
			status int
			code   string
		}{{c.first, c.code}, {c.then, c.again}} {
			var a answer
			eventually(t, c.path+" is answered", func() bool {
				a = s.post(c.path, "broken"+c.path, "x")
				return a.codeOf(t) != "in-progress"
			})
			a.is(t, fmt.Sprintf("%s, request %d", c.path, i+1), want.status, want.code)
		}
		if n := counts[c.path].Load(); n != c.acts {
			t.Errorf("%s: the backend acted %d times, want %d", c.path, n, c.acts)
		}
	}
}
