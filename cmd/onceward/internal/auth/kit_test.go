package auth_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
)

const (
	issuer   = "https://issuer.example"
	audience = "onceward"
	jwksURL  = "https://issuer.example/jwks.json"
)

// signer is one key of the issuer.
type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

func newSigner(t testing.TB, id string, alg jose.SignatureAlgorithm) signer {
	t.Helper()
	var key crypto.Signer
	var err error
	switch alg {
	case jose.ES256:
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	case jose.EdDSA:
		_, key, err = ed25519.GenerateKey(rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signer{id, alg, key}
}

func (s signer) public() jose.JSONWebKey {
	return jose.JSONWebKey{Key: s.key.Public(), KeyID: s.id, Algorithm: string(s.alg), Use: "sig"}
}

// claims of a good token, changed by the given members; nil removes one.
func claims(now time.Time, change map[string]any) map[string]any {
	c := map[string]any{
		"iss": issuer, "aud": audience, "sub": "alice",
		"iat": now.Unix(), "nbf": now.Unix(), "exp": now.Add(time.Minute).Unix(),
	}
	for name, v := range change {
		if c[name] = v; v == nil {
			delete(c, name)
		}
	}
	return c
}

func (s signer) token(t testing.TB, c map[string]any) string {
	t.Helper()
	return sign(t, s.alg, jose.JSONWebKey{Key: s.key, KeyID: s.id}, c)
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, c map[string]any) string {
	t.Helper()
	sig, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jwt.Signed(sig).Claims(c).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// idp is an issuer's JWKS endpoint, reached without a network.
type idp struct {
	mu      sync.Mutex
	keys    []any
	down    error
	status  int
	delay   time.Duration
	fetches int
}

func (p *idp) set(keys ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = keys
}

func (p *idp) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = err
}

func (p *idp) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.fetches
}

func (p *idp) RoundTrip(r *http.Request) (*http.Response, error) {
	p.mu.Lock()
	p.fetches++
	delay := p.delay
	p.mu.Unlock()
	if delay > 0 {
		select {
		case <-time.After(delay):
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down != nil {
		return nil, p.down
	}
	body, err := json.Marshal(map[string]any{"keys": p.keys})
	if err != nil {
		return nil, err
	}
	status := p.status
	if status == 0 {
		status = http.StatusOK
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r,
		Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)),
	}, nil
}

func (p *idp) config() auth.JWTConfig {
	return auth.JWTConfig{
		Issuer: issuer, Audience: []string{"other", audience},
		JWKS: auth.JWKSConfig{URL: jwksURL, Client: &http.Client{Transport: p}},
	}
}

func newJWT(t testing.TB, cfg auth.JWTConfig) *auth.JWT {
	t.Helper()
	j, err := auth.NewJWT(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// request carries a bearer token unless it is empty.
func request(ctx context.Context, token string) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "/v1/orders", bytes.NewReader([]byte(`{"n":1}`)))
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// accepted fails unless the request has the principal.
func accepted(t testing.TB, a auth.Authenticator, r *http.Request, scope string) {
	t.Helper()
	p, err := a.Authenticate(r)
	if err != nil || p.Scope() != scope {
		t.Fatalf("got %q, %v; want %q", p.Scope(), err, scope)
	}
}

// refused fails unless the credentials are rejected.
func refused(t testing.TB, a auth.Authenticator, r *http.Request) {
	t.Helper()
	p, err := a.Authenticate(r)
	if _, ok := errors.AsType[*auth.RejectedError](err); !ok {
		t.Fatalf("got %q, %v; want a rejection", p.Scope(), err)
	}
}

// undecided fails unless the credentials cannot be judged.
func undecided(t testing.TB, a auth.Authenticator, r *http.Request) {
	t.Helper()
	p, err := a.Authenticate(r)
	if _, ok := errors.AsType[*auth.UnavailableError](err); !ok {
		t.Fatalf("got %q, %v; want unavailable", p.Scope(), err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
