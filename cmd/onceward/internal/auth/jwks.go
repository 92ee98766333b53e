package auth

import (
	"cmp"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// JWKSConfig says where the keys of an issuer are.
type JWKSConfig struct {
	// URL of the JSON Web Key Set: https, or http on a loopback address.
	URL string
	// Client fetches it. Default: one that follows redirects to https only.
	Client *http.Client
	// Refresh is how old the keys may become before they are fetched again,
	// beside the requests that use them. Default 15 min.
	Refresh time.Duration
	// MinRefresh is the shortest time between two fetches, whatever keys
	// tokens name. Default 10 s.
	MinRefresh time.Duration
	// MaxStale is how long keys are used that cannot be fetched again.
	// Default 24 h.
	MaxStale time.Duration
	// Timeout of one fetch. Default 5 s.
	Timeout time.Duration
	// Logger receives what goes wrong. Default: discarded.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	maxJWKS = 1 << 20
	maxKeys = 256
	minRSA  = 2048
)

func (c JWKSConfig) withDefaults() JWKSConfig {
	c.Refresh = cmp.Or(c.Refresh, 15*time.Minute)
	c.MinRefresh = cmp.Or(c.MinRefresh, 10*time.Second)
	c.MaxStale = cmp.Or(c.MaxStale, 24*time.Hour)
	c.Timeout = cmp.Or(c.Timeout, 5*time.Second)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Client == nil {
		c.Client = &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) >= 3 {
				return errors.New("too many redirects")
			}
			return checkURL(r.URL)
		}}
	}
	return c
}

func (c *JWKSConfig) validate() error {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return errors.New("auth: the JWKS URL is missing or no URL; it looks like https://issuer.example/jwks.json")
	}
	if err := checkURL(u); err != nil {
		return fmt.Errorf("auth: the JWKS URL: %w", err)
	}
	if c.Refresh < 0 || c.MinRefresh < 0 || c.MaxStale < 0 || c.Timeout < 0 {
		return errors.New("auth: the times of a JWKS may not be negative")
	}
	if c.MaxStale < c.Refresh {
		return fmt.Errorf("auth: the JWKS keys would be given up after %v and are fetched every %v only", c.MaxStale, c.Refresh)
	}
	return nil
}

// checkURL: whoever can change the keys on their way can sign any token.
func checkURL(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	if u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return nil
	}
	return errors.New("keys are fetched over https only, or from a loopback address")
}

// keySet is the keys of one issuer, as they were last fetched.
type keySet struct {
	cfg JWKSConfig

	mu        sync.Mutex
	keys      []jose.JSONWebKey
	fetched   time.Time     // when the keys were, zero before
	attempted time.Time     // when that was last tried
	fetching  chan struct{} // closed when the fetch under way has ended
	err       error         // of the last fetch
}

// errUnknownKey means that the issuer has no key of that name.
var errUnknownKey = errors.New("the token is signed by an unknown key")

// find returns the keys that may have signed a token. It fetches them when
// there are none yet, when they are old, and when the name is unknown; but
// never more often than MinRefresh allows.
func (s *keySet) find(ctx context.Context, kid string) ([]jose.JSONWebKey, error) {
	s.mu.Lock()
	now := s.cfg.Now()
	found := s.usable(now, kid)
	old := now.Sub(s.fetched) >= s.cfg.Refresh
	if len(found) > 0 && !old {
		s.mu.Unlock()
		return found, nil
	}
	wait := s.startFetch(ctx, now)
	s.mu.Unlock()
	if len(found) > 0 {
		return found, nil // the fetch goes on beside us
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now = s.cfg.Now()
	if found = s.usable(now, kid); len(found) > 0 {
		return found, nil
	}
	if s.fetched.IsZero() || now.Sub(s.fetched) > s.cfg.MaxStale {
		return nil, &UnavailableError{RetryAfter: s.cfg.MinRefresh, Err: fmt.Errorf("no keys from %s: %w", s.cfg.URL, s.err)}
	}
	return nil, errUnknownKey
}

// usable returns the known keys of a name, all of them for a token without
// one, and none once they are too old.
func (s *keySet) usable(now time.Time, kid string) (found []jose.JSONWebKey) {
	if s.fetched.IsZero() || now.Sub(s.fetched) > s.cfg.MaxStale {
		return nil
	}
	for _, k := range s.keys {
		if kid == "" || k.KeyID == kid {
			found = append(found, k)
		}
	}
	return found
}

// startFetch begins a fetch unless one is under way or it is too early for
// another; the channel is closed when there is nothing to wait for any more.
func (s *keySet) startFetch(ctx context.Context, now time.Time) <-chan struct{} {
	if s.fetching != nil {
		return s.fetching
	}
	done := make(chan struct{})
	if !s.attempted.IsZero() && now.Sub(s.attempted) < s.cfg.MinRefresh {
		close(done)
		return done
	}
	s.attempted, s.fetching = now, done
	// Others wait for it too, so it does not end with the request that began it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Timeout)
	go func() {
		defer cancel()
		keys, err := s.fetch(ctx)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.err = err; err == nil {
			s.keys, s.fetched = keys, s.cfg.Now()
		} else {
			s.cfg.Logger.ErrorContext(ctx, "signing keys not fetched; the known ones stay in use",
				"url", s.cfg.URL, "known", len(s.keys), "fetched", s.fetched, "err", err)
		}
		s.fetching = nil
		close(done)
	}()
	return done
}

func (s *keySet) fetch(ctx context.Context) ([]jose.JSONWebKey, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.cfg.URL, http.NoBody) //nolint:gosec // the address is the configuration's
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/jwk-set+json, application/json")
	res, err := s.cfg.Client.Do(req) //nolint:gosec // the address is the configuration's
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxJWKS+1))
	err = errors.Join(err, res.Body.Close())
	switch {
	case res.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("the answer was %s", res.Status)
	case err != nil:
		return nil, err
	case len(body) > maxJWKS:
		return nil, fmt.Errorf("the answer is larger than %d bytes", maxJWKS)
	}
	return parseKeys(body)
}

// parseKeys reads the keys that can verify a signature and leaves out the
// others. Symmetric keys are never taken: whoever can read them could sign.
func parseKeys(body []byte) ([]jose.JSONWebKey, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(body, &set); err != nil {
		return nil, fmt.Errorf("the answer is no JSON Web Key Set: %w", err)
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("the set has %d keys; at most %d are taken", len(set.Keys), maxKeys)
	}
	var keys []jose.JSONWebKey
	for _, raw := range set.Keys {
		var k jose.JSONWebKey
		if err := json.Unmarshal(raw, &k); err != nil {
			continue // of a kind that cannot be used here
		}
		if pub, ok := k.Key.(*rsa.PublicKey); ok && pub.N.BitLen() < minRSA {
			continue
		}
		if k.IsPublic() && k.Valid() && (k.Use == "" || k.Use == "sig") {
			keys = append(keys, k)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("the set has no public key for signatures")
	}
	return keys, nil
}
