package oncetest

import (
	"errors"
	"slices"
	"time"

	"github.com/onceward/onceward"
)

func listingCases() []contract {
	lapsed, find, list := []Ability{LapsedLister}, []Ability{Finder}, []Ability{Lister}
	return []contract{
		{name: "Lapsed finds the longest lapsed first", needs: lapsed, run: lapsedOrder},
		{name: "Lapsed returns what is lapsed, unexpired and started", needs: lapsed, run: lapsedFilter},
		{name: "Lapsed selects the policy and the kinds", needs: lapsed, run: lapsedKinds},
		{name: "Find knows a record by its operation's id", needs: find, run: findByID},
		{name: "List shows the newest claim first, page by page", needs: list, run: listPages},
		{name: "List selects", needs: list, run: listSelects},
		{name: "List redacts", needs: list, run: listRedacts},
		{name: "List goes on where it was although records come", needs: list, run: listStable},
		{name: "List refuses a cursor it did not make", needs: list, run: listCursor},
	}
}

func (e *exam) lapsed(req onceward.LapsedRequest) []onceward.Record {
	e.Helper()
	req.Now = e.now
	// only called where the ability was found
	recs, err := e.store.(onceward.LapsedLister).Lapsed(e.Context(), req)
	if err != nil {
		e.Fatalf("Lapsed: %v", err)
	}
	return recs
}

func (e *exam) sameKeys(got []onceward.Record, want ...onceward.Record) {
	e.Helper()
	keys := func(recs []onceward.Record) (out []onceward.Key) {
		for _, r := range recs {
			out = append(out, r.Key)
		}
		return out
	}
	if !slices.Equal(keys(got), keys(want)) {
		e.Fatalf("got %v, want %v", keys(got), keys(want))
	}
}

func lapsedOrder(e *exam) {
	var recs []onceward.Record
	for _, d := range []time.Duration{3, 1, 5, 2, 4} {
		req := e.request(e.key())
		req.LeaseUntil = e.now.Add(d * time.Second)
		recs = append(recs, e.win(req))
	}
	e.ok(e.checkpoint(recs[1].Claim(), onceward.Checkpoint{Name: "sent", Data: []byte("x"), At: e.now}))
	recs[1].Checkpoints = []onceward.Checkpoint{{Name: "sent", Data: []byte("x"), At: e.now}}
	e.now = e.now.Add(time.Hour)
	all := onceward.LapsedRequest{Policy: onceward.Hold, Limit: 100}
	got := e.lapsed(all)
	e.sameKeys(got, recs[1], recs[3], recs[0], recs[4], recs[2])
	e.same(got[0], recs[1]) // the whole record, as Get returns it
	all.Limit = 2
	e.sameKeys(e.lapsed(all), recs[1], recs[3])
	all.Limit = 0
	e.sameKeys(e.lapsed(all))
}

func lapsedFilter(e *exam) {
	all := onceward.LapsedRequest{Policy: onceward.Hold, Limit: 100}
	rec := e.begin()
	e.completeUntil(e.now.Add(time.Hour))
	e.beginHeld()
	begun1 := e.begin()
	e.ok(e.release(begun1.Claim()))
	expiring := e.request(e.key())
	expiring.ExpiresAt = expiring.LeaseUntil
	e.win(expiring)
	e.now = rec.LeaseUntil.Add(-tick)
	e.sameKeys(e.lapsed(all))
	e.now = rec.LeaseUntil
	e.sameKeys(e.lapsed(all), rec)
	e.ok(e.renew(rec.Claim(), e.now.Add(lease)))
	e.sameKeys(e.lapsed(all))
	e.now = e.now.Add(lease)
	e.takeOver(e.request(rec.Key))
	e.sameKeys(e.lapsed(all))
}

func lapsedKinds(e *exam) {
	claim := func(kind string, policy onceward.CrashPolicy) onceward.Record {
		req := e.request(e.key())
		req.Kind, req.Policy = kind, policy
		e.now = e.now.Add(tick) // so that the order is certain
		req.LeaseUntil = e.now.Add(lease)
		return e.win(req)
	}
	mint := claim("mint", onceward.Reconcile)
	burn := claim("burn <&> \"é\"", onceward.Reconcile)
	none := claim("", onceward.Reconcile)
	held := claim("mint", onceward.Hold)
	e.now = e.now.Add(time.Hour)
	for _, c := range []struct {
		kinds []string
		want  []onceward.Record
	}{
		{nil, []onceward.Record{mint, burn, none}},
		{[]string{}, nil},
		{[]string{"mint"}, []onceward.Record{mint}},
		{[]string{"burn <&> \"é\"", "mint", "other"}, []onceward.Record{mint, burn}},
		{[]string{""}, []onceward.Record{none}},
		{[]string{"MINT", "min", "%"}, nil},
	} {
		e.sameKeys(e.lapsed(onceward.LapsedRequest{Policy: onceward.Reconcile, Kinds: c.kinds, Limit: 10}), c.want...)
	}
	e.sameKeys(e.lapsed(onceward.LapsedRequest{Policy: onceward.Hold, Limit: 10}), held)
	e.sameKeys(e.lapsed(onceward.LapsedRequest{Policy: onceward.Rerun, Limit: 10}))
}

