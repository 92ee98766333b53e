package oncetest

import (
	"errors"
	"time"

	"github.com/onceward/onceward"
)

func endCases() []contract {
	return []contract{
		{name: "completed keeps the answer", run: endCompleted},
		{name: "completed twice is the same as once", run: endTwice},
		{name: "completed after the lease lapsed, while nobody took it", run: endLapsed},
		{name: "completed otherwise than before is refused", run: endOtherwise},
		{name: "completed again after the key went on is refused", run: endMovedOn},
		{name: "held keeps the reason", run: endHeld},
		{name: "with an unknown status is an error", run: endUnknown},
		{name: "expires at its very expiry", run: endExpiry},
		{name: "released makes the key absent at once", run: endReleased},
		{name: "released is absent for slow clocks too", run: endReleasedSlowClock},
		{name: "released begins afresh", run: endReleasedAfresh},
		{name: "released refuses the former owner", run: endReleasedFenced},
	}
}

func endCompleted(e *exam) {
	rec := e.begin()
	e.now = e.now.Add(time.Second)
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.stands(completed(rec, req))
}

func endTwice(e *exam) {
	rec := e.begin()
	begun1 := e.begin()
	for _, req := range []onceward.CompleteRequest{e.completion(rec.Claim()), e.hold(begun1.Claim())} {
		e.ok(e.complete(req))
		want := e.get(req.Claim.Key)
		e.now = e.now.Add(time.Second)
		again := req
		again.Now, again.ExpiresAt = e.now, e.now.Add(time.Hour)
		e.ok(e.complete(again))
		e.stands(want) // the first completion is the one that counts
	}
}

func endLapsed(e *exam) {
	rec := e.begin()
	e.now = rec.LeaseUntil.Add(time.Hour)
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.stands(completed(rec, req))
}

func endOtherwise(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.fenced(e.complete(e.hold(rec.Claim())))
	e.stands(completed(rec, req))

	held := e.beginHeld()
	e.fenced(e.complete(e.completion(held.Claim())))
	e.stands(held)
}

func endMovedOn(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.now = req.ExpiresAt
	next := e.win(e.request(rec.Key))
	e.fenced(e.complete(req))
	e.stands(next)
	e.ok(e.complete(e.completion(next.Claim())))
	want := e.get(rec.Key)
	e.fenced(e.complete(req)) // completed, but by somebody else
	e.stands(want)
}

func endHeld(e *exam) {
	held := e.beginHeld()
	e.stands(held)
	if held.Reason == "" || held.Response != nil {
		e.Fatalf("reason %q, response %v", held.Reason, held.Response)
	}
}

func endUnknown(e *exam) {
	rec := e.begin()
	for _, status := range []onceward.Status{"", onceward.StatusStarted, "completed", "DONE"} {
		req := e.completion(rec.Claim())
		req.Status = status
		if err := e.complete(req); err == nil || errors.Is(err, onceward.ErrFenced) || errors.Is(err, onceward.ErrNotFound) {
			e.Fatalf("status %q: error %v; want one that says what is wrong", status, err)
		}
	}
	e.stands(rec)
}

func endExpiry(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.now = req.ExpiresAt.Add(-tick)
	e.stands(completed(rec, req))
	e.now = req.ExpiresAt
	e.absent(rec.Key)
	e.now = req.ExpiresAt.Add(1000 * time.Hour)
	e.absent(rec.Key)
}

func endReleased(e *exam) {
	rec := e.begin()
	e.ok(e.release(rec.Claim()))
	e.absent(rec.Key)
}

// endReleasedSlowClock: "at once" is not "as soon as every clock has arrived
// there".
func endReleasedSlowClock(e *exam) {
	rec := e.begin()
	e.now = e.now.Add(lease / 2)
	e.ok(e.release(rec.Claim()))
	e.now = start.Add(-time.Minute)
	e.absent(rec.Key)
	if got := e.win(e.request(rec.Key)); got.Token <= rec.Token {
		e.Fatalf("token %d after %d", got.Token, rec.Token)
	}
}

func endReleasedAfresh(e *exam) {
	rec := e.begin()
	e.ok(e.checkpoint(rec.Claim(), onceward.Checkpoint{Name: "old", At: e.now}))
	e.ok(e.release(rec.Claim()))
	req := e.request(rec.Key)
	req.Kind, req.Policy, req.Fingerprint, req.Detail = "burn", onceward.Rerun, []byte("another"), nil
	res := e.claim(req)
	if !res.Won || res.TookOver || res.Record.Attempt != 1 || len(res.Record.Checkpoints) != 0 ||
		res.Record.Kind != "burn" || string(res.Record.Fingerprint) != "another" || res.Record.Token <= rec.Token {
		e.Fatalf("won %v, took over %v: %s\nafter %s", res.Won, res.TookOver, show(res.Record), show(rec))
	}
	e.stands(res.Record)
}

func endReleasedFenced(e *exam) {
	rec := e.begin()
	e.ok(e.release(rec.Claim()))
	e.allFenced(rec.Claim())
	e.absent(rec.Key)
	next := e.win(e.request(rec.Key))
	e.allFenced(rec.Claim())
	e.stands(next)
	ownerless := rec.Claim()
	ownerless.Owner = onceward.Owner{}
	e.allFenced(ownerless)
}
