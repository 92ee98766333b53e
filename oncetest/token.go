package oncetest

import (
	"math/rand/v2"
	"time"

	"github.com/onceward/onceward"
)

func tokenCases() []contract {
	return []contract{
		{name: "is not below the one proposed", run: tokenProposed},
		{name: "grows across release", run: func(e *exam) { tokenGrows(e, released) }},
		{name: "grows across expiry", run: func(e *exam) { tokenGrows(e, expired) }},
		{name: "grows across sweep", needs: []Ability{Sweeper}, run: func(e *exam) { tokenGrows(e, swept) }},
		{name: "grows across release and sweep", needs: []Ability{Sweeper}, run: func(e *exam) { tokenGrows(e, releasedSwept) }},
		{name: "grows across takeover", run: func(e *exam) { tokenGrows(e, lapsed) }},
		{name: "grows whatever happens", needs: []Ability{Sweeper}, run: tokenAnything},
		{name: "names the claim together with the owner", run: tokenAndOwner},
	}
}

// A way leads from a claimed key to a state in which the key can be claimed.
type way func(e *exam, r onceward.Record)

func released(e *exam, r onceward.Record) { e.ok(e.release(r.Claim())) }

func lapsed(e *exam, r onceward.Record) { e.now = e.get(r.Key).LeaseUntil.Add(tick) }

func expired(e *exam, r onceward.Record) {
	req := e.completion(r.Claim())
	e.ok(e.complete(req))
	e.now = req.ExpiresAt
}

func swept(e *exam, r onceward.Record) {
	expired(e, r)
	e.sweepAll()
}

func releasedSwept(e *exam, r onceward.Record) {
	released(e, r)
	e.sweepAll()
}

// tokenGrows proposes ever smaller tokens, at ever earlier times, as clients
// with bad clocks would: time may not matter.
func tokenGrows(e *exam, way way) {
	req := e.request(e.key())
	rec := e.win(req)
	for i := range 5 {
		before := e.now
		way(e, rec)
		next := e.request(req.Key)
		next.Token = req.Token - int64(i)*1_000_000
		got := e.win(next)
		if got.Token <= rec.Token {
			e.Fatalf("token %d after %d", got.Token, rec.Token)
		}
		rec = got
		if i%2 == 1 && e.now.After(before) {
			e.now = before // rewind; the record that stands is of the future
			e.ok(e.renew(rec.Claim(), e.now.Add(lease)))
		}
	}
}

func tokenAnything(e *exam) {
	seed := rand.Uint64()                 //nolint:gosec // a seed to repeat a test by
	rng := rand.New(rand.NewPCG(seed, 0)) //nolint:gosec // reproducible by its seed
	ways := []way{released, expired, swept, releasedSwept, lapsed}
	k := e.key()
	last := int64(0)
	for i := range 60 {
		req := e.request(k)
		req.Token = rng.Int64N(100)
		req.ExpiresAt = e.now.Add(time.Hour)
		rec := e.win(req)
		if rec.Token <= last || rec.Token < req.Token {
			e.Fatalf("step %d: token %d after %d, proposed %d (seed %d)", i, rec.Token, last, req.Token, seed)
		}
		last = rec.Token
		ways[rng.IntN(len(ways))](e, rec)
	}
}

func tokenProposed(e *exam) {
	req := e.request(e.key())
	req.Token = 1 << 60
	if rec := e.win(req); rec.Token < req.Token {
		e.Fatalf("token %d, proposed %d", rec.Token, req.Token)
	}
	rec := e.begin()
	e.now = rec.LeaseUntil
	again := e.request(rec.Key)
	again.Token = 1 << 61
	if rec := e.win(again); rec.Token < again.Token {
		e.Fatalf("token %d after a takeover, proposed %d", rec.Token, again.Token)
	}
	zero := e.request(e.key())
	zero.Token = 0
	if rec := e.win(zero); rec.Token <= 0 {
		e.Fatalf("token %d; want a positive one", rec.Token)
	}
}

func tokenAndOwner(e *exam) {
	rec := e.begin()
	wrong := rec.Claim()
	wrong.Token++
	e.allFenced(wrong)
	wrong.Token = rec.Token - 1
	e.allFenced(wrong)
	wrong = rec.Claim()
	wrong.Owner = onceward.NewOwner()
	e.allFenced(wrong)
	wrong = rec.Claim()
	wrong.Owner = onceward.Owner{}
	e.allFenced(wrong)
	wrong = rec.Claim()
	wrong.Key = e.key()
	e.allFenced(wrong)
	e.stands(rec)
}
