package oncetest

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/onceward/onceward"
)

// start is when every exam begins: no case depends on the time of day. It is
// not a whole microsecond on purpose.
var start = time.Date(2031, 5, 17, 13, 30, 0, 123_456_789, time.UTC)

const (
	lease     = 30 * time.Second
	retention = 24 * time.Hour
	// tick is the shortest time that a store must tell apart.
	tick = time.Microsecond
)

// exam is one case at work on one store.
type exam struct {
	*testing.T
	store onceward.Store
	now   time.Time
	keys  int
}

func newExam(t *testing.T, store onceward.Store) *exam {
	t.Helper()
	return &exam{T: t, store: store, now: start}
}

// key returns a key that was not used before.
func (e *exam) key() onceward.Key {
	e.keys++
	return onceward.Key{Scope: "tenant-1", Value: fmt.Sprintf("key-%d", e.keys)}
}

// request asks for k by a new owner, with every field set.
func (e *exam) request(k onceward.Key) onceward.ClaimRequest {
	return onceward.ClaimRequest{
		Key: k, Owner: onceward.NewOwner(), Token: e.now.UnixMicro(),
		Kind: "mint", Policy: onceward.Hold, Retention: retention,
		Fingerprint: []byte("fingerprint\x00\xff"), Detail: []byte("detail\x00\xfe"),
		Now: e.now, LeaseUntil: e.now.Add(lease), ExpiresAt: onceward.Never,
	}
}

func (e *exam) claim(req onceward.ClaimRequest) onceward.ClaimResult {
	e.Helper()
	res, err := e.store.Claim(e.Context(), req)
	if err != nil {
		e.Fatalf("Claim: %v", err)
	}
	return res
}

// win makes a claim that must be won.
func (e *exam) win(req onceward.ClaimRequest) onceward.Record {
	e.Helper()
	res := e.claim(req)
	if !res.Won {
		e.Fatalf("the claim was lost to %s", show(res.Record))
	}
	return res.Record
}

// lose makes a claim that must be lost, and may not change what it reports.
func (e *exam) lose(req onceward.ClaimRequest, to onceward.Record) {
	e.Helper()
	res := e.claim(req)
	if res.Won || res.TookOver {
		e.Fatalf("the claim was won (took over: %v) and should have been lost to %s", res.TookOver, show(to))
	}
	e.same(res.Record, to)
	e.stands(to)
}

// begin claims a new key.
func (e *exam) begin() onceward.Record {
	e.Helper()
	return e.win(e.request(e.key()))
}

// get returns a record that must be there.
func (e *exam) get(k onceward.Key) onceward.Record {
	e.Helper()
	r, err := e.store.Get(e.Context(), onceward.GetRequest{Key: k, Now: e.now})
	if err != nil {
		e.Fatalf("Get: %v", err)
	}
	return r
}

// stands fails unless Get returns exactly want.
func (e *exam) stands(want onceward.Record) {
	e.Helper()
	e.same(e.get(want.Key), want)
}

// absent fails unless Get finds nothing.
func (e *exam) absent(k onceward.Key) {
	e.Helper()
	r, err := e.store.Get(e.Context(), onceward.GetRequest{Key: k, Now: e.now})
	if !errors.Is(err, onceward.ErrNotFound) {
		e.Fatalf("Get returned %s, %v instead of ErrNotFound", show(r), err)
	}
}

func (e *exam) ok(err error) {
	e.Helper()
	if err != nil {
		e.Fatalf("unexpected error: %v", err)
	}
}

func (e *exam) fenced(err error) {
	e.Helper()
	if !errors.Is(err, onceward.ErrFenced) {
		e.Fatalf("error %v instead of ErrFenced", err)
	}
}

func (e *exam) renew(c onceward.Claim, until time.Time) error {
	return e.store.Renew(e.Context(), onceward.RenewRequest{Claim: c, Now: e.now, LeaseUntil: until})
}

func (e *exam) checkpoint(c onceward.Claim, cps ...onceward.Checkpoint) error {
	return e.store.Checkpoint(e.Context(), onceward.CheckpointRequest{Claim: c, Now: e.now, Checkpoints: cps})
}

