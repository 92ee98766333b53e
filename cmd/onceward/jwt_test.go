package main_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer publishes keys, and signs tokens with them and with others.
type issuer struct {
	*httptest.Server

	mu   sync.Mutex
	down bool
	set  jose.JSONWebKeySet
}

func newIssuer(t testing.TB) *issuer {
	i := &issuer{}
	i.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.down {
			panic(http.ErrAbortHandler) // the connection breaks
		}
		if err := json.NewEncoder(w).Encode(i.set); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(i.Close)
	return i
}

// publish replaces the keys that are known; none stands for an outage.
func (i *issuer) publish(public ...jose.JSONWebKey) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = len(public) == 0
	if !i.down {
		i.set.Keys = public
	}
}

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func public(kid string, key crypto.Signer) jose.JSONWebKey {
	return jose.JSONWebKey{Key: key.Public(), KeyID: kid, Use: "sig"}
}

// bearer signs a token of alice, with changes to its claims; nil removes one.
func bearer(t testing.TB, alg jose.SignatureAlgorithm, key any, kid string, changes map[string]any) string {
	t.Helper()
	claims := map[string]any{
		"iss": "https://issuer.test", "aud": "shop", "sub": "alice", "role": "buyer", "exp": time.Now().Add(time.Hour).Unix(),
	}
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", kid))
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// unsigned is a token of alice with alg none.
func unsigned(t testing.TB) string {
	t.Helper()
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	return part(map[string]any{"alg": "none", "typ": "JWT"}) + "." + part(map[string]any{
		"iss": "https://issuer.test", "aud": "shop", "sub": "alice", "role": "buyer", "exp": time.Now().Add(time.Hour).Unix(),
	}) + "."
}

const jwtSection = `auth:
  jwt: {issuer: "https://issuer.test", audience: [shop], jwks_url: "%s", leeway: 5m, refresh: 1s, algorithms: [ES256]}
`

// TestServeJWT follows one gateway through an issuer's life: down at the
// start, up, down at a reload, with other keys, and down again.
func TestServeJWT(t *testing.T) {
	t.Parallel()
	iss, backend := newIssuer(t), newShop(t)
	iss.publish()
	old, next := newECKey(t), newECKey(t)
	path := proxyConfig(t, backend.URL, fmt.Sprintf(jwtSection, iss.URL))
	writeFile(t, path, read(t, path)+"    allow: claims.role == \"buyer\"\n")
	s := startServe(t, path)
	order := func(key, token string) answer {
		t.Helper()
		return s.post("/orders", key, "{}", "Authorization", "Bearer "+token)
	}
	alice := bearer(t, jose.ES256, old, "old", nil)
	order("k", alice).refused(t, "before there are keys", http.StatusServiceUnavailable, "auth-unavailable")

	iss.publish(public("old", old))
	var first answer
	eventually(t, "the issuer's keys are fetched", func() bool {
		first = order("k", alice)
		return first.status == http.StatusCreated
	})
	if again := order("k", alice); again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" || backend.taken() != 1 {
		t.Fatalf("again: %d %s, %d orders", again.status, again.body, backend.taken())
	}
	refuseTokens(t, old, order)
	if n := backend.taken(); n != 1 {
		t.Errorf("%d orders after tokens that are not good", n)
	}
	if a := order("late", bearer(t, jose.ES256, old, "old", map[string]any{"exp": time.Now().Add(-time.Second).Unix()})); a.status != http.StatusCreated {
		t.Errorf("a token that has expired within the leeway: %d %s", a.status, a.body)
	}
	jwtScopes(t, s, alice, bearer(t, jose.ES256, old, "old", map[string]any{"sub": "bob"}))

	// The keys outlive a reload, whatever else it changes.
	iss.publish()
	writeFile(t, path, strings.Replace(read(t, path), "routes:", "quotas: {requests_per_second: 100000}\nroutes:", 1))
	s.hangup("configuration reloaded", 1)
	if a := order("k", alice); a.body != first.body {
		t.Errorf("after a reload while the issuer is down: %d %s", a.status, a.body)
	}

	iss.publish(public("next", next))
	eventually(t, "the new key is fetched", func() bool {
		return order("k", bearer(t, jose.ES256, next, "next", nil)).body == first.body
	})
	order("k", alice).refused(t, "a token by the key that was withdrawn", http.StatusUnauthorized, "unauthorized")
	iss.publish()
	order("k", bearer(t, jose.ES256, next, "unknown", nil)).refused(t, "an unknown key during an outage", http.StatusUnauthorized, "unauthorized")
	if a := order("k", bearer(t, jose.ES256, next, "next", nil)); a.body != first.body {
		t.Errorf("during an outage of the issuer: %d %s", a.status, a.body)
	}
	for _, line := range []string{
		`onceward_problems_total{code="auth-unavailable",route="POST /orders"}`, `onceward_problems_total{code="forbidden",route="POST /orders"}`,
	} {
		if !strings.Contains(s.scrape(), line) {
			t.Errorf("no metric %s", line)
		}
	}
}

