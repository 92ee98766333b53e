package oncetest

import (
	"github.com/onceward/onceward"
)

func recallCases() []contract {
	needs := []Ability{Recaller}
	return []contract{
		{name: "of a completed key is its record", needs: needs, run: recallCompleted},
		{name: "of a key in any other state is nothing", needs: needs, run: recallOthers},
		{name: "of an expired key is nothing", needs: needs, run: recallExpired},
	}
}

func (e *exam) recall(k onceward.Key) *onceward.Record {
	// only called where the ability was found
	return e.store.(onceward.Recaller).Recall(k, e.now)
}

// recallCompleted asks for what a claim has just read: a store need not have
// anything else in memory, nor that if it is short of it.
func recallCompleted(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	done := completed(rec, req)
	for range 2 {
		if got := e.recall(rec.Key); got != nil {
			e.same(*got, done)
		}
		e.lose(e.request(rec.Key), done)
	}
}

func recallOthers(e *exam) {
	nothing := func(state string, k onceward.Key) {
		e.Helper()
		if got := e.recall(k); got != nil {
			e.Fatalf("a record was recalled of a key that is %s: %+v", state, *got)
		}
	}
	nothing("absent", e.key())
	started := e.begin()
	e.lose(e.request(started.Key), started)
	nothing("started", started.Key)
	held := e.begin()
	end := e.hold(held.Claim())
	e.ok(e.complete(end))
	e.lose(e.request(held.Key), completed(held, end))
	nothing("held", held.Key)
	released := e.begin()
	e.ok(e.release(released.Claim()))
	nothing("released", released.Key)
	e.win(e.request(released.Key))
	nothing("claimed again", released.Key)
}

func recallExpired(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.lose(e.request(rec.Key), completed(rec, req))
	e.now = req.ExpiresAt
	if got := e.recall(rec.Key); got != nil {
		e.Fatalf("an expired record was recalled: %+v", *got)
	}
	e.win(e.request(rec.Key))
	if got := e.recall(rec.Key); got != nil {
		e.Fatalf("the record of the operation before was recalled: %+v", *got)
	}
}
