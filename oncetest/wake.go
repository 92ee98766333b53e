package oncetest

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/onceward/onceward"
)

// patience is how long a wake-up may take on an overloaded machine.
const patience = time.Minute

func wakeCases() []contract {
	needs := []Ability{Waker}
	return []contract{
		{name: "the end of an operation wakes up who watches it", needs: needs, run: wakeAtTheEnd},
		{name: "everybody who watches is woken up", needs: needs, run: wakeEverybody},
		{name: "stop ends one watch and no other", needs: needs, run: wakeStop},
		{name: "watches come and go while operations end", needs: needs, run: wakeRace},
	}
}

// watch returns a nil channel where the store cannot wake up at the moment.
func (e *exam) watch(k onceward.Key) (wake <-chan struct{}, stop func()) {
	// only called where the ability was found
	return e.store.(onceward.Waker).Watch(k)
}

// woken fails unless wake receives in time. It may have come for no reason: the
// contract makes it a hint.
func (e *exam) woken(wake <-chan struct{}, by string) {
	e.Helper()
	if wake == nil {
		return
	}
	ctx, cancel := context.WithTimeout(e.Context(), patience)
	defer cancel()
	select {
	case <-wake:
	case <-ctx.Done():
		e.Fatalf("not woken up by %s within %v", by, patience)
	}
}

func wakeAtTheEnd(e *exam) {
	for _, end := range []struct {
		by string
		do func(c onceward.Claim) error
	}{
		{"a completion", func(c onceward.Claim) error { return e.complete(e.completion(c)) }},
		{"a hold", func(c onceward.Claim) error { return e.complete(e.hold(c)) }},
		{"a release", e.release},
	} {
		rec := e.begin()
		wake, stop := e.watch(rec.Key)
		e.ok(end.do(rec.Claim()))
		e.woken(wake, end.by)
		stop()
	}
}

func wakeEverybody(e *exam) {
	rec := e.begin()
	first, stopFirst := e.watch(rec.Key)
	defer stopFirst()
	second, stopSecond := e.watch(rec.Key)
	defer stopSecond()
	e.ok(e.complete(e.completion(rec.Claim())))
	e.woken(first, "the completion that two wait for")
	e.woken(second, "the completion that two wait for")
}

func wakeStop(e *exam) {
	rec := e.begin()
	_, stop := e.watch(rec.Key)
	wake, stopOther := e.watch(rec.Key)
	defer stopOther()
	stop()
	e.ok(e.complete(e.completion(rec.Claim())))
	e.woken(wake, "a completion after another had stopped watching")
}

func wakeRace(e *exam) {
	var recs []onceward.Record
	for range 8 {
		recs = append(recs, e.begin())
	}
	errs := make([]error, len(recs))
	var all sync.WaitGroup
	for i, rec := range recs {
		done := e.completion(rec.Claim())
		all.Go(func() { errs[i] = e.complete(done) })
		all.Go(func() {
			for range 20 {
				_, stop := e.watch(rec.Key)
				stop()
			}
		})
	}
	all.Wait()
	e.ok(errors.Join(errs...))
	for i, rec := range recs {
		if got := e.get(rec.Key); got.Status != onceward.StatusCompleted {
			e.Fatalf("operation %d is %s", i, got.Status)
		}
	}
}
