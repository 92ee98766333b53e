package quota

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
)

// Counter is a store that can count the keys of a scope without listing them.
type Counter interface {
	// CountKeys counts the unexpired records of a scope; it may stop at limit.
	CountKeys(ctx context.Context, scope string, now time.Time, limit int) (int, error)
}

func counterOf(store onceward.Store) Counter {
	if c, ok := store.(Counter); ok {
		return c
	}
	if l, ok := store.(onceward.Lister); ok {
		return listCounter{l}
	}
	return nil
}

// listCounter counts by listing: right everywhere, quick nowhere.
type listCounter struct{ store onceward.Lister }

const countPage = 500

// CountKeys implements Counter.
func (c listCounter) CountKeys(ctx context.Context, scope string, now time.Time, limit int) (int, error) {
	n, req := 0, onceward.ListRequest{Now: now, Scope: &scope}
	for n < limit {
		req.Limit = min(limit-n, countPage)
		page, err := c.store.List(ctx, req)
		if err != nil {
			return 0, err
		}
		n += len(page.Records)
		if page.Next == "" {
			break
		}
		req.Cursor = page.Next
	}
	return n, nil
}

// stored is what is known of the keys that a scope keeps. It never counts too
// few: every keyed request that was let through is taken for a new key, until
// the next count tells.
type stored struct {
	counting sync.Mutex // held by whoever counts

	mu    sync.Mutex
	known bool
	count int // as of at, and what has been let through since
	at    time.Time
}

// minRecount is the shortest time between two counts of a scope that is full.
const minRecount = time.Second

// full reports whether a request would begin a key too many. A request without
// a key in its header begins none; one that cannot be judged is let through,
// and fails at the store if that is what is wrong.
func (q *Quota) full(r *http.Request, scope string, keys Keys, limit int) bool {
	values := r.Header.Values(keys.Header)
	if len(values) != 1 || !slices.Contains(keys.Methods, r.Method) {
		return false
	}
	value, err := oncehttp.ParseKey(values[0], keys.Strict)
	if err != nil {
		return false
	}
	item, _ := q.stored.GetOrSetFunc(scope, func() *stored { return &stored{} })
	s := item.Value()
	if s.old(q.cfg.Now(), q.cfg.RecountEvery) {
		q.recount(r, scope, s, limit)
	}
	if s.take(limit) {
		return false
	}
	if s.old(q.cfg.Now(), minRecount) {
		if q.recount(r, scope, s, limit); s.take(limit) {
			return false
		}
	}
	return !q.exists(r, onceward.Key{Scope: scope, Value: value})
}

// old reports whether the count is older than age.
func (s *stored) old(now time.Time, age time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.known || now.Sub(s.at) >= age
}

// take counts one more key, if there is room.
func (s *stored) take(limit int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.known && s.count >= limit {
		return false
	}
	s.count++
	return true
}

// recount asks the store, unless somebody else does already.
func (q *Quota) recount(r *http.Request, scope string, s *stored, limit int) {
	if !s.counting.TryLock() {
		return
	}
	defer s.counting.Unlock()
	ctx, cancel := q.storeContext(r)
	defer cancel()
	s.mu.Lock()
	before := s.count
	s.mu.Unlock()
	now := q.cfg.Now()
	n, err := q.counter.CountKeys(ctx, scope, now, limit) //nolint:contextcheck // it is the request's
	if err != nil {
		if r.Context().Err() == nil {
			q.cfg.Logger.ErrorContext(ctx, "the keys of a scope could not be counted", "scope", scope, "err", err) //nolint:contextcheck // it is the request's
		}
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	// What was let through meanwhile may not be in the store's number yet.
	s.known, s.count, s.at = true, n+max(0, s.count-before), now
}

// exists reports whether the key is stored, so that the request is a retry.
func (q *Quota) exists(r *http.Request, key onceward.Key) bool {
	ctx, cancel := q.storeContext(r)
	defer cancel()
	_, err := q.cfg.Store.Get(ctx, onceward.GetRequest{Key: key, Now: q.cfg.Now()})
	return !errors.Is(err, onceward.ErrNotFound)
}
