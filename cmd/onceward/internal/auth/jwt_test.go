package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
)

func TestJWTAccepts(t *testing.T) {
	t.Parallel()
	for _, alg := range []jose.SignatureAlgorithm{jose.RS256, jose.PS256, jose.ES256, jose.EdDSA} {
		t.Run(string(alg), func(t *testing.T) {
			t.Parallel()
			s := newSigner(t, "k1", alg)
			p := &idp{keys: []any{s.public()}}
			j := newJWT(t, p.config())
			now := time.Now()
			accepted(t, j, request(t.Context(), s.token(t, claims(now, nil))), "jwt:alice")
			accepted(t, j, request(t.Context(), s.token(t, claims(now, map[string]any{"aud": []string{"x", audience}}))), "jwt:alice")
			lower := request(t.Context(), "")
			lower.Header.Set("Authorization", "bearer  "+s.token(t, claims(now, nil)))
			accepted(t, j, lower, "jwt:alice")
		})
	}
}

func TestJWTRefuses(t *testing.T) {
	t.Parallel()
	s, other := newSigner(t, "k1", jose.RS256), newSigner(t, "k1", jose.RS256)
	p := &idp{keys: []any{s.public()}}
	now := time.Now()
	cfg := p.config()
	cfg.JWKS.Now = func() time.Time { return now }
	j := newJWT(t, cfg)
	good := s.token(t, claims(now, nil))
	accepted(t, j, request(t.Context(), good), "jwt:alice")
	parts := strings.Split(good, ".")
	b64 := base64.RawURLEncoding.EncodeToString
	public, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	head := func(h string) string { return b64([]byte(h)) + "." + parts[1] + "." }
	changed := func(change map[string]any) string { return s.token(t, claims(now, change)) }
	for name, token := range map[string]string{
		"none":                      head(`{"alg":"none","kid":"k1"}`),
		"None":                      head(`{"alg":"None","kid":"k1"}`) + parts[2],
		"no algorithm":              head(`{"kid":"k1"}`) + parts[2],
		"HMAC with the public key":  sign(t, jose.HS256, jose.JSONWebKey{Key: public, KeyID: "k1"}, claims(now, nil)),
		"algorithm not listed":      signer{"k1", jose.RS512, s.key}.token(t, claims(now, nil)),
		"algorithm not of the key":  signer{"k1", jose.PS256, s.key}.token(t, claims(now, nil)),
		"signed by another":         other.token(t, claims(now, nil)),
		"payload changed":           parts[0] + "." + b64([]byte(`{"sub":"bob"}`)) + "." + parts[2],
		"signature cut":             strings.TrimSuffix(good, good[len(good)-4:]),
		"no signature":              parts[0] + "." + parts[1] + ".",
		"key in the token":          embedded(t, other, claims(now, nil)),
		"unknown critical header":   head(`{"alg":"RS256","kid":"k1","crit":["x"],"x":1}`) + parts[2],
		"not a token":               "abc",
		"five parts":                "a.b.c.d.e",
		"JSON serialization":        `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`,
		"expired":                   changed(map[string]any{"exp": now.Add(-31 * time.Second).Unix()}),
		"never expires":             changed(map[string]any{"exp": nil}),
		"expiry is a text":          changed(map[string]any{"exp": "tomorrow"}),
		"not yet valid":             changed(map[string]any{"nbf": now.Add(32 * time.Second).Unix()}),
		"issued in the future":      changed(map[string]any{"iat": now.Add(32 * time.Second).Unix()}),
		"another issuer":            changed(map[string]any{"iss": issuer + "/"}),
		"no issuer":                 changed(map[string]any{"iss": nil}),
		"another audience":          changed(map[string]any{"aud": "payments"}),
		"no audience":               changed(map[string]any{"aud": nil}),
		"no subject":                changed(map[string]any{"sub": nil}),
		"empty subject":             changed(map[string]any{"sub": ""}),
		"subject is a number":       changed(map[string]any{"sub": 7}),
		"too long":                  changed(map[string]any{"pad": strings.Repeat("x", 20_000)}),
		"symmetric key of the JWKS": "", // below
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "symmetric key of the JWKS" {
				shared := jose.JSONWebKey{Key: []byte(strings.Repeat("k", 32)), KeyID: "oct", Algorithm: "HS256"}
				p := &idp{keys: []any{s.public(), shared}}
				refused(t, newJWT(t, p.config()), request(t.Context(), sign(t, jose.HS256, shared, claims(now, nil))))
				return
			}
			refused(t, j, request(t.Context(), token))
		})
	}
}