// completion is what complete asks for.
func (e *exam) completion(c onceward.Claim) onceward.CompleteRequest {
	return onceward.CompleteRequest{
		Claim: c, Now: e.now, Status: onceward.StatusCompleted, ExpiresAt: e.now.Add(retention),
		Response: &onceward.Response{
			Status: 201,
			Header: map[string][]string{"Content-Type": {"application/json"}, "X-Many": {"b", "a", "b"}},
			Body:   []byte(`{"id":"7"}`),
		},
	}
}

func (e *exam) complete(req onceward.CompleteRequest) error {
	return e.store.Complete(e.Context(), req)
}

// hold asks to end the record as HELD.
func (e *exam) hold(c onceward.Claim) onceward.CompleteRequest {
	return onceward.CompleteRequest{
		Claim: c, Now: e.now, Status: onceward.StatusHeld, Reason: "nobody knows", ExpiresAt: onceward.Never,
	}
}

func (e *exam) release(c onceward.Claim) error {
	return e.store.Release(e.Context(), onceward.ReleaseRequest{Claim: c, Now: e.now})
}

// completed is the record that a completion leaves of r.
func completed(r onceward.Record, req onceward.CompleteRequest) onceward.Record {
	r.Status, r.Response, r.Reason = req.Status, req.Response, req.Reason
	r.CompletedAt, r.ExpiresAt = req.Now, req.ExpiresAt
	return r
}

// same fails unless the records are equal, their times to the microsecond.
func (e *exam) same(got, want onceward.Record) {
	e.Helper()
	if d := difference(got, want); d != "" {
		e.Fatalf("the record differs in %s\n got: %s\nwant: %s", d, show(got), show(want))
	}
}

// difference names the first field in which two records differ.
func difference(a, b onceward.Record) string {
	for _, f := range []struct {
		name string
		same bool
	}{
		{"Key", a.Key == b.Key},
		{"Status", a.Status == b.Status},
		{"Token", a.Token == b.Token},
		{"Owner", a.Owner == b.Owner},
		{"Attempt", a.Attempt == b.Attempt},
		{"Kind", a.Kind == b.Kind},
		{"Policy", a.Policy == b.Policy},
		{"Fingerprint", string(a.Fingerprint) == string(b.Fingerprint)},
		{"Retention", a.Retention == b.Retention},
		{"Detail", string(a.Detail) == string(b.Detail)},
		{"Reason", a.Reason == b.Reason},
		{"ClaimedAt", sameTime(a.ClaimedAt, b.ClaimedAt)},
		{"LeaseUntil", sameTime(a.LeaseUntil, b.LeaseUntil)},
		{"CompletedAt", sameTime(a.CompletedAt, b.CompletedAt)},
		{"ExpiresAt", sameTime(a.ExpiresAt, b.ExpiresAt)},
		{"Checkpoints", slices.EqualFunc(a.Checkpoints, b.Checkpoints, sameCheckpoint)},
		{"Response", sameResponse(a.Response, b.Response)},
	} {
		if !f.same {
			return f.name
		}
	}
	return ""
}

// sameTime allows for what a store may cut off.
func sameTime(a, b time.Time) bool { return a.Sub(b).Abs() < tick && a.IsZero() == b.IsZero() }

func sameCheckpoint(a, b onceward.Checkpoint) bool {
	return a.Name == b.Name && string(a.Data) == string(b.Data) && sameTime(a.At, b.At)
}

func sameResponse(a, b *onceward.Response) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Status == b.Status && a.Tombstone == b.Tombstone && string(a.Body) == string(b.Body) &&
		maps.EqualFunc(a.Header, b.Header, slices.Equal[[]string])
}

func show(r onceward.Record) string {
	resp := "none"
	if r.Response != nil {
		resp = fmt.Sprintf("%d %v, %d bytes", r.Response.Status, r.Response.Header, len(r.Response.Body))
		r.Response = nil
	}
	return fmt.Sprintf("%+v, response %s", r, resp)
}
