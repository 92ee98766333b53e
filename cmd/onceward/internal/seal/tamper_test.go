package seal_test

import (
	"errors"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/memstore"
)

// TestTampering changes rows behind the wrapper's back, each in another way.
// None may be read as if nothing had happened.
func TestTampering(t *testing.T) {
	t.Parallel()
	inner := memstore.New()
	ring := newKeyring(t)
	s := open(t, inner, ring, seal.Config{Logger: quiet()})
	other := onceward.Key{Scope: alice.Scope, Value: "order-2"} // the same data key
	bob := onceward.Key{Scope: "bob", Value: alice.Value}
	for _, key := range []onceward.Key{alice, other, bob} {
		complete(t, s, begin(t, s, key))
	}
	raw := func(key onceward.Key) onceward.Record {
		rec, err := get(t, inner, key)
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	theirs, stranger := raw(other), raw(bob)
	flip := func(b []byte, i int) { b[(len(b)+i)%len(b)] ^= 1 }
	const header = "Onceward-Sealed"
	for name, forge := range map[string]func(*onceward.Record){
		"a bit of the body":               func(r *onceward.Record) { flip(r.Response.Body, -1) },
		"a bit of the body's nonce":       func(r *onceward.Record) { flip(r.Response.Body, 12) },
		"the body cut short":              func(r *onceward.Record) { r.Response.Body = r.Response.Body[:40] },
		"another record's body":           func(r *onceward.Record) { r.Response.Body = theirs.Response.Body },
		"another record's answer":         func(r *onceward.Record) { r.Response = theirs.Response },
		"another scope's answer":          func(r *onceward.Record) { r.Response = stranger.Response },
		"the header as the body":          func(r *onceward.Record) { r.Response.Body = r.Detail },
		"another header":                  func(r *onceward.Record) { r.Response.Header = theirs.Response.Header },
		"no header":                       func(r *onceward.Record) { r.Response.Header = nil },
		"a header in clear":               func(r *onceward.Record) { r.Response.Header["X"] = []string{"y"} },
		"a header that is no text":        func(r *onceward.Record) { r.Response.Header[header] = []string{"%"} },
		"a body in clear":                 func(r *onceward.Record) { r.Response.Body = []byte("{}") },
		"no body":                         func(r *onceward.Record) { r.Response.Body = nil },
		"another status":                  func(r *onceward.Record) { r.Response.Status = 500 },
		"another token":                   func(r *onceward.Record) { r.Token++ },
		"another owner":                   func(r *onceward.Record) { r.Owner[0]++ },
		"another record's detail":         func(r *onceward.Record) { r.Detail = theirs.Detail },
		"another fingerprint":             func(r *onceward.Record) { r.Fingerprint = []byte("x") },
		"a detail in clear":               func(r *onceward.Record) { r.Detail = []byte("x") },
		"a bit of the checkpoints":        func(r *onceward.Record) { flip(r.Checkpoints[0].Data, -1) },
		"another record's checkpoints":    func(r *onceward.Record) { r.Checkpoints = theirs.Checkpoints },
		"the checkpoints' token":          func(r *onceward.Record) { flip(r.Checkpoints[0].Data, 7) },
		"checkpoints of a later claim":    func(r *onceward.Record) { r.Checkpoints[0].Data[0] = 0x7f },
		"checkpoints in clear":            func(r *onceward.Record) { r.Checkpoints = cps },
		"one more checkpoint":             func(r *onceward.Record) { r.Checkpoints = append(r.Checkpoints, cps[0]) },
		"checkpoints under another name":  func(r *onceward.Record) { r.Checkpoints[0].Name = "envelope-1" },
		"checkpoints that are too short":  func(r *onceward.Record) { r.Checkpoints[0].Data = []byte("x") },
		"the record under another key":    func(r *onceward.Record) { r.Key.Value = "order-9" },
		"the record under another tenant": func(r *onceward.Record) { r.Key.Scope = "bob" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := &forger{Store: inner}
			s := open(t, f, ring, seal.Config{Logger: quiet()})
			intact(t, s, alice)
			f.forge = forge
			rec, err := get(t, s, alice)
			if (name == "another scope's answer" || name == "the record under another tenant") && err == nil && rec.Response.Tombstone && rec.Response.Body == nil && rec.Response.Header == nil {
				return // the same as after that scope's key was destroyed: no answer at all
			}
			if !errors.Is(err, seal.ErrTampered) && !errors.Is(err, seal.ErrPlaintext) && !errors.Is(err, seal.ErrDestroyed) {
				t.Fatalf("Get: %v, %+v", err, rec.Response)
			}
			if _, err := s.Find(t.Context(), onceward.FindRequest{ID: alice.ID(), Now: time.Now()}); err == nil {
				t.Error("Find found it")
			}
			if res, err := s.Claim(t.Context(), claimRequest(alice)); err == nil {
				t.Errorf("Claim returned %+v", res.Record.Response)
			}
		})
	}
}

