package oncetest

import (
	"github.com/onceward/onceward"
)

// What a handler writes beside the record is the database's; that both are
// committed together only a test that knows the driver can see.
func transactionCases() []contract {
	needs := []Ability{Transactor}
	return []contract{
		{name: "Complete ends the record and commits", needs: needs, run: txCompletes},
		{name: "Complete can hold the record", needs: needs, run: txHolds},
		{name: "Rollback leaves the record to its claim", needs: needs, run: txRollsBack},
		{name: "a claim that is not the record's is fenced off", needs: needs, run: txFenced},
		{name: "a repetition is fenced off", needs: needs, run: txRepeated},
		{name: "an ended transaction keeps nothing", needs: needs, run: txMany},
	}
}

func (e *exam) transaction(k onceward.Key) onceward.Tx {
	e.Helper()
	// only called where the ability was found
	tx, err := e.store.(onceward.Transactor).Begin(e.Context(), k)
	if err != nil {
		e.Fatalf("Begin: %v", err)
	}
	if tx.Driver() == nil {
		e.Fatal("the transaction has nothing to write with")
	}
	return tx
}

func txCompletes(e *exam) {
	rec := e.begin()
	tx, req := e.transaction(rec.Key), e.completion(rec.Claim())
	e.ok(tx.Complete(e.Context(), req))
	want := completed(rec, req)
	e.stands(want)
	e.ok(tx.Rollback()) // does nothing any more
	e.stands(want)
	e.ok(e.complete(req)) // asked again, outside
	e.lose(e.request(rec.Key), want)
}

func txHolds(e *exam) {
	rec := e.begin()
	req := e.hold(rec.Claim())
	e.ok(e.transaction(rec.Key).Complete(e.Context(), req))
	e.stands(completed(rec, req))
}

func txRollsBack(e *exam) {
	rec := e.begin()
	tx := e.transaction(rec.Key)
	e.ok(tx.Rollback())
	e.stands(rec)
	e.ok(tx.Rollback())
	rec.LeaseUntil = rec.LeaseUntil.Add(lease)
	e.ok(e.renew(rec.Claim(), rec.LeaseUntil))
	e.stands(rec)
	req := e.completion(rec.Claim())
	e.ok(e.transaction(rec.Key).Complete(e.Context(), req))
	e.stands(completed(rec, req))
}

func txFenced(e *exam) {
	old := e.begin()
	e.now = old.LeaseUntil
	rec := e.win(e.request(old.Key))
	for _, c := range []onceward.Claim{
		old.Claim(),
		{Key: rec.Key, Token: rec.Token, Owner: onceward.NewOwner()},
		{Key: rec.Key, Token: rec.Token + 1, Owner: rec.Owner},
	} {
		tx := e.transaction(rec.Key)
		e.fenced(tx.Complete(e.Context(), e.completion(c)))
		e.ok(tx.Rollback())
		e.stands(rec)
	}
	e.ok(e.release(rec.Claim()))
	e.fenced(e.transaction(rec.Key).Complete(e.Context(), e.completion(rec.Claim())))
	e.absent(rec.Key)
}

// txRepeated: outside of a transaction a repetition succeeds. In one, what the
// handler wrote would be there twice.
func txRepeated(e *exam) {
	rec := e.begin()
	req := e.completion(rec.Claim())
	e.ok(e.transaction(rec.Key).Complete(e.Context(), req))
	e.fenced(e.transaction(rec.Key).Complete(e.Context(), req))
	e.stands(completed(rec, req))
}

// txMany: more transactions than a store has connections, ended in every way.
func txMany(e *exam) {
	for range 30 {
		rec := e.begin()
		e.ok(e.transaction(rec.Key).Rollback())
		stale := rec.Claim()
		stale.Owner = onceward.NewOwner()
		e.fenced(e.transaction(rec.Key).Complete(e.Context(), e.completion(stale)))
		req := e.completion(rec.Claim())
		e.ok(e.transaction(rec.Key).Complete(e.Context(), req))
		e.stands(completed(rec, req))
	}
}
