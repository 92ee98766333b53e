package oncetest

import (
	"strings"
	"time"

	"github.com/onceward/onceward"
)

func claimCases() []contract {
	return []contract{
		{name: "of an absent key wins and begins a record", run: claimAbsent},
		{name: "of a live key loses and changes nothing", run: claimLive},
		{name: "of a completed key reports the answer", run: claimCompleted},
		{name: "of a held key reports the reason", run: claimHeld},
		{name: "repeated by its owner returns the same", run: claimRepeated},
		{name: "repeated after a takeover says that it took over", run: claimRepeatedTakeover},
		{name: "of an expired key begins afresh", run: claimExpired},
		{name: "of an expired key by the same owner begins afresh", run: claimExpiredSameOwner},
		{name: "of keys that look alike keeps them apart", run: claimLookalikes},
		{name: "of the longest key works", run: claimLongest},
	}
}

func claimAbsent(e *exam) {
	req := e.request(e.key())
	e.absent(req.Key)
	res := e.claim(req)
	if !res.Won || res.TookOver {
		e.Fatalf("won %v, took over %v; want won only", res.Won, res.TookOver)
	}
	want := onceward.Record{
		Key: req.Key, Status: onceward.StatusStarted, Token: res.Record.Token, Owner: req.Owner, Attempt: 1,
		Kind: req.Kind, Policy: req.Policy, Fingerprint: req.Fingerprint, Retention: req.Retention, Detail: req.Detail,
		ClaimedAt: req.Now, LeaseUntil: req.LeaseUntil, ExpiresAt: req.ExpiresAt,
	}
	e.same(res.Record, want)
	e.stands(want)
}

func claimLive(e *exam) {
	rec := e.begin()
	other := e.request(rec.Key)
	e.lose(other, rec)
	other.Fingerprint = []byte("another payload")
	e.lose(other, rec)
	e.now = rec.LeaseUntil.Add(-tick)
	e.lose(e.request(rec.Key), rec)
}

func claimCompleted(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	done := completed(rec, req)
	e.lose(e.request(rec.Key), done)
	e.now = e.now.Add(2 * lease) // a lease of the past means nothing any more
	e.lose(e.request(rec.Key), done)
	forced := e.request(rec.Key)
	forced.TakeHeld = true
	e.lose(forced, done)
}

func claimHeld(e *exam) {
	rec := e.begin()
	req := e.hold(rec.Claim())
	e.ok(e.complete(req))
	e.now = e.now.Add(2 * lease)
	e.lose(e.request(rec.Key), completed(rec, req))
}

func claimRepeated(e *exam) {
	req := e.request(e.key())
	rec := e.win(req)
	again := req
	again.Token, again.Kind, again.Policy = req.Token+1000, "burn", onceward.Rerun
	again.LeaseUntil = req.LeaseUntil.Add(time.Hour)
	for _, now := range []time.Time{req.Now, req.LeaseUntil, req.LeaseUntil.Add(time.Hour)} {
		again.Now = now
		res := e.claim(again)
		if !res.Won || res.TookOver {
			e.Fatalf("repeated at %v: won %v, took over %v; want won only", now, res.Won, res.TookOver)
		}
		e.same(res.Record, rec)
		e.stands(rec)
	}
}

func claimRepeatedTakeover(e *exam) {
	rec := e.begin()
	e.now = rec.LeaseUntil
	req := e.request(rec.Key)
	first := e.claim(req)
	second := e.claim(req)
	if !second.Won || !second.TookOver {
		e.Fatalf("won %v, took over %v; want both", second.Won, second.TookOver)
	}
	e.same(second.Record, first.Record)
}