// TestAnOlderAnswerIsNotTheNewerClaims: a row that is put back as it was in an
// earlier life of the key does not answer for the present one.
func TestAnOlderAnswerIsNotTheNewerClaims(t *testing.T) {
	t.Parallel()
	f := &forger{Store: memstore.New()}
	s := open(t, f, newKeyring(t), seal.Config{})
	begun := begin(t, s, alice)
	complete(t, s, begun)
	old, err := get(t, f.Store, alice)
	if err != nil {
		t.Fatal(err)
	}
	// A later operation of the same key, once the first has expired.
	req := claimRequest(alice)
	req.Now = req.Now.Add(2 * time.Hour)
	req.LeaseUntil = req.Now.Add(time.Minute)
	res, err := s.Claim(t.Context(), req)
	if err != nil || !res.Won {
		t.Fatalf("won %v, %v", res.Won, err)
	}
	f.forge = func(r *onceward.Record) { r.Status, r.Response = onceward.StatusCompleted, old.Response }
	if _, err := s.Get(t.Context(), onceward.GetRequest{Key: alice, Now: req.Now}); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("got %v", err)
	}
}

// TestABodyAloneIsBound: an answer without a header has nothing else to tell
// whose it is.
func TestABodyAloneIsBound(t *testing.T) {
	t.Parallel()
	f := &forger{Store: memstore.New()}
	s := open(t, f, newKeyring(t), seal.Config{})
	claim := begin(t, s, alice)
	err := s.Complete(t.Context(), onceward.CompleteRequest{
		Claim: claim, Now: time.Now(), Status: onceward.StatusCompleted,
		Response: &onceward.Response{Status: 201, Body: []byte("x")}, ExpiresAt: onceward.Never,
	})
	if err != nil {
		t.Fatal(err)
	}
	if rec, err := get(t, s, alice); err != nil || string(rec.Response.Body) != "x" {
		t.Fatalf("got %+v, %v", rec.Response, err)
	}
	for name, forge := range map[string]func(*onceward.Record){
		"token":  func(r *onceward.Record) { r.Token++ },
		"owner":  func(r *onceward.Record) { r.Owner[3]++ },
		"status": func(r *onceward.Record) { r.Response.Status = 202 },
	} {
		f.forge = forge
		if _, err := get(t, s, alice); !errors.Is(err, seal.ErrTampered) {
			t.Errorf("another %s: %v", name, err)
		}
	}
}

// TestCheckpointsOfALaterClaim do not fit a record that was put back to an
// earlier one.
func TestCheckpointsOfALaterClaim(t *testing.T) {
	t.Parallel()
	f := &forger{Store: memstore.New()}
	s := open(t, f, newKeyring(t), seal.Config{})
	begin(t, s, alice)
	f.forge = func(r *onceward.Record) { r.Token-- }
	if _, err := get(t, s, alice); !errors.Is(err, seal.ErrTampered) {
		t.Errorf("got %v", err)
	}
	f.forge = func(r *onceward.Record) { r.Token++ } // as after a takeover
	if rec, err := get(t, s, alice); err != nil || len(rec.Checkpoints) != 2 {
		t.Errorf("got %d checkpoints, %v", len(rec.Checkpoints), err)
	}
}

// TestAnUnreadableRecordDoesNotStopRecovery of the others.
func TestAnUnreadableRecordDoesNotStopRecovery(t *testing.T) {
	t.Parallel()
	f := &forger{Store: memstore.New()}
	s := open(t, f, newKeyring(t), seal.Config{Logger: quiet()})
	bad := map[string]bool{}
	for i := range 10 {
		key := onceward.Key{Scope: "alice", Value: string(rune('a' + i))}
		bad[key.Value] = i < 6 // the longest lapsed
		begin(t, s, key)
	}
	f.forge = func(r *onceward.Record) {
		if bad[r.Key.Value] {
			r.Checkpoints[0].Data[20] ^= 1
		}
	}
	recs, err := s.Lapsed(t.Context(), onceward.LapsedRequest{
		Now: time.Now().Add(time.Hour), Policy: onceward.Reconcile, Limit: 3,
	})
	if err != nil || len(recs) != 3 {
		t.Fatalf("%d records, %v", len(recs), err)
	}
	for _, r := range recs {
		if bad[r.Key.Value] || len(r.Checkpoints) != 2 {
			t.Errorf("got %s with %d checkpoints", r.Key.Value, len(r.Checkpoints))
		}
	}
}
