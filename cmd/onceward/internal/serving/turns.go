package serving

import (
	"container/list"
	"sync"
)

// turns is a set of at most max things of which the one that has been silent
// longest makes room for a new one. Things that are at work are not silent.
type turns struct {
	max   int
	mu    sync.Mutex
	count int
	quiet list.List // of *turn, the longest silent first
}

// turn is one thing in the set.
type turn struct {
	set   *turns
	evict func() // called at most once, without a lock
	place *list.Element
	work  int
	gone  bool
}

// enter adds a silent thing. It reports false when the set is full of things
// that are at work.
func (s *turns) enter(evict func()) (*turn, bool) {
	s.mu.Lock()
	var victim *turn
	if s.count >= s.max {
		first := s.quiet.Front()
		if first == nil {
			s.mu.Unlock()
			return nil, false
		}
		victim, _ = first.Value.(*turn) // nothing else is in the list
		victim.remove()
	}
	t := &turn{set: s, evict: evict}
	s.count++
	t.place = s.quiet.PushBack(t)
	s.mu.Unlock()
	if victim != nil {
		victim.evict()
	}
	return t, true
}

// touch says that the thing has just been heard of.
func (t *turn) touch() {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	if t.place != nil {
		t.set.quiet.MoveToBack(t.place)
	}
}

// begin says that work on it has begun; it reports false when it had to make
// room before that.
func (t *turn) begin() bool {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	if t.gone {
		return false
	}
	t.work++
	if t.place != nil {
		t.set.quiet.Remove(t.place)
		t.place = nil
	}
	return true
}

// end takes one begin back.
func (t *turn) end() {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	if t.work--; t.work == 0 && !t.gone {
		t.place = t.set.quiet.PushBack(t)
	}
}

// leave removes it.
func (t *turn) leave() {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	t.remove()
}

// remove is leave under the lock.
func (t *turn) remove() {
	if t.gone {
		return
	}
	t.gone = true
	t.set.count--
	if t.place != nil {
		t.set.quiet.Remove(t.place)
		t.place = nil
	}
}

// alive reports whether it has not had to make room.
func (t *turn) alive() bool {
	t.set.mu.Lock()
	defer t.set.mu.Unlock()
	return !t.gone
}
