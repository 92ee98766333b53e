package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// JWTConfig of one issuer.
type JWTConfig struct {
	// Method of its principals. Default "jwt"; two issuers need two methods.
	Method string
	JWKS   JWKSConfig
	// Issuer that tokens must name. Required.
	Issuer string
	// Audience: tokens must name one of these. Required.
	Audience []string
	// Algorithms that are accepted: RS256 … RS512, PS256 … PS512, ES256 …
	// ES512, EdDSA. Default RS256, PS256, ES256, EdDSA.
	Algorithms []string
	// PrincipalClaim names the principal; its value must be a text. Default
	// "sub".
	PrincipalClaim string
	// Skew is how far the issuer's clock may differ. Default 30 s, at most
	// MaxSkew.
	Skew time.Duration
}

// MaxSkew is the largest JWTConfig.Skew: more is no clock that differs.
const MaxSkew = 5 * time.Minute

// asymmetric are the algorithms that can be allowed: with a symmetric one,
// a public key could be used to sign, and "none" signs nothing.
var asymmetric = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// JWT accepts the tokens of one issuer. Use NewJWT.
type JWT struct {
	cfg        JWTConfig
	algorithms []jose.SignatureAlgorithm
	keys       *keySet
}

// NewJWT returns a JWT, or what is wrong with its configuration. It fetches
// nothing: see Warm.
func NewJWT(cfg JWTConfig) (*JWT, error) {
	cfg.Method = cmp.Or(cfg.Method, "jwt")
	cfg.PrincipalClaim = cmp.Or(cfg.PrincipalClaim, "sub")
	cfg.Skew = cmp.Or(cfg.Skew, 30*time.Second)
	cfg.JWKS = cfg.JWKS.withDefaults()
	if len(cfg.Algorithms) == 0 {
		cfg.Algorithms = []string{string(jose.RS256), string(jose.PS256), string(jose.ES256), string(jose.EdDSA)}
	}
	j := &JWT{cfg: cfg, keys: &keySet{cfg: cfg.JWKS}}
	errs := []error{checkMethod(cfg.Method), cfg.JWKS.validate()}
	if cfg.Issuer == "" {
		errs = append(errs, errors.New("auth: a JWT needs the issuer that its tokens must name"))
	}
	if len(cfg.Audience) == 0 || slices.Contains(cfg.Audience, "") {
		errs = append(errs, errors.New("auth: a JWT needs the audience that its tokens must name, or tokens for other services would do"))
	}
	if cfg.Skew < 0 || cfg.Skew > MaxSkew {
		errs = append(errs, fmt.Errorf("auth: a clock skew of %v; 0 to %v are allowed", cfg.Skew, MaxSkew))
	}
	for _, name := range cfg.Algorithms {
		if !slices.Contains(asymmetric, jose.SignatureAlgorithm(name)) {
			errs = append(errs, fmt.Errorf("auth: the algorithm %q cannot be allowed; use some of %v", name, asymmetric))
		}
		j.algorithms = append(j.algorithms, jose.SignatureAlgorithm(name))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return j, nil
}

// Warm fetches the keys if there are none yet. It is for a start that should
// notice a wrong URL, and for readiness.
func (j *JWT) Warm(ctx context.Context) error {
	_, err := j.keys.find(ctx, "")
	return err
}

// Authenticate implements Authenticator. Every bearer token that is not an
// API key is taken for a JSON Web Token.
func (j *JWT) Authenticate(r *http.Request) (Principal, error) {
	raw, err := bearer(r)
	if err != nil {
		return Principal{}, err
	}
	if strings.HasPrefix(raw, tokenPrefix) {
		return Principal{}, ErrNone
	}
	token, err := jwt.ParseSigned(raw, j.algorithms)
	if err != nil || len(token.Headers) != 1 {
		return Principal{}, rejected("the bearer token is no JSON Web Token signed by an accepted algorithm")
	}
	var std jwt.Claims
	var all map[string]any
	if err := j.verify(r.Context(), token, &std, &all); err != nil {
		return Principal{}, err
	}
	if err := j.check(&std); err != nil {
		return Principal{}, err
	}
	name, _ := all[j.cfg.PrincipalClaim].(string)
	if name == "" {
		return Principal{}, rejected("the token names no principal: its claim " + j.cfg.PrincipalClaim + " is missing or no text")
	}
	return Principal{Method: j.cfg.Method, Name: name, Claims: all}, nil
}

// verify checks the signature and reads the claims.
func (j *JWT) verify(ctx context.Context, token *jwt.JSONWebToken, claims ...any) error {
	head := token.Headers[0]
	keys, err := j.keys.find(ctx, head.KeyID)
	if errors.Is(err, errUnknownKey) {
		return rejected(err.Error())
	}
	if err != nil {
		return err
	}
	if head.KeyID == "" && len(keys) > 1 {
		return rejected("the token does not name its key, and the issuer has several")
	}
	for _, k := range keys {
		if k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		if err := token.Claims(k.Key, claims...); err == nil {
			return nil
		}
	}
	return rejected("the token's signature or its claims are not valid")
}

func (j *JWT) check(c *jwt.Claims) error {
	if c.Expiry == nil {
		return rejected("the token does not say when it expires")
	}
	err := c.ValidateWithLeeway(jwt.Expected{
		Issuer: j.cfg.Issuer, AnyAudience: j.cfg.Audience, Time: j.cfg.JWKS.Now(),
	}, j.cfg.Skew)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, jwt.ErrExpired):
		return rejected("the token has expired")
	case errors.Is(err, jwt.ErrNotValidYet), errors.Is(err, jwt.ErrIssuedInTheFuture):
		return rejected("the token is not valid yet")
	case errors.Is(err, jwt.ErrInvalidIssuer):
		return rejected("the token is of another issuer")
	case errors.Is(err, jwt.ErrInvalidAudience):
		return rejected("the token is for another audience")
	}
	return rejected("the token's claims are not valid")
}
