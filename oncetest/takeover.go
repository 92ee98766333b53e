package oncetest

import (
	"time"

	"github.com/onceward/onceward"
)

func takeoverCases() []contract {
	return []contract{
		{name: "of a lapsed record keeps everything but its owner", run: takeLapsed},
		{name: "of a lapsed record needs the same fingerprint", run: takeOtherPayload},
		{name: "raises the expiry and never lowers it", run: takeExpiry},
		{name: "counts attempts", run: takeAttempts},
		{name: "fences the earlier owner off", run: takeFences},
		{name: "of a held record sets the policy", run: takeHeld},
		{name: "of a held record needs the same fingerprint", run: takeHeldOtherPayload},
		{name: "of a live record is refused although TakeHeld is set", run: takeHeldLive},
		{name: "of a lapsed record works with TakeHeld too", run: takeHeldLapsed},
	}
}

// took is what a takeover by req leaves of r.
func took(r onceward.Record, req onceward.ClaimRequest, token int64) onceward.Record {
	r.Token, r.Owner, r.LeaseUntil = token, req.Owner, req.LeaseUntil
	r.Attempt++
	return r
}

func (e *exam) takeOver(req onceward.ClaimRequest) onceward.Record {
	e.Helper()
	res := e.claim(req)
	if !res.Won || !res.TookOver {
		e.Fatalf("won %v, took over %v; want both; the record: %s", res.Won, res.TookOver, show(res.Record))
	}
	return res.Record
}

func takeLapsed(e *exam) {
	rec := e.begin()
	rec.Checkpoints = []onceward.Checkpoint{{Name: "signed", Data: []byte{0, 1, 255}, At: e.now}}
	e.ok(e.checkpoint(rec.Claim(), rec.Checkpoints...))
	e.now = rec.LeaseUntil
	req := e.request(rec.Key)
	req.Kind, req.Policy, req.Retention, req.Detail = "burn", onceward.Rerun, time.Hour, []byte("other")
	got := e.takeOver(req)
	if got.Token <= rec.Token {
		e.Fatalf("token %d after %d", got.Token, rec.Token)
	}
	want := took(rec, req, got.Token)
	e.same(got, want)
	e.stands(want)
	e.lose(e.request(rec.Key), want) // it has an owner again
}

func takeOtherPayload(e *exam) {
	rec := e.begin()
	e.now = rec.LeaseUntil.Add(time.Hour)
	req := e.request(rec.Key)
	for _, fp := range [][]byte{[]byte("another"), nil, append(rec.Fingerprint, 0), rec.Fingerprint[:3]} {
		req.Fingerprint = fp
		e.lose(req, rec)
	}
}

func takeExpiry(e *exam) {
	req := e.request(e.key())
	req.ExpiresAt = e.now.Add(time.Hour)
	rec := e.win(req)
	e.now = rec.LeaseUntil
	lower := e.request(rec.Key)
	lower.ExpiresAt = e.now.Add(lease)
	rec = e.takeOver(lower)
	if !sameTime(rec.ExpiresAt, req.ExpiresAt) {
		e.Fatalf("an earlier expiry moved it to %v, from %v", rec.ExpiresAt, req.ExpiresAt)
	}
	e.now = rec.LeaseUntil
	higher := e.request(rec.Key)
	higher.ExpiresAt = req.ExpiresAt.Add(time.Hour)
	rec = e.takeOver(higher)
	if !sameTime(rec.ExpiresAt, higher.ExpiresAt) {
		e.Fatalf("expires at %v after a takeover until %v", rec.ExpiresAt, higher.ExpiresAt)
	}
	e.stands(rec)
}

func takeAttempts(e *exam) {
	rec := e.begin()
	for attempt := 2; attempt <= 5; attempt++ {
		e.now = rec.LeaseUntil
		next := e.takeOver(e.request(rec.Key))
		if next.Attempt != attempt || next.Token <= rec.Token {
			e.Fatalf("attempt %d, token %d after token %d; want attempt %d and a higher token",
				next.Attempt, next.Token, rec.Token, attempt)
		}
		rec = next
	}
}

func takeFences(e *exam) {
	old := e.begin()
	e.now = old.LeaseUntil
	rec := e.takeOver(e.request(old.Key))
	e.allFenced(old.Claim())
	e.stands(rec)
	e.ok(e.renew(rec.Claim(), e.now.Add(lease)))
}

// allFenced tries every write.
func (e *exam) allFenced(c onceward.Claim) {
	e.Helper()
	e.fenced(e.renew(c, e.now.Add(2*lease)))
	e.fenced(e.checkpoint(c, onceward.Checkpoint{Name: "stale", At: e.now}))
	e.fenced(e.complete(e.completion(c)))
	e.fenced(e.complete(e.hold(c)))
	e.fenced(e.release(c))
}

func (e *exam) beginHeld() onceward.Record {
	e.Helper()
	rec := e.begin()
	rec.Checkpoints = []onceward.Checkpoint{{Name: "sent", Data: []byte("hash"), At: e.now}}
	e.ok(e.checkpoint(rec.Claim(), rec.Checkpoints...))
	req := e.hold(rec.Claim())
	e.ok(e.complete(req))
	return completed(rec, req)
}

func takeHeld(e *exam) {
	held := e.beginHeld()
	e.now = e.now.Add(time.Second) // the lease still runs: a held record has no owner
	req := e.request(held.Key)
	req.TakeHeld, req.Policy, req.Kind = true, onceward.Rerun, "burn"
	got := e.takeOver(req)
	if got.Token <= held.Token {
		e.Fatalf("token %d after %d", got.Token, held.Token)
	}
	want := took(held, req, got.Token)
	want.Status, want.Policy, want.Reason, want.CompletedAt = onceward.StatusStarted, onceward.Rerun, "", time.Time{}
	e.same(got, want)
	e.stands(want)
	e.allFenced(held.Claim())
}

func takeHeldOtherPayload(e *exam) {
	held := e.beginHeld()
	req := e.request(held.Key)
	req.TakeHeld, req.Fingerprint = true, []byte("another")
	e.lose(req, held)
}

func takeHeldLive(e *exam) {
	rec := e.begin()
	req := e.request(rec.Key)
	req.TakeHeld = true
	e.lose(req, rec)
}

func takeHeldLapsed(e *exam) {
	rec := e.begin()
	e.now = rec.LeaseUntil
	req := e.request(rec.Key)
	req.TakeHeld, req.Policy = true, onceward.Rerun
	got := e.takeOver(req)
	e.same(got, took(rec, req, got.Token)) // its policy stays: it was not held
}
