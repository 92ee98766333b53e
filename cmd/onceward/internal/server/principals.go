package server

import (
	"context"
	"fmt"
	"net/http"
	"reflect"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/config"
	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/cmd/onceward/internal/quota"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/secret"
	"github.com/onceward/onceward/oncehttp"
)

// authenticator makes what names a request's principal.
func (s *Server) authenticator(ctx context.Context, cfg *config.Config, g, before *generation) (func(*http.Request) (*expr.Principal, error), error) {
	switch a := &cfg.Auth; {
	case a.SingleTenant:
		return gateway.SingleTenant, nil
	case a.Bearer:
		return gateway.Bearer, nil
	}
	chain, err := s.credentials(ctx, &cfg.Auth, g, before)
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
// What is known of an issuer stays known when its part of the configuration
// does not change: a reload must not make an outage of the issuer one of ours.
func (s *Server) credentials(ctx context.Context, cfg *config.Auth, g, before *generation) (auth.Chain, error) {
	var chain auth.Chain
	if k := cfg.APIKeys; k != nil {
		book, err := auth.NewBook(s.store.Store, auth.BookConfig{Header: k.Header, CacheTTL: k.CacheTTL.Std()})
		if err != nil {
			return nil, fmt.Errorf("auth.api_keys: %w", err)
		}
		chain = append(chain, book)
	}
	if cfg.JWT != nil && before != nil && before.tokens != nil && reflect.DeepEqual(before.cfg.Auth.JWT, cfg.JWT) {
		g.tokens = before.tokens
	} else if cfg.JWT != nil {
		var err error
		if g.tokens, err = s.issuer(cfg.JWT); err != nil {
			return nil, fmt.Errorf("auth.jwt: %w", err)
		}
		_ = g.tokens.Warm(ctx) // the log says so; keys are asked for again as long as there are none
	}
	if g.tokens != nil {
		chain = append(chain, g.tokens)
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

// maxMinRefresh bounds what tokens with made-up keys cost the issuer.
const maxMinRefresh = 10 * time.Second

func (s *Server) issuer(j *config.JWT) (*auth.JWT, error) {
	return auth.NewJWT(auth.JWTConfig{
		JWKS: auth.JWKSConfig{
			URL: j.JWKSURL, Refresh: j.Refresh.Std(), MinRefresh: min(j.Refresh.Std(), maxMinRefresh), Logger: s.log,
		},
		Issuer: j.Issuer, Audience: j.Audience, Algorithms: j.Algorithms, PrincipalClaim: j.Subject, Skew: j.Leeway.Std(),
	})
}

// quotas makes what bounds a scope. What scopes have used is forgotten when
// the numbers change, and only then.
func (s *Server) quotas(cfg *config.Config, before *generation) (func(oncehttp.Options) func(http.Handler) http.Handler, error) {
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
	return func(o oncehttp.Options) func(http.Handler) http.Handler {
		return out.Middleware(gateway.ScopeOf, quota.Keys{Header: o.Header, Strict: o.StrictKeys, Methods: o.Methods})
	}, nil
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
	keyring, err := s.keyring(e)
	if err != nil {
		return err
	}
	sealed, err := seal.Open(ctx, s.store.Store, keyring, seal.Config{
		AcceptPlaintext: e.AcceptPlaintext, KeyTTL: e.KeyTTL.Std(), Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.sealed, s.vault = sealed, sealed
	if s.fingerprint == nil {
		derived, err := sealed.FingerprintSecret()
		if err != nil {
			return err
		}
		s.fingerprint = derived.Reveal()
		if e.AcceptPlaintext {
			s.prior = [][]byte{nil} // records from before have plain hashes
		}
	}
	return nil
}

func (s *Server) keyring(e *config.Encryption) (*seal.Keyring, error) {
	text, err := e.Keyring.Read(s.opts.Getenv)
	if err != nil {
		return nil, fmt.Errorf("encryption.keyring: %w", err)
	}
	keyring, err := seal.ParseKeyring(secret.New(text))
	if err != nil {
		return nil, fmt.Errorf("encryption.keyring: %w", err)
	}
	return keyring, nil
}

// rekey reads the keyring again: a rotation needs no restart.
func (s *Server) rekey(ctx context.Context) error {
	if s.vault == nil {
		return nil
	}
	keyring, err := s.keyring(s.cfg.Encryption)
	if err != nil {
		return err
	}
	if err := s.vault.SetKeyring(ctx, keyring); err != nil {
		return fmt.Errorf("encryption.keyring: %w", err)
	}
	return nil
}

const minFingerprintKey = 16
