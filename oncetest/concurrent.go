package oncetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/onceward/onceward"
)

func concurrentCases() []contract {
	return []contract{
		{name: "claims of one key have one winner", run: raceClaims},
		{name: "takeovers of one key have one winner", run: raceTakeovers},
		{name: "claims of many keys all win", run: raceManyKeys},
		{name: "completion and takeover exclude each other", run: raceCompleteTakeover},
		{name: "claims and releases never grant a token twice", run: raceTokens},
		{name: "repetitions of one claim agree", run: raceRepetitions},
	}
}

const racers = 64

// race runs n claims at the same time and returns their results.
func (e *exam) race(n int, request func(i int) onceward.ClaimRequest) []onceward.ClaimResult {
	e.Helper()
	results := make([]onceward.ClaimResult, n)
	errs := make([]error, n)
	var ready, done sync.WaitGroup
	ready.Add(n)
	for i := range n {
		req := request(i)
		done.Go(func() {
			ready.Done()
			ready.Wait()
			results[i], errs[i] = e.store.Claim(e.Context(), req)
		})
	}
	done.Wait()
	if err := errors.Join(errs...); err != nil {
		e.Fatal(err)
	}
	return results
}

// oneWinner returns the winner's record, which all must have reported.
func (e *exam) oneWinner(results []onceward.ClaimResult, takeover bool) onceward.Record {
	e.Helper()
	var winners []onceward.Record
	for _, r := range results {
		if r.Won {
			winners = append(winners, r.Record)
			if r.TookOver != takeover {
				e.Fatalf("took over %v, want %v", r.TookOver, takeover)
			}
		}
	}
	if len(winners) != 1 {
		e.Fatalf("%d of %d claims won", len(winners), len(results))
	}
	for _, r := range results {
		e.same(r.Record, winners[0])
	}
	e.stands(winners[0])
	return winners[0]
}

func raceClaims(e *exam) {
	for range 5 {
		k := e.key()
		e.oneWinner(e.race(racers, func(int) onceward.ClaimRequest { return e.request(k) }), false)
	}
}

func raceTakeovers(e *exam) {
	rec := e.begin()
	for range 5 {
		e.now = rec.LeaseUntil
		next := e.oneWinner(e.race(racers, func(int) onceward.ClaimRequest { return e.request(rec.Key) }), true)
		if next.Token <= rec.Token || next.Attempt != rec.Attempt+1 {
			e.Fatalf("token %d, attempt %d after %d and %d", next.Token, next.Attempt, rec.Token, rec.Attempt)
		}
		rec = next
	}
}

func raceManyKeys(e *exam) {
	for _, r := range e.race(racers, func(int) onceward.ClaimRequest { return e.request(e.key()) }) {
		if !r.Won {
			e.Fatalf("a claim of its own key was lost to %s", show(r.Record))
		}
		e.stands(r.Record)
	}
}

func raceCompleteTakeover(e *exam) {
	for range 20 {
		rec := e.begin()
		e.now = rec.LeaseUntil
		done, req := e.completion(rec.Claim()), e.request(rec.Key)
		var completeErr error
		var wg sync.WaitGroup
		wg.Go(func() { completeErr = e.complete(done) })
		res := e.race(1, func(int) onceward.ClaimRequest { return req })[0]
		wg.Wait()
		switch {
		case completeErr == nil && !res.Won:
			e.same(res.Record, completed(rec, done))
		case errors.Is(completeErr, onceward.ErrFenced) && res.Won:
			e.stands(res.Record)
		default:
			e.Fatalf("completion: %v, takeover won: %v; want exactly one", completeErr, res.Won)
		}
	}
}

func raceTokens(e *exam) {
	k := e.key()
	var mu sync.Mutex
	var tokens []int64
	var owners atomic.Int32
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 25 {
				res, err := e.store.Claim(e.Context(), e.request(k))
				if err != nil {
					e.Errorf("Claim: %v", err)
					return
				}
				if !res.Won {
					continue
				}
				if n := owners.Add(1); n != 1 {
					e.Errorf("%d owners at the same time", n)
				}
				mu.Lock()
				tokens = append(tokens, res.Record.Token)
				mu.Unlock()
				owners.Add(-1)
				if err := e.release(res.Record.Claim()); err != nil {
					e.Errorf("Release: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if len(tokens) == 0 {
		e.Fatal("nobody ever won")
	}
	if !slices.IsSorted(tokens) || len(slices.Compact(slices.Clone(tokens))) != len(tokens) {
		e.Fatalf("the tokens do not grow: %v", tokens)
	}
}

func raceRepetitions(e *exam) {
	req := e.request(e.key())
	results := e.race(racers, func(int) onceward.ClaimRequest { return req })
	for _, r := range results {
		if !r.Won || r.TookOver {
			e.Fatalf("won %v, took over %v; want won only", r.Won, r.TookOver)
		}
		e.same(r.Record, results[0].Record)
	}
}
