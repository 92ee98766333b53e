package postgres

import (
	"container/list"
	"sync"
	"time"

	"github.com/onceward/onceward"
)

// cacheMargin is how long before its expiry a record is no longer answered from
// memory: another process, whose clock is up to so much ahead, may already have
// begun afresh.
const cacheMargin = time.Minute

// cache keeps completed records, the most recently used first, up to a number of
// bytes. What is completed never changes until it expires, so no instance has to
// tell another; nothing else is kept.
//
// Only what was read for an answer, or acknowledged, may be put in: see read.sql.
type cache struct {
	limit int

	mu    sync.Mutex
	size  int
	items map[onceward.ID]*list.Element // of *cached
	order list.List
}

type cached struct {
	row
	size int
}

func newCache(limit int) *cache {
	return &cache{limit: limit, items: make(map[onceward.ID]*list.Element)}
}

// get returns a copy of the record, if it is there and will not expire soon.
func (c *cache) get(id onceward.ID, now time.Time) (onceward.Record, bool) {
	c.mu.Lock()
	e, ok := c.items[id]
	if ok {
		if !e.Value.(*cached).ExpiresAt.After(now.Add(cacheMargin)) { // the list holds nothing else
			c.drop(e)
			ok = false
		} else {
			c.order.MoveToFront(e)
		}
	}
	c.mu.Unlock()
	if !ok {
		return onceward.Record{}, false
	}
	return cloneRecord(&e.Value.(*cached).Record), true // never written again
}

// put keeps a copy of a completed record.
func (c *cache) put(r *row) {
	if r.Status != onceward.StatusCompleted {
		return
	}
	kept := &cached{row: row{Record: cloneRecord(&r.Record), id: r.id}, size: weigh(&r.Record)}
	if kept.size > c.limit/8 {
		return // it would drive out too many others
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e, ok := c.items[r.id]; ok {
		c.drop(e)
	}
	c.items[r.id] = c.order.PushFront(kept)
	for c.size += kept.size; c.size > c.limit; {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(e *list.Element) {
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