func findByID(e *exam) {
	find := func(id onceward.ID) (onceward.Record, error) {
		// only called where the ability was found
		return e.store.(onceward.Finder).Find(e.Context(), onceward.FindRequest{ID: id, Now: e.now})
	}
	rec := e.completeUntil(e.now.Add(time.Hour))
	e.begin()
	got, err := find(rec.Key.ID())
	e.ok(err)
	e.same(got, rec)
	if _, err := find(e.key().ID()); !errors.Is(err, onceward.ErrNotFound) {
		e.Fatalf("error %v for an absent record, want ErrNotFound", err)
	}
	e.now = rec.ExpiresAt
	if _, err := find(rec.Key.ID()); !errors.Is(err, onceward.ErrNotFound) {
		e.Fatalf("error %v for an expired record, want ErrNotFound", err)
	}
}

func (e *exam) list(req onceward.ListRequest) onceward.ListResult {
	e.Helper()
	req.Now = e.now
	// only called where the ability was found
	res, err := e.store.(onceward.Lister).List(e.Context(), req)
	if err != nil {
		e.Fatalf("List: %v", err)
	}
	return res
}

func listPages(e *exam) {
	if got := e.list(onceward.ListRequest{Limit: 10}); len(got.Records) != 0 || got.Next != "" {
		e.Fatalf("an empty store lists %+v", got)
	}
	var want []onceward.Record
	for range 7 {
		want = append(want, e.begin())
	}
	slices.Reverse(want)
	for _, limit := range []int{1, 2, 3, 6, 7, 8} {
		var got []onceward.Record
		req := onceward.ListRequest{Limit: limit}
		for pages := 1; ; pages++ {
			page := e.list(req)
			if got = append(got, page.Records...); page.Next == "" {
				break
			}
			if len(page.Records) != limit || pages > len(want) {
				e.Fatalf("page %d of %d has %d records and goes on", pages, limit, len(page.Records))
			}
			req.Cursor = page.Next
		}
		e.sameKeys(got, want...)
	}
	// A takeover is no new operation, beginning afresh is one.
	e.now = want[6].LeaseUntil
	e.takeOver(e.request(want[6].Key))
	e.sameKeys(e.list(onceward.ListRequest{Limit: 10}).Records, want...)
	standing := e.get(want[3].Key)
	e.ok(e.release(standing.Claim()))
	afresh := e.win(e.request(want[3].Key))
	e.sameKeys(e.list(onceward.ListRequest{Limit: 10}).Records,
		afresh, want[0], want[1], want[2], want[4], want[5], want[6])
}

func listSelects(e *exam) {
	live := e.begin()
	held := e.beginHeld()
	done := e.completeUntil(e.now.Add(2 * time.Hour))
	gone := e.completeUntil(e.now.Add(time.Second))
	req := e.request(onceward.Key{Scope: "", Value: "x"})
	req.Kind = "burn"
	burn := e.win(req)
	e.now = gone.ExpiresAt
	tenant, empty, other := "tenant-1", "", "tenant"
	for _, c := range []struct {
		req  onceward.ListRequest
		want []onceward.Record
	}{
		{onceward.ListRequest{}, []onceward.Record{burn, done, held, live}},
		{onceward.ListRequest{Status: onceward.StatusStarted}, []onceward.Record{burn, live}},
		{onceward.ListRequest{Status: onceward.StatusHeld}, []onceward.Record{held}},
		{onceward.ListRequest{Status: onceward.StatusCompleted}, []onceward.Record{done}},
		{onceward.ListRequest{Kind: "mint"}, []onceward.Record{done, held, live}},
		{onceward.ListRequest{Kind: "burn"}, []onceward.Record{burn}},
		{onceward.ListRequest{Scope: &tenant}, []onceward.Record{done, held, live}},
		{onceward.ListRequest{Scope: &empty}, []onceward.Record{burn}},
		{onceward.ListRequest{Scope: &other}, nil},
		{onceward.ListRequest{Scope: &tenant, Status: onceward.StatusHeld, Kind: "mint"}, []onceward.Record{held}},
		{onceward.ListRequest{Scope: &empty, Status: onceward.StatusHeld}, nil},
	} {
		c.req.Limit = 10
		e.sameKeys(e.list(c.req).Records, c.want...)
	}
	if got := e.list(onceward.ListRequest{}); len(got.Records) != 0 || got.Next != "" {
		e.Fatalf("a limit of 0 lists %+v", got)
	}
}

func listRedacts(e *exam) {
	rec := e.begin()
	e.ok(e.checkpoint(rec.Claim(), onceward.Checkpoint{Name: "secret", Data: []byte("secret"), At: e.now}))
	req := e.completion(rec.Claim())
	e.ok(e.complete(req))
	want := completed(rec, req)
	want.Detail = nil
	want.Response = &onceward.Response{Status: req.Response.Status, Header: req.Response.Header}
	e.same(e.list(onceward.ListRequest{Limit: 1}).Records[0], want)
}

func listStable(e *exam) {
	var recs []onceward.Record
	for range 4 {
		recs = append(recs, e.begin())
	}
	first := e.list(onceward.ListRequest{Limit: 2})
	e.sameKeys(first.Records, recs[3], recs[2])
	e.begin()
	e.sameKeys(e.list(onceward.ListRequest{Limit: 2, Cursor: first.Next}).Records, recs[1], recs[0])
}

func listCursor(e *exam) {
	e.begin()
	for _, cursor := range []string{"%", "nonsense", "0", "-1", "' OR 1=1", "MA", "LTE"} {
		// only called where the ability was found
		_, err := e.store.(onceward.Lister).List(e.Context(), onceward.ListRequest{Now: e.now, Limit: 1, Cursor: cursor})
		if err == nil {
			e.Fatalf("the cursor %q was accepted", cursor)
		}
	}
}