// claimExpired: neither the state nor the payload of what has expired matters.
func claimExpired(e *exam) {
	end := func(how func(c onceward.Claim) error) onceward.Record {
		req := e.request(e.key())
		req.ExpiresAt = e.now.Add(time.Minute)
		rec := e.win(req)
		e.ok(e.checkpoint(rec.Claim(), onceward.Checkpoint{Name: "old", At: e.now}))
		e.ok(how(rec.Claim()))
		return rec
	}
	soon := e.now.Add(time.Minute)
	olds := []onceward.Record{
		end(func(onceward.Claim) error { return nil }),
		end(func(c onceward.Claim) error {
			req := e.completion(c)
			req.ExpiresAt = soon
			return e.complete(req)
		}),
		end(func(c onceward.Claim) error {
			req := e.hold(c)
			req.ExpiresAt = soon
			return e.complete(req)
		}),
	}
	for _, old := range olds {
		e.now = soon.Add(-tick)
		if got := e.get(old.Key); got.ExpiresAt.Sub(soon).Abs() >= tick {
			e.Fatalf("expires at %v, want %v", got.ExpiresAt, soon)
		}
		e.now = soon
		e.absent(old.Key)
		req := e.request(old.Key)
		req.Kind, req.Policy, req.Retention = "burn", onceward.Rerun, time.Hour
		req.Fingerprint, req.Detail = []byte("another"), nil
		res := e.claim(req)
		if !res.Won || res.TookOver {
			e.Fatalf("won %v, took over %v; want won only", res.Won, res.TookOver)
		}
		e.same(res.Record, onceward.Record{
			Key: req.Key, Status: onceward.StatusStarted, Token: res.Record.Token, Owner: req.Owner, Attempt: 1,
			Kind: "burn", Policy: onceward.Rerun, Fingerprint: req.Fingerprint, Retention: time.Hour,
			ClaimedAt: e.now, LeaseUntil: req.LeaseUntil, ExpiresAt: req.ExpiresAt,
		})
		if res.Record.Token <= old.Token {
			e.Fatalf("token %d after %d", res.Record.Token, old.Token)
		}
		e.stands(res.Record)
	}
}

func claimExpiredSameOwner(e *exam) {
	req := e.request(e.key())
	req.ExpiresAt = req.LeaseUntil
	old := e.win(req)
	e.now = req.ExpiresAt
	req.Now, req.LeaseUntil, req.ExpiresAt = e.now, e.now.Add(lease), onceward.Never
	rec := e.win(req)
	if rec.Token <= old.Token || rec.Attempt != 1 {
		e.Fatalf("token %d, attempt %d after token %d; want a new record", rec.Token, rec.Attempt, old.Token)
	}
	e.fenced(e.complete(e.completion(old.Claim())))
}

// claimLookalikes: a key is its bytes, and neither its case, its spaces, its
// Unicode form nor where its scope ends is anybody's to interpret.
func claimLookalikes(e *exam) {
	keys := []onceward.Key{
		{Scope: "", Value: "abc"},
		{Scope: "a", Value: "bc"},
		{Scope: "ab", Value: "c"},
		{Scope: "", Value: "ABC"},
		{Scope: "", Value: "abc "},
		{Scope: " ", Value: "abc"},
		{Scope: "caf\u00e9", Value: "1"},
		{Scope: "cafe\u0301", Value: "1"},
		{Scope: "東京", Value: "鍵🔑"},
		{Scope: "%", Value: "_"},
		{Scope: "_", Value: "%"},
		{Scope: "'; DROP TABLE onceward_keys; --", Value: `"\'`},
		{Scope: "1", Value: "1"},
		{Scope: "01", Value: "1"},
		{Scope: "1", Value: "1.0"},
		{Scope: "null", Value: "NULL"},
		{Scope: "ß", Value: "1"},
		{Scope: "ss", Value: "1"},
	}
	var recs []onceward.Record
	for _, k := range keys {
		recs = append(recs, e.win(e.request(k)))
	}
	for _, r := range recs {
		e.stands(r)
	}
}

func claimLongest(e *exam) {
	long := strings.Repeat("é", onceward.MaxKeyLen/2) + "x"
	rec := e.win(e.request(onceward.Key{Scope: long, Value: long}))
	e.stands(rec)
	e.lose(e.request(rec.Key), rec)
	e.win(e.request(onceward.Key{Scope: long, Value: long[:len(long)-1] + "y"}))
}