// refuseTokens offers tokens that are not good under a key that has an answer.
// None may see it.
func refuseTokens(t *testing.T, key *ecdsa.PrivateKey, order func(key, token string) answer) {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	published := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claim := func(name string, value any) string {
		return bearer(t, jose.ES256, key, "old", map[string]any{name: value})
	}
	for what, token := range map[string]string{
		"alg none":                    unsigned(t),
		"HMAC with the public key":    bearer(t, jose.HS256, published, "old", nil),
		"an algorithm not allowed":    bearer(t, jose.RS256, rsaKey, "old", nil),
		"another's key of that name":  bearer(t, jose.ES256, newECKey(t), "old", nil),
		"an unknown key":              bearer(t, jose.ES256, newECKey(t), "other", nil),
		"another audience":            claim("aud", "bank"),
		"no audience":                 claim("aud", nil),
		"another issuer":              claim("iss", "https://other.test"),
		"expired":                     claim("exp", time.Now().Add(-10*time.Minute).Unix()),
		"without an end":              claim("exp", nil),
		"not valid yet":               claim("nbf", time.Now().Add(30*time.Minute).Unix()),
		"issued in the future":        claim("iat", time.Now().Add(30*time.Minute).Unix()),
		"no principal":                claim("sub", nil),
		"a principal that is no text": claim("sub", 7),
		"no token":                    "not.a.token",
		"a token that was changed":    strings.Replace(claim("sub", "alice"), ".", ".x", 1),
	} {
		order("k", token).refused(t, what, http.StatusUnauthorized, "unauthorized")
	}
	order("k", claim("role", "guest")).refused(t, "a role that may not", http.StatusForbidden, "forbidden")
	order("k", claim("role", nil)).refused(t, "no role", http.StatusForbidden, "forbidden")
}

// jwtScopes: two subjects with one key are two operations, and neither can ask
// for the other's.
func jwtScopes(t *testing.T, s *server, alice, bob string) {
	t.Helper()
	mine := s.get("/v1/operations?key=k", "Authorization", "Bearer "+alice)
	if mine.status != http.StatusOK {
		t.Fatalf("alice asks: %d %s", mine.status, mine.body)
	}
	id := fmt.Sprint(mine.field(t, "operation_id"))
	for _, path := range []string{"/v1/operations?key=k", "/v1/operations/" + id} {
		s.get(path, "Authorization", "Bearer "+bob).refused(t, "bob asks for "+path, http.StatusNotFound, "not-found")
		s.get(path).refused(t, "nobody asks for "+path, http.StatusUnauthorized, "unauthorized")
	}
	order := s.post("/orders", "k", "{}", "Authorization", "Bearer "+bob)
	if order.status != http.StatusCreated || order.header.Get("Idempotent-Replayed") != "" {
		t.Errorf("bob's order: %d %s", order.status, order.body)
	}
	his := s.get("/v1/operations?key=k", "Authorization", "Bearer "+bob)
	if his.status != http.StatusOK || his.field(t, "operation_id") == id {
		t.Errorf("bob's operation: %d %s", his.status, his.body)
	}
}
