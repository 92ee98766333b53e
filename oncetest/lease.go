package oncetest

import (
	"bytes"
	"strconv"
	"time"

	"github.com/onceward/onceward"
)

func leaseCases() []contract {
	return []contract{
		{name: "is renewed, later and earlier", run: renewBothWays},
		{name: "that lapsed can be renewed while nobody took it", run: renewLapsed},
		{name: "raises the expiry to its end", run: renewExpiry},
		{name: "ends at its very end", run: leaseEnd},
		{name: "of a record that ended cannot be renewed", run: renewEnded},
		{name: "holds checkpoints, which are replaced as a whole", run: checkpointReplace},
		{name: "holds checkpoints with any bytes", run: checkpointBytes},
		{name: "of an absent key is refused every write", run: writeAbsent},
	}
}

func renewBothWays(e *exam) {
	rec := e.begin()
	for _, d := range []time.Duration{time.Hour, time.Second, time.Minute, time.Minute} {
		rec.LeaseUntil = e.now.Add(d)
		e.ok(e.renew(rec.Claim(), rec.LeaseUntil))
		e.stands(rec)
	}
	e.ok(e.renew(rec.Claim(), e.now)) // gives the lease up: this is how ErrPark works
	e.takeOver(e.request(rec.Key))
}

func renewLapsed(e *exam) {
	rec := e.begin()
	e.now = rec.LeaseUntil.Add(time.Hour)
	rec.LeaseUntil = e.now.Add(lease)
	e.ok(e.renew(rec.Claim(), rec.LeaseUntil))
	e.stands(rec)
	e.lose(e.request(rec.Key), rec)
}

func renewExpiry(e *exam) {
	req := e.request(e.key())
	req.ExpiresAt = e.now.Add(time.Minute)
	rec := e.win(req)
	rec.LeaseUntil = e.now.Add(10 * time.Second)
	e.ok(e.renew(rec.Claim(), rec.LeaseUntil))
	e.stands(rec) // below: the expiry stays
	rec.LeaseUntil = e.now.Add(time.Hour)
	rec.ExpiresAt = rec.LeaseUntil
	e.ok(e.renew(rec.Claim(), rec.LeaseUntil))
	e.stands(rec)
}

func leaseEnd(e *exam) {
	rec := e.begin()
	e.now = rec.LeaseUntil.Add(-tick)
	e.lose(e.request(rec.Key), rec)
	e.now = rec.LeaseUntil
	e.takeOver(e.request(rec.Key))
}

func renewEnded(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	done := completed(rec, req)
	e.fenced(e.renew(rec.Claim(), e.now.Add(time.Hour)))
	e.fenced(e.checkpoint(rec.Claim(), onceward.Checkpoint{Name: "late", At: e.now}))
	e.fenced(e.release(rec.Claim()))
	e.stands(done)

	held := e.beginHeld()
	e.fenced(e.renew(held.Claim(), e.now.Add(time.Hour)))
	e.fenced(e.checkpoint(held.Claim()))
	e.fenced(e.release(held.Claim()))
	e.stands(held)
}

func checkpointReplace(e *exam) {
	rec := e.begin()
	at := e.now
	for _, cps := range [][]onceward.Checkpoint{
		{{Name: "b", Data: []byte("1"), At: at}, {Name: "a", Data: []byte("2"), At: at.Add(time.Second)}},
		{{Name: "b", Data: []byte("1"), At: at}, {Name: "a", Data: []byte("3"), At: at.Add(2 * time.Second)}},
		{{Name: "c", At: at}},
		nil,
		{{Name: "z", Data: []byte("9"), At: at}},
	} {
		for range 2 { // repeating it changes nothing
			e.ok(e.checkpoint(rec.Claim(), cps...))
			rec.Checkpoints = cps
			e.stands(rec)
		}
	}
	e.lose(e.request(rec.Key), rec) // a loser sees them as well
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	e.stands(completed(rec, req)) // and they outlive the end
}

func checkpointBytes(e *exam) {
	rec := e.begin()
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for range 50 {
		rec.Checkpoints = append(rec.Checkpoints, onceward.Checkpoint{
			Name: "päp\u2028\"'\\", Data: bytes.Repeat(all, 40), At: e.now,
		})
		rec.Checkpoints[len(rec.Checkpoints)-1].Name += strconv.Itoa(len(rec.Checkpoints))
	}
	rec.Checkpoints[3].Data = nil
	e.ok(e.checkpoint(rec.Claim(), rec.Checkpoints...))
	e.stands(rec)
}

func writeAbsent(e *exam) {
	c := onceward.Claim{Key: e.key(), Token: 1, Owner: onceward.NewOwner()}
	e.allFenced(c)
	e.absent(c.Key)
}