// embedded signs a token that brings its own key along.
func embedded(t *testing.T, s signer, c map[string]any) string {
	t.Helper()
	sig, err := jose.NewSigner(
		jose.SigningKey{Algorithm: s.alg, Key: jose.JSONWebKey{Key: s.key, KeyID: "k1"}},
		(&jose.SignerOptions{EmbedJWK: true}).WithHeader("jku", "https://evil.example/jwks.json"),
	)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := sig.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestJWTAllowsForSkew(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k1", jose.EdDSA)
	p := &idp{keys: []any{s.public()}}
	now := time.Now()
	cfg := p.config()
	cfg.JWKS.Now = func() time.Time { return now }
	j := newJWT(t, cfg)
	for change, ok := range map[[3]time.Duration]bool{ // iat, nbf, exp
		{0, 0, -29 * time.Second}:              true,
		{29 * time.Second, 0, time.Minute}:     true,
		{0, 29 * time.Second, time.Minute}:     true,
		{0, 0, -31 * time.Second}:              false,
		{32 * time.Second, 0, time.Minute}:     false,
		{0, 32 * time.Second, time.Minute}:     false,
		{-time.Hour, -time.Hour, -time.Minute}: false,
	} {
		token := s.token(t, claims(now, map[string]any{
			"iat": now.Add(change[0]).Unix(), "nbf": now.Add(change[1]).Unix(), "exp": now.Add(change[2]).Unix(),
		}))
		if ok {
			accepted(t, j, request(t.Context(), token), "jwt:alice")
		} else {
			refused(t, j, request(t.Context(), token))
		}
	}
}

func TestJWTNamesThePrincipalByAClaim(t *testing.T) {
	t.Parallel()
	s := newSigner(t, "k1", jose.EdDSA)
	p := &idp{keys: []any{s.public()}}
	cfg := p.config()
	cfg.Method, cfg.PrincipalClaim = "staff", "tenant"
	j := newJWT(t, cfg)
	now := time.Now()
	accepted(t, j, request(t.Context(), s.token(t, claims(now, map[string]any{"tenant": "acme"}))), "staff:acme")
	refused(t, j, request(t.Context(), s.token(t, claims(now, nil))))
}

// TestJWTWithoutAKeyName: the issuer's only key may go unnamed.
func TestJWTWithoutAKeyName(t *testing.T) {
	t.Parallel()
	s, second := newSigner(t, "", jose.EdDSA), newSigner(t, "k2", jose.EdDSA)
	p := &idp{keys: []any{s.public()}}
	accepted(t, newJWT(t, p.config()), request(t.Context(), s.token(t, claims(time.Now(), nil))), "jwt:alice")
	p.set(s.public(), second.public())
	refused(t, newJWT(t, p.config()), request(t.Context(), s.token(t, claims(time.Now(), nil))))
}

// TestWeakKeysAreLeftOut: a set may hold keys that are not for us.
func TestWeakKeysAreLeftOut(t *testing.T) {
	t.Parallel()
	good := newSigner(t, "good", jose.EdDSA)
	small, err := rsa.GenerateKey(rand.Reader, 1024) //nolint:gosec // a key that must be refused
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]any{
		"short RSA":      jose.JSONWebKey{Key: small.Public(), KeyID: "bad"},
		"for encryption": jose.JSONWebKey{Key: good.key.Public(), KeyID: "bad", Use: "enc"},
		"private":        jose.JSONWebKey{Key: good.key, KeyID: "bad"},
		"unknown kind":   map[string]any{"kty": "NEW", "kid": "bad"},
		"no key":         "nonsense",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			j := newJWT(t, (&idp{keys: []any{key, good.public()}}).config())
			accepted(t, j, request(t.Context(), good.token(t, claims(time.Now(), nil))), "jwt:alice")
			refused(t, j, request(t.Context(), signer{"bad", jose.EdDSA, good.key}.token(t, claims(time.Now(), nil))))
			undecided(t, newJWT(t, (&idp{keys: []any{key}}).config()), request(t.Context(), good.token(t, claims(time.Now(), nil))))
		})
	}
}

func TestJWTLeavesOtherCredentialsAlone(t *testing.T) {
	t.Parallel()
	j := newJWT(t, (&idp{}).config())
	basic := request(t.Context(), "")
	basic.Header.Set("Authorization", "Basic YTpi")
	for _, r := range []*http.Request{request(t.Context(), ""), basic, request(t.Context(), "owk_x")} {
		if _, err := j.Authenticate(r); !errors.Is(err, auth.ErrNone) {
			t.Errorf("got %v", err)
		}
	}
	twice := request(t.Context(), "a")
	twice.Header.Add("Authorization", "Bearer b")
	refused(t, j, twice)
}

func TestJWTConfigIsChecked(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*auth.JWTConfig)
		says   string
	}{
		"none":         {func(c *auth.JWTConfig) { c.Algorithms = []string{"none"} }, "none"},
		"HMAC":         {func(c *auth.JWTConfig) { c.Algorithms = []string{"RS256", "HS256"} }, "HS256"},
		"no issuer":    {func(c *auth.JWTConfig) { c.Issuer = "" }, "issuer"},
		"no audience":  {func(c *auth.JWTConfig) { c.Audience = nil }, "audience"},
		"skew":         {func(c *auth.JWTConfig) { c.Skew = time.Hour }, "skew"},
		"plain http":   {func(c *auth.JWTConfig) { c.JWKS.URL = "http://issuer.example/jwks" }, "https"},
		"no URL":       {func(c *auth.JWTConfig) { c.JWKS.URL = "issuer" }, "URL"},
		"stale":        {func(c *auth.JWTConfig) { c.JWKS.MaxStale = time.Minute }, "given up"},
		"negative":     {func(c *auth.JWTConfig) { c.JWKS.Timeout = -1 }, "negative"},
		"method":       {func(c *auth.JWTConfig) { c.Method = "onceward" }, "method"},
		"method words": {func(c *auth.JWTConfig) { c.Method = "a:b" }, "method"},
	} {
		cfg := (&idp{}).config()
		c.change(&cfg)
		if _, err := auth.NewJWT(cfg); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want something about %q", name, err, c.says)
		}
	}
	for _, url := range []string{"http://127.0.0.1:1/jwks", "http://[::1]/jwks", "http://localhost/jwks"} {
		cfg := (&idp{}).config()
		cfg.JWKS.URL = url
		newJWT(t, cfg)
	}
}
