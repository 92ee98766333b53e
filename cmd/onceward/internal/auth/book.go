package auth

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/time/rate"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/secret"
	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
)

// BookConfig of a Book. The zero value means the defaults.
type BookConfig struct {
	// Method of its principals. Default "key".
	Method string
	// Header that may carry a key, beside Authorization: Bearer. Default
	// X-Api-Key.
	Header string
	// CacheTTL is how long a key that was looked up is believed, and hence
	// how long a revoked one may still be used. Default 10 s.
	CacheTTL time.Duration
	// CacheSize bounds the keys that are remembered. Default 10,000.
	CacheSize uint64
	// LookupsPerSecond bounds what unknown keys may cost the store; beyond it
	// keys that are not remembered get 503. Default 200.
	LookupsPerSecond int
	// StoreTimeout bounds one lookup. Default 5 s.
	StoreTimeout time.Duration
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c BookConfig) withDefaults() BookConfig {
	c.Method = cmp.Or(c.Method, "key")
	c.Header = cmp.Or(c.Header, "X-Api-Key")
	c.CacheTTL = cmp.Or(c.CacheTTL, 10*time.Second)
	c.CacheSize = cmp.Or(c.CacheSize, 10_000)
	c.LookupsPerSecond = cmp.Or(c.LookupsPerSecond, 200)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 5*time.Second)
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// APIKey is what is known of a key: everything but the key.
type APIKey struct {
	ID        string    `json:"id"`
	Principal string    `json:"principal"`
	Note      string    `json:"note,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	ExpiresAt time.Time `json:"expires_at,omitzero"` // zero: never
	RevokedAt time.Time `json:"revoked_at,omitzero"`
}

// entry is an APIKey as it is kept.
type entry struct {
	APIKey
	Hash string `json:"sha256"`
}

// Book is the API keys of a deployment. They are kept in the store, hashed,
// so that all gateways on one store know the same keys.
type Book struct {
	cfg     BookConfig
	shelf   *shelf.Shelf
	cache   *ttlcache.Cache[string, entry] // an empty entry: there is no such key
	lookups *rate.Limiter
}

// shelfName is where the keys are.
const shelfName = "apikeys"

// Limits of what is kept of a key.
const (
	maxPrincipal = 200
	maxNote      = 500
)

// NewBook returns the book of API keys in a store, which must not be wrapped:
// what it keeps is hashed already. It starts nothing.
func NewBook(store onceward.Store, cfg BookConfig) (*Book, error) {
	cfg = cfg.withDefaults()
	if err := checkMethod(cfg.Method); err != nil {
		return nil, err
	}
	if cfg.CacheTTL < 0 || cfg.LookupsPerSecond < 0 || cfg.StoreTimeout < 0 {
		return nil, errors.New("auth: the times and limits of API keys may not be negative")
	}
	return &Book{
		cfg: cfg, shelf: shelf.New(store, shelfName, cfg.Now),
		cache: ttlcache.New(
			ttlcache.WithTTL[string, entry](cfg.CacheTTL), ttlcache.WithCapacity[string, entry](cfg.CacheSize),
			ttlcache.WithDisableTouchOnHit[string, entry](),
		),
		lookups: rate.NewLimiter(rate.Limit(cfg.LookupsPerSecond), cfg.LookupsPerSecond),
	}, nil
}

// NewKey describes a key to Create.
type NewKey struct {
	// Principal that the key speaks for; several keys may share one.
	Principal string
	Note      string
	// TTL is how long it is valid. Zero: until it is revoked.
	TTL time.Duration
}

// Create makes a key. Its token is returned once and kept nowhere.
func (b *Book) Create(ctx context.Context, n NewKey) (secret.Text, APIKey, error) {
	switch {
	case n.Principal == "" || len(n.Principal) > maxPrincipal || len(n.Note) > maxNote:
		return secret.Text{}, APIKey{}, fmt.Errorf("an API key needs a principal of at most %d bytes; its note may have %d", maxPrincipal, maxNote)
	case (onceward.Key{Scope: n.Principal, Value: "x"}).Validate() != nil:
		return secret.Text{}, APIKey{}, errors.New("the principal of an API key is UTF-8 without control characters")
	case n.TTL < 0:
		return secret.Text{}, APIKey{}, errors.New("an API key cannot have expired before it was made")
	}
	token, id := newToken()
	sum := sha256.Sum256(token.Reveal())
	e := entry{
		APIKey: APIKey{ID: id, Principal: n.Principal, Note: n.Note, CreatedAt: b.cfg.Now().UTC()},
		Hash:   hex.EncodeToString(sum[:]),
	}
	if n.TTL > 0 {
		e.ExpiresAt = e.CreatedAt.Add(n.TTL)
	}
	data, err := json.Marshal(e)
	if err != nil {
		return secret.Text{}, APIKey{}, err
	}
	if _, created, err := b.shelf.Put(ctx, id, data, e.ExpiresAt); err != nil || !created {
		return secret.Text{}, APIKey{}, errors.Join(errors.New("the API key was not kept; make another"), err)
	}
	return token, e.APIKey, nil
}

// List returns a page of keys, the newest first, and where the next one
// begins. Keys that have expired are gone.
func (b *Book) List(ctx context.Context, cursor string, limit int) (keys []APIKey, next string, err error) {
	docs, next, err := b.shelf.List(ctx, cursor, limit)
	if err != nil {
		return nil, "", err
	}
	for _, d := range docs {
		e, err := readEntry(d)
		if err != nil {
			return nil, "", err
		}
		keys = append(keys, e.APIKey)
	}
	return keys, next, nil
}

// ErrNoKey means that there is no API key of that ID.
var ErrNoKey = errors.New("there is no such API key; onceward apikeys list shows those there are")

// Revoke ends a key. Gateways that remember it go on for CacheTTL at most. A
// revoked key stays listed until it expires.
func (b *Book) Revoke(ctx context.Context, id string) (APIKey, error) {
	doc, err := b.shelf.Get(ctx, id)
	if errors.Is(err, shelf.ErrNotFound) || !validID(id) {
		return APIKey{}, ErrNoKey
	}
	if err != nil {
		return APIKey{}, err
	}
	e, err := readEntry(doc)
	if err != nil || !e.RevokedAt.IsZero() {
		return e.APIKey, err
	}
	e.RevokedAt = b.cfg.Now().UTC()
	data, err := json.Marshal(e)
	if err == nil {
		err = b.shelf.Replace(ctx, doc, data)
	}
	b.cache.Delete(id)
	return e.APIKey, err
}

func readEntry(d shelf.Document) (entry, error) {
	var e entry
	if err := json.Unmarshal(d.Data, &e); err != nil || e.ID != d.Name || len(e.Hash) != 2*sha256.Size {
		return entry{}, fmt.Errorf("the API key %q in the store is damaged; revoke it by making another", d.Name)
	}
	return e, nil
}

// Authenticate implements Authenticator.
func (b *Book) Authenticate(r *http.Request) (Principal, error) {
	token, err := b.token(r)
	if err != nil {
		return Principal{}, err
	}
	id, hash, ok := parseToken(token)
	if !ok {
		return Principal{}, rejected("the API key is not complete or was not copied well")
	}
	e, err := b.lookup(r.Context(), id)
	if err != nil {
		return Principal{}, err
	}
	now := b.cfg.Now()
	switch {
	case subtle.ConstantTimeCompare([]byte(hex.EncodeToString(hash[:])), []byte(e.Hash)) != 1:
		return Principal{}, rejected("the API key is not known")
	case !e.RevokedAt.IsZero():
		return Principal{}, rejected("the API key was revoked")
	case !e.ExpiresAt.IsZero() && !e.ExpiresAt.After(now):
		return Principal{}, rejected("the API key has expired")
	}
	return Principal{Method: b.cfg.Method, Name: e.Principal}, nil
}

// token finds the key in its own header or among the bearer tokens.
func (b *Book) token(r *http.Request) (string, error) {
	if values := r.Header.Values(b.cfg.Header); len(values) > 0 {
		if len(values) > 1 {
			return "", rejected("the " + b.cfg.Header + " header is sent more than once")
		}
		return values[0], nil
	}
	token, err := bearer(r)
	if err == nil && len(token) < len(tokenPrefix) || err == nil && token[:len(tokenPrefix)] != tokenPrefix {
		return "", ErrNone
	}
	return token, err
}

// lookup reads a key, or an empty entry.
func (b *Book) lookup(ctx context.Context, id string) (entry, error) {
	if item := b.cache.Get(id); item != nil {
		return item.Value(), nil
	}
	if !b.lookups.Allow() {
		return entry{}, &UnavailableError{RetryAfter: time.Second, Err: errors.New("too many unknown API keys; see LookupsPerSecond")}
	}
	ctx, cancel := context.WithTimeout(ctx, b.cfg.StoreTimeout)
	defer cancel()
	doc, err := b.shelf.Get(ctx, id)
	var e entry
	switch {
	case errors.Is(err, shelf.ErrNotFound):
	case err != nil:
		return entry{}, &UnavailableError{RetryAfter: time.Second, Err: err}
	default:
		if e, err = readEntry(doc); err != nil {
			return entry{}, &UnavailableError{RetryAfter: time.Minute, Err: err}
		}
	}
	b.cache.Set(id, e, ttlcache.DefaultTTL)
	return e, nil
}
