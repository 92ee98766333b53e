package onceward

import (
	"context"
	"sync"
	"time"
)

// flights are the keys this engine is claiming or running. A duplicate that
// arrives in the same process attaches to its flight and costs no query.
type flights struct {
	mu      sync.Mutex
	byKey   map[Key]*flight
	byScope map[string]int
}

// flight is one claim or run of a key. rec is what the claim found: our own
// started record, or the one that stood in the way.
type flight struct {
	key      Key
	counted  bool
	attached bool // somebody else may hold it; guarded by flights.mu

	values   callerValues
	claiming detached // the context of the first claim

	mu      sync.Mutex
	settled bool
	over    bool
	owned   bool // the claim was won: rec is this engine's own
	known   bool // rec is set
	rec     Record
	err     error
	changed chan struct{} // made by the first to wait; closed at every change
}

// start begins a flight for key, or returns the one that is under way.
func (f *flights) start(key Key, perScope int) (fl *flight, mine bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl = f.byKey[key]; fl != nil {
		fl.attached = true
		return fl, false, nil
	}
	if f.byKey == nil {
		f.byKey = make(map[Key]*flight)
		f.byScope = make(map[string]int)
	}
	if perScope > 0 && f.byScope[key.Scope] >= perScope {
		return nil, false, &Error{Code: CodeRateLimited, RetryAfter: time.Second}
	}
	fl = &flight{key: key, counted: perScope > 0}
	f.byKey[key] = fl
	if fl.counted {
		f.byScope[key.Scope]++
	}
	return fl, true, nil
}

// leave ends a flight that start began.
func (f *flights) leave(fl *flight) {
	f.detach(fl)
	f.mu.Lock()
	defer f.mu.Unlock()
	if fl.counted {
		f.byScope[fl.key.Scope]--
		if f.byScope[fl.key.Scope] == 0 {
			delete(f.byScope, fl.key.Scope)
		}
	}
}

// detach sends later requests for the key to the store again, while the
// flight's handler may still run: it no longer speaks for the key. It reports
// whether anybody has attached to it; nobody can any more.
func (f *flights) detach(fl *flight) (attached bool) {
	f.mu.Lock()
	if f.byKey[fl.key] == fl {
		delete(f.byKey, fl.key)
	}
	attached = fl.attached
	f.mu.Unlock()
	fl.update(func() { fl.over = true })
	return attached
}

// get returns the flight of key, or nil.
func (f *flights) get(key Key) *flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	fl := f.byKey[key]
	if fl != nil {
		fl.attached = true
	}
	return fl
}

// settle publishes what is known of the key: the record after the claim and
// again after its end. A nil record with a nil error means released.
func (fl *flight) settle(rec *Record, err error) {
	fl.update(func() {
		fl.settled, fl.known, fl.err = true, rec != nil, err
		if rec != nil {
			fl.rec = *rec
		}
	})
}

// own publishes the record of a claim that was won.
func (fl *flight) own(rec *Record) {
	fl.update(func() { fl.settled, fl.owned, fl.known, fl.rec, fl.err = true, true, true, *rec, nil })
}

// current reports whether rec, as standing returned it, is true for a request
// that came while the flight was under way: an answer is final, and of a key
// in our own hands we know everything. Another's record may have changed
// between its reading and the request.
func (fl *flight) current(rec *Record) bool {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	return fl.owned || rec.Status == StatusCompleted
}

func (fl *flight) update(set func()) {
	fl.mu.Lock()
	defer fl.mu.Unlock()
	set()
	if fl.changed != nil {
		close(fl.changed)
		fl.changed = nil
	}
}

// standing waits until the flight's claim is settled and returns a copy of
// the record it found, nil when the key has been released since. The body of
// its response is shared.
func (fl *flight) standing(ctx context.Context) (*Record, error) {
	if err := fl.waitFor(ctx, func() bool { return fl.settled || fl.over }); err != nil {
		return nil, err
	}
	fl.mu.Lock()
	defer fl.mu.Unlock()
	if !fl.known {
		return nil, fl.err
	}
	rec := fl.rec
	rec.Response = rec.Response.withOwnHeader()
	return &rec, nil
}

// landed waits until the flight is over.
func (fl *flight) landed(ctx context.Context) error {
	return fl.waitFor(ctx, func() bool { return fl.over })
}

// waitFor blocks until cond, called under the lock, holds.
func (fl *flight) waitFor(ctx context.Context, cond func() bool) error {
	for {
		fl.mu.Lock()
		if cond() {
			fl.mu.Unlock()
			return nil
		}
		if fl.changed == nil {
			fl.changed = make(chan struct{})
		}
		changed := fl.changed
		fl.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
