// Package replay keeps completed records in memory, so that a store can answer
// replays without a query.
//
// What is guaranteed: at most so many bytes are kept, by estimate; a record comes
// back as it was put in, as a copy unless asked otherwise, and not within a minute of its
// expiry or after it.
//
// What is not: that a record is still the store's. A completed record never
// changes until it expires, so that no instance has to tell another; nothing else
// is kept. Only what is durable may be put in.
package replay

import (
	"container/list"
	"sync"
	"time"

	"github.com/onceward/onceward"
)

// margin is how long before its expiry a record is no longer answered from
// memory: another process, whose clock is up to so much ahead, may already have
// begun afresh.
const margin = time.Minute

// Cache keeps the most recently used records. Use New. It is safe for concurrent
// use.
type Cache struct {
	limit int

	mu    sync.Mutex
	size  int
	items map[onceward.ID]*list.Element // of *cached
	order list.List
}

type cached struct {
	id     onceward.ID
	record onceward.Record // never written again
	size   int
}

// New returns an empty Cache of so many bytes. One without bytes keeps nothing.
func New(limit int) *Cache {
	return &Cache{limit: limit, items: make(map[onceward.ID]*list.Element)}
}

// Get returns a copy of a record, if it is there and will not expire soon.
func (c *Cache) Get(id onceward.ID, now time.Time) (onceward.Record, bool) {
	r := c.Shared(id, now)
	if r == nil {
		return onceward.Record{}, false
	}
	return Clone(r), true
}

// Shared is Get without the copy: nobody may change what it returns, which is nil
// when there is none.
func (c *Cache) Shared(id onceward.ID, now time.Time) *onceward.Record {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.items[id]
	if !ok {
		return nil
	}
	kept := e.Value.(*cached) // the list holds nothing else
	if !kept.record.ExpiresAt.After(now.Add(margin)) {
		c.drop(e)
		return nil
	}
	c.order.MoveToFront(e)
	return &kept.record
}

// Put keeps a copy of a record that is completed and durable; of others it keeps
// nothing.
func (c *Cache) Put(id onceward.ID, r *onceward.Record) {
	size := weigh(r)
	if r.Status != onceward.StatusCompleted || size > c.limit/8 { // it would drive out too many others
		return
	}
	kept := &cached{id: id, record: Clone(r), size: size}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[id]; ok {
		c.drop(e)
	}
	c.items[id] = c.order.PushFront(kept)
	for c.size += kept.size; c.size > c.limit; {
		c.drop(c.order.Back())
	}
}

// Drop forgets a record.
func (c *Cache) Drop(id onceward.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[id]; ok {
		c.drop(e)
	}
}

func (c *Cache) drop(e *list.Element) {
	kept := e.Value.(*cached) // the list holds nothing else
	c.order.Remove(e)
	delete(c.items, kept.id)
	c.size -= kept.size
}

// weigh estimates what a record takes in memory.
func weigh(r *onceward.Record) int {
	n := 768 + len(r.Key.Scope) + len(r.Key.Value) + len(r.Kind) + len(r.Fingerprint) + len(r.Detail) + len(r.Reason)
	for _, cp := range r.Checkpoints {
		n += 64 + len(cp.Name) + len(cp.Data)
	}
	if r.Response != nil {
		n += 128 + len(r.Response.Body)
		for name, values := range r.Response.Header {
			n += 64 + len(name)
			for _, v := range values {
				n += 16 + len(v)
			}
		}
	}
	return n
}
