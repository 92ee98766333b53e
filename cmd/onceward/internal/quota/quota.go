// Package quota keeps one scope from taking the place of the others: requests
// a second, requests under way, and keys stored.
//
// The limits are each gateway's own: with n gateways a scope gets up to n
// times as much, for keys stored at most the requests of one RecountEvery
// more. A retry of a key that is stored is never refused for the keys that are
// stored. Memory is bounded by MaxScopes, whoever comes: beyond it the scope
// that has been silent for longest is forgotten and starts with a full burst.
package quota

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"sync"
	"time"

	"github.com/jellydator/ttlcache/v3"
	"golang.org/x/time/rate"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Limits of one scope. Zero means no limit.
type Limits struct {
	// RequestsPerSecond on average.
	RequestsPerSecond float64
	// Burst is how many requests may come at once. Default: those of a second,
	// at least 1.
	Burst int
	// InFlight is how many requests may be under way.
	InFlight int
	// Stored is how many keys may be kept: in progress, held, and completed
	// ones until they expire.
	Stored int
}

func (l Limits) burst() int { return cmp.Or(l.Burst, max(1, int(math.Ceil(l.RequestsPerSecond)))) }

// Validate reports what is wrong with the limits.
func (l Limits) Validate() error {
	if l.RequestsPerSecond < 0 || l.Burst < 0 || l.InFlight < 0 || l.Stored < 0 ||
		math.IsNaN(l.RequestsPerSecond) || math.IsInf(l.RequestsPerSecond, 0) {
		return errors.New("quota: limits are positive numbers; leave one out for no limit")
	}
	if l.Burst > 0 && l.RequestsPerSecond == 0 {
		return errors.New("quota: a burst needs requests per second")
	}
	return nil
}

// Config of a Quota.
type Config struct {
	// Default limits of a scope.
	Default Limits
	// Of gives some scopes others. Nil: Default for all.
	Of func(scope string) (Limits, bool)
	// Store is where keys are counted and found. It is needed with
	// Limits.Stored, and must be a Counter or a onceward.Lister.
	Store onceward.Store
	// MaxScopes bounds the scopes that are remembered. Default 10,000.
	MaxScopes int
	// RecountEvery is how often the stored keys of an active scope are
	// counted. Default 1 min.
	RecountEvery time.Duration
	// StoreTimeout bounds one count. Default 5 s.
	StoreTimeout time.Duration
	// PolicyURL of the page that explains the codes. Default that of oncehttp.
	PolicyURL string
	// Logger receives what the client is not told. Default: discarded.
	Logger *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

func (c Config) withDefaults() Config {
	c.MaxScopes = cmp.Or(c.MaxScopes, 10_000)
	c.RecountEvery = cmp.Or(c.RecountEvery, time.Minute)
	c.StoreTimeout = cmp.Or(c.StoreTimeout, 5*time.Second)
	if c.Of == nil {
		c.Of = func(string) (Limits, bool) { return Limits{}, false }
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Quota holds what scopes have used. Use New.
type Quota struct {
	cfg     Config
	counter Counter
	// limiters and stored forget the scope that was silent for longest.
	limiters *ttlcache.Cache[string, *rate.Limiter]
	stored   *ttlcache.Cache[string, *stored]

	mu       sync.Mutex
	inFlight map[string]int // scopes with requests under way, and no others
}

// New returns a Quota, or what is wrong with its configuration.
func New(cfg Config) (*Quota, error) {
	cfg = cfg.withDefaults()
	if cfg.MaxScopes < 0 || cfg.RecountEvery < 0 || cfg.StoreTimeout < 0 {
		return nil, errors.New("quota: MaxScopes, RecountEvery and StoreTimeout may not be negative")
	}
	if err := cfg.Default.Validate(); err != nil {
		return nil, err
	}
	q := &Quota{
		cfg: cfg, inFlight: make(map[string]int),
		limiters: ttlcache.New(ttlcache.WithCapacity[string, *rate.Limiter](uint64(cfg.MaxScopes))),
		stored:   ttlcache.New(ttlcache.WithCapacity[string, *stored](uint64(cfg.MaxScopes))),
	}
	if cfg.Store != nil {
		q.counter = counterOf(cfg.Store)
	}
	if q.counter == nil && cfg.Default.Stored > 0 {
		return nil, errors.New("quota: a limit of stored keys needs a store that can count or list them")
	}
	return q, nil
}

// Scopes returns how many scopes are remembered, at most MaxScopes and those
// with requests under way.
func (q *Quota) Scopes() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return max(q.limiters.Len(), q.stored.Len(), len(q.inFlight))
}

func (q *Quota) limits(scope string) Limits {
	if l, ok := q.cfg.Of(scope); ok && l.Validate() == nil {
		return l
	}
	return q.cfg.Default
}

// Keys says which requests of a route begin a key, as its oncehttp.Options do.
type Keys struct {
	// Header that carries the key. Default oncehttp.DefaultHeader.
	Header string
	// Strict takes only the quoted form.
	Strict bool
	// Methods that are guarded. Default POST and PATCH.
	Methods []string
}

// Middleware lets the requests of a scope through that its limits allow. It
// belongs inside the middleware that authenticates and around the one that
// guards keys; its scope and its keys are the same as theirs.
func (q *Quota) Middleware(scope func(*http.Request) (string, error), keys Keys) func(http.Handler) http.Handler {
	keys.Header = cmp.Or(keys.Header, oncehttp.DefaultHeader)
	if len(keys.Methods) == 0 {
		keys.Methods = []string{http.MethodPost, http.MethodPatch}
	}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			s, err := scope(r)
			if err != nil {
				next.ServeHTTP(w, r) // it has no principal; the guard says so
				return
			}
			release, refusal := q.admit(r, s, keys) //nolint:contextcheck // the request carries it
			if refusal != nil {
				refusal.PolicyURL = q.cfg.PolicyURL
				refusal.Write(w, oncehttp.WithKey(r, oncehttp.Options{Header: keys.Header, StrictKeys: keys.Strict, Methods: keys.Methods}))
				return
			}
			defer release()
			next.ServeHTTP(w, r)
		})
	}
}

