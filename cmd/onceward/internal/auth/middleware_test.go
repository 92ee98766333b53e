package auth_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncehttp"
)

// byToken knows its principals by bearer token.
type byToken map[string]auth.Principal

func (b byToken) Authenticate(r *http.Request) (auth.Principal, error) {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return auth.Principal{}, auth.ErrNone
	}
	if token == "down" {
		return auth.Principal{}, &auth.UnavailableError{RetryAfter: 7 * time.Second, Err: errors.New("host 10.0.0.7 is down")}
	}
	if p, ok := b[token]; ok {
		return p, nil
	}
	return auth.Principal{}, &auth.RejectedError{Reason: "the token is not known"}
}

var people = byToken{
	"a": {Method: "jwt", Name: "alice"},
	"b": {Method: "jwt", Name: "bob"},
	"m": {Method: "jwt", Name: "mallory"},
}

// shop is a guarded handler behind the middleware, and counts its runs.
type shop struct {
	http.Handler
	runs    int
	store   *counting
	revoked map[string]bool
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{store: &counting{Store: memstore.New()}, revoked: map[string]bool{"mallory": true}}
	eng, err := onceward.New(s.store, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	once, err := oncehttp.New(eng, oncehttp.Options{Scope: auth.Scope})
	if err != nil {
		t.Fatal(err)
	}
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.runs++
		p, _ := auth.FromContext(r.Context())
		fmt.Fprintf(w, "order %d of %s", s.runs, p.Name)
	})
	s.Handler = auth.Middleware(people, auth.Options{Logger: quiet(), Authorize: func(_ *http.Request, p auth.Principal) error {
		if s.revoked[p.Name] {
			return &auth.RejectedError{Reason: "this principal is banned"}
		}
		return nil
	}})(once(orders))
	return s
}

func (s *shop) order(t *testing.T, token string) *httptest.ResponseRecorder {
	t.Helper()
	r := request(t.Context(), token)
	r.Header.Set("Idempotency-Key", "k1")
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// TestReplayOnlyAfterAuthorization: whoever is not, or no more, allowed to
// make a request does not get the recorded answer to it either.
func TestReplayOnlyAfterAuthorization(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if w := s.order(t, "a"); w.Code != http.StatusOK || w.Body.String() != "order 1 of alice" {
		t.Fatalf("got %d %s", w.Code, w.Body)
	}
	if w := s.order(t, "a"); w.Header().Get("Idempotent-Replayed") != "true" || w.Body.String() != "order 1 of alice" {
		t.Fatalf("no replay: %v %s", w.Header(), w.Body)
	}
	s.revoked["alice"] = true
	before := s.store.gets
	for token, want := range map[string]int{"": 401, "x": 401, "m": 403, "a": 403, "down": 503} {
		w := s.order(t, token)
		if w.Code != want || strings.Contains(w.Body.String(), "order") || w.Header().Get("Idempotent-Replayed") != "" {
			t.Errorf("token %q: got %d %v %s", token, w.Code, w.Header(), w.Body)
		}
	}
	if s.store.gets != before {
		t.Error("the store was asked for somebody who is not authorized")
	}
	if w := s.order(t, "b"); w.Body.String() != "order 2 of bob" || w.Header().Get("Idempotent-Replayed") != "" {
		t.Errorf("bob got %v %s", w.Header(), w.Body)
	}
	if s.runs != 2 {
		t.Errorf("%d runs", s.runs)
	}
}

// TestAWrongOrderFailsClosed: with the middleware inside the guard nobody
// gets anything.
func TestAWrongOrderFailsClosed(t *testing.T) {
	t.Parallel()
	eng, err := onceward.New(memstore.New(), onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	once, err := oncehttp.New(eng, oncehttp.Options{Scope: auth.Scope})
	if err != nil {
		t.Fatal(err)
	}
	h := once(auth.Middleware(people, auth.Options{Logger: quiet()})(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the handler ran")
	})))
	r := request(t.Context(), "a")
	r.Header.Set("Idempotency-Key", "k1")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
}

func TestRefusalsAreProblems(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	for token, want := range map[string]struct {
		code, challenge, retry, detail string
	}{
		"":     {"unauthorized", "Bearer", "", "Send credentials"},
		"x":    {"unauthorized", `Bearer error="invalid_token"`, "", "The token is not known."},
		"m":    {"forbidden", "", "", "This principal is banned."},
		"down": {"auth-unavailable", "", "7", "same key"},
	} {
		w := s.order(t, token)
		var p struct {
			Type, Code, Detail string
			Retryable          bool
		}
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		if p.Code != want.code || !strings.Contains(p.Detail, want.detail) || p.Retryable != (want.retry != "") ||
			w.Header().Get("Content-Type") != "application/problem+json" ||
			w.Header().Get("WWW-Authenticate") != want.challenge || w.Header().Get("Retry-After") != want.retry {
			t.Errorf("token %q: got %v %s", token, w.Header(), w.Body)
		}
		if strings.Contains(w.Body.String(), "10.0.0.7") {
			t.Errorf("the cause is told to the client: %s", w.Body)
		}
	}
}

func TestChainStopsAtTheFirstThatKnows(t *testing.T) {
	t.Parallel()
	always := authFunc(func(*http.Request) (auth.Principal, error) { return auth.Principal{Method: "mtls", Name: "x"}, nil })
	chain := auth.Chain{people, always}
	accepted(t, chain, request(t.Context(), "a"), "jwt:alice")
	refused(t, chain, request(t.Context(), "nonsense"))
	accepted(t, chain, request(t.Context(), ""), "mtls:x")
	if _, err := (auth.Chain{}).Authenticate(request(t.Context(), "a")); !errors.Is(err, auth.ErrNone) {
		t.Errorf("got %v", err)
	}
}

type authFunc func(*http.Request) (auth.Principal, error)

func (f authFunc) Authenticate(r *http.Request) (auth.Principal, error) { return f(r) }

func TestScopesAreValidAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]auth.Principal{}
	for _, method := range []string{"jwt", "key", "mtls"} {
		for _, name := range []string{
			"alice", "Alice", "jwt:alice", "", "ünïcode", "a\nb", "a\x00", "\xff", "ceward:x",
			strings.Repeat("x", 251), strings.Repeat("x", 252), strings.Repeat("x", 1000), strings.Repeat("x", 1001),
		} {
			p := auth.Principal{Method: method, Name: name}
			scope := p.Scope()
			if err := (onceward.Key{Scope: scope, Value: "v"}).Validate(); err != nil {
				t.Errorf("%q: %v", name, err)
			}
			if other, dup := seen[scope]; dup {
				t.Errorf("%+v and %+v share the scope %q", p, other, scope)
			}
			if strings.HasPrefix(scope, onceward.ReservedScope) {
				t.Errorf("the scope %q is the library's", scope)
			}
			seen[scope] = p
		}
	}
}

func TestRoutesNeedAScope(t *testing.T) {
	t.Parallel()
	err := auth.CheckRoutes([]auth.RouteScope{
		{Pattern: "POST /good", Keyed: true, Scoped: true},
		{Pattern: "POST /alone", Keyed: true, SingleTenant: true},
		{Pattern: "GET /page"},
		{Pattern: "POST /bad", Keyed: true},
		{Pattern: "POST /both", Keyed: true, Scoped: true, SingleTenant: true},
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for pattern, named := range map[string]bool{"/good": false, "/alone": false, "/page": false, "/bad": true, "/both": true} {
		if strings.Contains(err.Error(), pattern) != named {
			t.Errorf("%s named: %v, in: %v", pattern, !named, err)
		}
	}
}
