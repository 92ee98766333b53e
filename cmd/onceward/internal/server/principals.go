package server

import (
	"context"
	"fmt"
	"net/http"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/quota"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/secret"
)

// authenticator makes what names a request's principal.
func (s *Server) authenticator(cfg *config.Config) (func(*http.Request) (*expr.Principal, error), error) {
	switch a := &cfg.Auth; {
	case a.SingleTenant:
		return gateway.SingleTenant, nil
	case a.Bearer:
		return gateway.Bearer, nil
	}
	chain, err := s.credentials(&cfg.Auth)
	if err != nil {
		return nil, err
	}
	return func(r *http.Request) (*expr.Principal, error) {
		p, err := chain.Authenticate(r)
		if err != nil {
			return nil, err
		}
		return &expr.Principal{ID: p.Scope(), Method: p.Method, Claims: p.Claims}, nil
	}, nil
}

// credentials are the kinds that a configuration accepts. An API key has a
// form of its own, so it is asked first: every other bearer token is a JWT.
func (s *Server) credentials(cfg *config.Auth) (auth.Chain, error) {
	var chain auth.Chain
	if k := cfg.APIKeys; k != nil {
		book, err := auth.NewBook(s.store.Store, auth.BookConfig{Header: k.Header, CacheTTL: k.CacheTTL.Std()})
		if err != nil {
			return nil, fmt.Errorf("auth.api_keys: %w", err)
		}
		chain = append(chain, book)
	}
	if j := cfg.JWT; j != nil {
		tokens, err := auth.NewJWT(auth.JWTConfig{
			JWKS:   auth.JWKSConfig{URL: j.JWKSURL, Refresh: j.Refresh.Std(), Logger: s.log},
			Issuer: j.Issuer, Audience: j.Audience, Algorithms: j.Algorithms, PrincipalClaim: j.Subject, Skew: j.Leeway.Std(),
		})
		if err != nil {
			return nil, fmt.Errorf("auth.jwt: %w", err)
		}
		chain = append(chain, tokens)
	}
	if m := cfg.MTLS; m != nil {
		certs, err := auth.NewCert(auth.CertConfig{Source: auth.CertSource(m.Subject)})
		if err != nil {
			return nil, fmt.Errorf("auth.mtls: %w", err)
		}
		chain = append(chain, certs)
	}
	return chain, nil
}

// quotas makes what bounds a scope. What scopes have used is forgotten when
// the numbers change, and only then.
func (s *Server) quotas(cfg *config.Config, before *generation) (func(http.Handler) http.Handler, error) {
	q := cfg.Quotas
	if before != nil && before.cfg.Quotas == q {
		return before.quota, nil
	}
	if q.KeysStored == 0 && q.RequestsPerSecond == 0 && q.RequestsInFlight == 0 {
		return nil, nil //nolint:nilnil // no quota is no middleware
	}
	out, err := quota.New(quota.Config{
		Default: quota.Limits{
			RequestsPerSecond: float64(q.RequestsPerSecond), Burst: q.Burst, InFlight: q.RequestsInFlight, Stored: q.KeysStored,
		},
		Store: s.store.Store, MaxScopes: q.MaxScopes, Logger: s.log,
	})
	if err != nil {
		return nil, fmt.Errorf("quotas: %w", err)
	}
	return out.Middleware(gateway.ScopeOf), nil
}

// seal puts encryption between the engine and the store, where it is asked
// for, and finds the key of the fingerprints.
func (s *Server) seal(ctx context.Context) error {
	s.sealed = s.store.Store
	var err error
	if key := s.cfg.Operations.FingerprintKey; key.Set() {
		if s.fingerprint, err = key.Bytes(s.opts.Getenv); err != nil {
			return fmt.Errorf("operations.fingerprint_key: %w", err)
		}
		if len(s.fingerprint) < minFingerprintKey {
			return fmt.Errorf("operations.fingerprint_key: %d bytes; at least %d are needed", len(s.fingerprint), minFingerprintKey)
		}
	}
	e := s.cfg.Encryption
	if e == nil {
		return nil
	}
	text, err := e.Keyring.Read(s.opts.Getenv)
	if err != nil {
		return fmt.Errorf("encryption.keyring: %w", err)
	}
	keyring, err := seal.ParseKeyring(secret.New(text))
	if err != nil {
		return fmt.Errorf("encryption.keyring: %w", err)
	}
	sealed, err := seal.Open(ctx, s.store.Store, keyring, seal.Config{
		AcceptPlaintext: e.AcceptPlaintext, KeyTTL: e.KeyTTL.Std(), Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.sealed = sealed
	if s.fingerprint == nil {
		derived, err := sealed.FingerprintSecret()
		if err != nil {
			return err
		}
		s.fingerprint = derived.Reveal()
	}
	return nil
}

const minFingerprintKey = 16
