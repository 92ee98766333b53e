package oncetest

import (
	"bytes"
	"slices"
	"strings"
	"time"

	"github.com/onceward/onceward"
)

func payloadCases() []contract {
	return []contract{
		{name: "bodies come back byte for byte", run: payloadBodies},
		{name: "headers keep the order of their values", run: payloadHeaders},
		{name: "statuses come back as they are", run: payloadStatuses},
		{name: "tombstones are answers without a body", run: payloadTombstone},
		{name: "completion without an answer has none", run: payloadNone},
		{name: "empty fields stay empty", run: payloadEmpty},
		{name: "extreme fields survive", run: payloadExtreme},
		{name: "what is passed in is not kept", run: payloadIn},
		{name: "what is returned is the caller's", run: payloadOut},
	}
}

// answer completes a new key with resp and compares what comes back.
func (e *exam) answer(resp *onceward.Response) {
	e.Helper()
	rec := e.begin()
	req := e.completion(rec.Claim())
	req.Response = resp
	e.ok(e.complete(req))
	want := completed(rec, req)
	e.stands(want)
	e.lose(e.request(rec.Key), want)
}

func payloadBodies(e *exam) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, body := range [][]byte{
		nil,
		{},
		{0},
		[]byte("\x00\x00text\x00"), all, []byte("\xff\xfe invalid \xc3\x28 UTF-8"),
		[]byte(`{"n":9007199254740993}`), []byte("\r\n\r\n"), bytes.Repeat(all, 4096), bytes.Repeat([]byte("long "), 1<<20),
	} {
		e.answer(&onceward.Response{Status: 200, Body: body})
	}
}

func payloadHeaders(e *exam) {
	e.answer(&onceward.Response{Status: 200, Header: map[string][]string{}})
	e.answer(&onceward.Response{Status: 200, Header: map[string][]string{
		"Link":         {"<b>; rel=1", "<a>; rel=2", "<b>; rel=1", ""},
		"Content-Type": {"text/plain; charset=utf-8"},
		"X-Latin-1":    {"caf\xe9", "\x80\xff"},
		"X-Quoted":     {`"a, b", 'c'; \d`, "\ttab"},
		"X-Unicode":    {"日本語"},
		"X-Long":       {strings.Repeat("x", 100_000)},
	}})
}

func payloadStatuses(e *exam) {
	for _, status := range []int{0, 200, 204, 302, 422, 503, 599} {
		e.answer(&onceward.Response{Status: status, Body: []byte("x")})
	}
}

func payloadTombstone(e *exam) {
	e.answer(&onceward.Response{Status: 201, Tombstone: true, Header: map[string][]string{"Location": {"/1"}}})
}

func payloadNone(e *exam) { e.answer(nil) }

func payloadEmpty(e *exam) {
	req := onceward.ClaimRequest{
		Key: onceward.Key{Value: "v"}, Owner: onceward.NewOwner(),
		Now: e.now, LeaseUntil: e.now.Add(lease), ExpiresAt: e.now.Add(lease),
	}
	rec := e.win(req)
	e.same(rec, onceward.Record{
		Key: req.Key, Status: onceward.StatusStarted, Token: rec.Token, Owner: req.Owner, Attempt: 1,
		ClaimedAt: e.now, LeaseUntil: req.LeaseUntil, ExpiresAt: req.ExpiresAt,
	})
	e.stands(rec)
	again := req
	again.Owner = onceward.NewOwner()
	e.lose(again, rec)
}

func payloadExtreme(e *exam) {
	req := e.request(onceward.Key{Scope: strings.Repeat("🔑", 63), Value: strings.Repeat("v", onceward.MaxKeyLen)})
	req.Kind = strings.Repeat("k", 255)
	req.Fingerprint = bytes.Repeat([]byte{0xff}, 64)
	req.Detail = bytes.Repeat([]byte{0, 0xff}, 8<<10)
	req.Retention = 100 * 365 * 24 * time.Hour
	req.Token = 1 << 62
	rec := e.win(req)
	e.stands(rec)
	hold := e.hold(rec.Claim())
	hold.Reason = strings.Repeat("because 'é' ", 300)
	e.ok(e.complete(hold))
	e.stands(completed(rec, hold))
}

func payloadIn(e *exam) {
	req := e.request(e.key())
	rec := e.win(req)
	want := rec
	want.Fingerprint, want.Detail = slices.Clone(rec.Fingerprint), slices.Clone(rec.Detail)
	clear(req.Fingerprint)
	clear(req.Detail)
	e.stands(want)

	data := []byte("data")
	cps := []onceward.Checkpoint{{Name: "a", Data: data, At: e.now}}
	e.ok(e.checkpoint(rec.Claim(), cps...))
	want.Checkpoints = []onceward.Checkpoint{{Name: "a", Data: []byte("data"), At: e.now}}
	clear(data)
	clear(cps)
	e.stands(want)

	done := e.completion(rec.Claim())
	e.ok(e.complete(done))
	want = completed(want, e.completion(rec.Claim()))
	clear(done.Response.Body)
	done.Response.Header["X-Many"][0] = "spoilt"
	delete(done.Response.Header, "Content-Type")
	e.stands(want)
}

func payloadOut(e *exam) {
	rec := e.begin()
	e.ok(e.checkpoint(rec.Claim(), onceward.Checkpoint{Name: "a", Data: []byte("data"), At: e.now}))
	e.ok(e.complete(e.completion(rec.Claim())))
	want := e.get(rec.Key)
	spoil := func(r onceward.Record) {
		clear(r.Fingerprint)
		clear(r.Detail)
		clear(r.Checkpoints[0].Data)
		clear(r.Checkpoints)
		clear(r.Response.Body)
		clear(r.Response.Header["X-Many"])
		clear(r.Response.Header)
	}
	spoil(e.get(rec.Key))
	e.same(e.claim(e.request(rec.Key)).Record, want)
	spoil(e.claim(e.request(rec.Key)).Record)
	e.stands(want)

	live := e.begin()
	clear(live.Fingerprint) // of the very claim
	if got := e.get(live.Key); bytes.Equal(got.Fingerprint, live.Fingerprint) {
		e.Fatal("the fingerprint that Claim returned is the stored one")
	}
}