// admit counts a request in, or says why it must wait.
func (q *Quota) admit(r *http.Request, scope string, keys Keys) (release func(), refusal *oncehttp.Problem) {
	l := q.limits(scope)
	if wait := q.tooFast(scope, l); wait > 0 {
		return nil, refuse("requests", wait, fmt.Sprintf("more than %g requests a second", l.RequestsPerSecond))
	}
	release, ok := q.enter(scope, l.InFlight)
	if !ok {
		return nil, refuse("in-flight", time.Second, fmt.Sprintf("more than %d requests at the same time", l.InFlight))
	}
	if l.Stored > 0 && q.counter != nil && q.full(r, scope, keys, l.Stored) {
		release()
		return nil, refuse("stored", q.cfg.RecountEvery, fmt.Sprintf("more than %d keys that are kept; they expire with time", l.Stored))
	}
	return release, nil
}

func refuse(limit string, wait time.Duration, what string) *oncehttp.Problem {
	p := oncehttp.ProblemOf(&onceward.Error{Code: onceward.CodeRateLimited, RetryAfter: wait})
	p.Detail = "This principal has " + what + ". Nothing was done. Send the request again, with the same key, after the time given."
	p.Extensions = map[string]any{"limit": limit}
	return p
}

// tooFast takes a token, or says when there will be one.
func (q *Quota) tooFast(scope string, l Limits) time.Duration {
	if l.RequestsPerSecond <= 0 {
		return 0
	}
	item, _ := q.limiters.GetOrSetFunc(scope, func() *rate.Limiter {
		return rate.NewLimiter(rate.Limit(l.RequestsPerSecond), l.burst())
	})
	now := q.cfg.Now()
	taken := item.Value().ReserveN(now, 1)
	wait := taken.DelayFrom(now)
	if wait > 0 {
		taken.CancelAt(now)
	}
	return wait
}

// enter counts a request as under way until release.
func (q *Quota) enter(scope string, limit int) (release func(), ok bool) {
	if limit == 0 {
		return func() {}, true
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.inFlight[scope] >= limit {
		return nil, false
	}
	q.inFlight[scope]++
	return func() {
		q.mu.Lock()
		defer q.mu.Unlock()
		if q.inFlight[scope]--; q.inFlight[scope] == 0 {
			delete(q.inFlight, scope)
		}
	}, true
}

// storeContext bounds a question to the store.
func (q *Quota) storeContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(r.Context(), q.cfg.StoreTimeout)
}
