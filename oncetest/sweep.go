package oncetest

import (
	"sync"
	"time"

	"github.com/onceward/onceward"
)

func sweepCases() []contract {
	needs := []Ability{Sweeper}
	return []contract{
		{name: "deletes what has expired and nothing else", needs: needs, run: sweepExpired},
		{name: "stops at its limit and says so", needs: needs, run: sweepLimit},
		{name: "deletes released records", needs: needs, run: sweepReleased},
		{name: "never deletes a record that was claimed again", needs: needs, run: sweepRace},
	}
}

func (e *exam) sweep(limit int) onceward.SweepResult {
	e.Helper()
	// only called where the ability was found
	res, err := e.store.(onceward.Sweeper).Sweep(e.Context(), onceward.SweepRequest{Now: e.now, Limit: limit})
	if err != nil {
		e.Fatalf("Sweep: %v", err)
	}
	if res.Deleted < 0 || res.Deleted > limit {
		e.Fatalf("deleted %d with a limit of %d", res.Deleted, limit)
	}
	return res
}

// sweepAll sweeps until nothing is left, and counts.
func (e *exam) sweepAll() (deleted int) {
	e.Helper()
	for {
		res := e.sweep(100)
		deleted += res.Deleted
		if !res.More {
			return deleted
		}
		if res.Deleted == 0 {
			e.Fatal("the sweep promises more and deletes nothing")
		}
	}
}

// completeUntil makes a completed record that expires at the given time.
func (e *exam) completeUntil(at time.Time) onceward.Record {
	e.Helper()
	rec := e.begin()
	req := e.completion(rec.Claim())
	req.ExpiresAt = at
	e.ok(e.complete(req))
	return completed(rec, req)
}

func sweepExpired(e *exam) {
	if n := e.sweepAll(); n != 0 {
		e.Fatalf("deleted %d of an empty store", n)
	}
	soon := e.now.Add(time.Minute)
	gone := []onceward.Record{e.completeUntil(soon), e.completeUntil(soon.Add(-time.Second))}
	kept := []onceward.Record{e.completeUntil(soon.Add(tick)), e.begin(), e.beginHeld()}
	req := e.request(e.key())
	req.ExpiresAt = req.LeaseUntil // under Rerun a started record may expire
	gone = append(gone, e.win(req))
	e.now = soon
	if n := e.sweepAll(); n != len(gone) {
		e.Fatalf("deleted %d of %d expired records", n, len(gone))
	}
	for _, r := range gone {
		e.absent(r.Key)
		e.now = start // an unswept record would come back
		e.absent(r.Key)
		e.now = soon
	}
	for _, r := range kept {
		e.stands(r)
	}
	if n := e.sweepAll(); n != 0 {
		e.Fatalf("deleted %d more", n)
	}
}

func sweepLimit(e *exam) {
	for range 5 {
		e.completeUntil(e.now.Add(time.Second))
	}
	e.now = e.now.Add(time.Second)
	for _, want := range []struct {
		deleted int
		more    bool
	}{{2, true}, {2, true}} {
		if got := e.sweep(2); got.Deleted != want.deleted || got.More != want.more {
			e.Fatalf("got %+v, want %+v", got, want)
		}
	}
	if got := e.sweep(2); got.Deleted != 1 || got.More {
		e.Fatalf("got %+v, want the last one", got)
	}
}

func sweepReleased(e *exam) {
	rec := e.begin()
	e.ok(e.release(rec.Claim()))
	if n := e.sweepAll(); n != 1 {
		e.Fatalf("deleted %d released records, want 1", n)
	}
	if got := e.win(e.request(rec.Key)); got.Token <= rec.Token {
		e.Fatalf("token %d after %d", got.Token, rec.Token)
	}
}

// sweepRace lets sweeps and claims of expired records meet: whoever won a
// claim must find the record afterwards, and be able to complete it.
func sweepRace(e *exam) {
	const records, rounds = 40, 5
	var keys []onceward.Key
	for range records {
		keys = append(keys, e.completeUntil(e.now.Add(time.Second)).Key)
	}
	for range rounds {
		e.now = e.now.Add(time.Second)
		stop := make(chan struct{})
		var sweeping, claiming sync.WaitGroup
		for range 2 {
			sweeping.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						e.sweepRacing()
					}
				}
			})
		}
		for _, k := range keys {
			claiming.Go(func() { e.claimRacing(k) })
		}
		claiming.Wait()
		close(stop)
		sweeping.Wait()
		if e.Failed() {
			return
		}
	}
}

// sweepRacing and claimRacing run beside the test's goroutine, which alone may
// call Fatal.
func (e *exam) sweepRacing() {
	// only called where the ability was found
	if _, err := e.store.(onceward.Sweeper).Sweep(e.Context(), onceward.SweepRequest{Now: e.now, Limit: 7}); err != nil {
		e.Errorf("Sweep: %v", err)
	}
}

func (e *exam) claimRacing(k onceward.Key) {
	res, err := e.store.Claim(e.Context(), e.request(k))
	if err != nil || !res.Won {
		e.Errorf("claiming the expired %v: won %v, %v", k, res.Won, err)
		return
	}
	if _, err := e.store.Get(e.Context(), onceward.GetRequest{Key: k, Now: e.now}); err != nil {
		e.Errorf("a claimed record is gone: %v", err)
	}
	req := e.completion(res.Record.Claim())
	req.ExpiresAt = e.now.Add(time.Second)
	if err := e.complete(req); err != nil {
		e.Errorf("completing a claimed record: %v", err)
	}
}
