package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/onceward/onceward"
)

// maxClaims bounds how often a claim is sent again because the record that
// stood in its way was given up before it could be read.
const maxClaims = 100

// Claim implements onceward.Store.
//
// A record that is known to be completed needs no query. A claim that wins is
// one statement. One that does not reads the record that
// stands in a transaction of its own, and is the loser only if it would lose to
// that record: it may have been released, or have expired, since.
func (s *Store) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	id := req.Key.ID()
	if rec, ok := s.cache.Get(id, req.Now); ok && rec.Key == req.Key && !s.closed.Load() {
		return onceward.ClaimResult{Record: rec}, nil
	}
	if err := validClaim(&req); err != nil {
		return onceward.ClaimResult{}, err
	}
	req.Fingerprint, req.Detail = bytes.Clone(req.Fingerprint), bytes.Clone(req.Detail)
	if req.Fingerprint == nil {
		req.Fingerprint = []byte{} // the column holds no NULL
	}
	for try := range maxClaims {
		if !sidestep(ctx, try) {
			return onceward.ClaimResult{}, context.Cause(ctx)
		}
		o := &op{kind: kindClaim, id: id, claim: req, bytes: 512 + len(req.Detail)}
		if req.TakeHeld {
			o.kind = kindClaimHeld
		}
		if err := s.do(ctx, o); err != nil {
			return onceward.ClaimResult{}, err
		}
		if o.done {
			return onceward.ClaimResult{Won: true, TookOver: o.rec.Attempt > 1, Record: o.rec.Record}, nil
		}
		res, decided, err := s.lost(ctx, id, &req)
		if decided || err != nil {
			return res, err
		}
	}
	return onceward.ClaimResult{}, errors.New("postgres: the key changes hands too quickly; try again")
}

// sidestep pauses before a claim that was already sent more than once. Those who
// take a key and release it again can come in step with who claims it, batch by
// batch; a random pause takes him out of it.
func sidestep(ctx context.Context, try int) bool {
	if try < 2 {
		return true
	}
	return sleep(ctx, rand.N(time.Duration(min(try, 20))*time.Millisecond)) //nolint:gosec // jitter
}

// lost reads the record that stands in the way of a claim; decided is false
// when none does any more.
func (s *Store) lost(ctx context.Context, id onceward.ID, req *onceward.ClaimRequest) (res onceward.ClaimResult, decided bool, err error) {
	r, err := s.byID(ctx, id, req.Now)
	switch {
	case errors.Is(err, onceward.ErrNotFound):
		return res, false, nil
	case err != nil:
		return res, false, err
	}
	if err := sameKey(r.Key, req.Key); err != nil {
		return res, false, err
	}
	res.Record = r.Record
	switch {
	case r.Status == onceward.StatusStarted && r.Owner == req.Owner:
		res.Won, res.TookOver = true, r.Attempt > 1 // repeated
		return res, true, nil
	case !bytes.Equal(r.Fingerprint, req.Fingerprint):
		return res, true, nil
	case r.Lapsed(cut(req.Now)), req.TakeHeld && r.Status == onceward.StatusHeld:
		return onceward.ClaimResult{}, false, nil
	default:
		return res, true, nil
	}
}

// sameKey guards against two keys of one id: the id is a hash.
func sameKey(stored, asked onceward.Key) error {
	if stored != asked {
		return fmt.Errorf("postgres: the record %v belongs to another key; the row was changed from outside, or two keys have one id", asked.ID())
	}
	return nil
}

// validClaim refuses what the columns cannot hold, before it spoils a batch.
func validClaim(req *onceward.ClaimRequest) error {
	for _, f := range []struct{ name, text string }{
		{"scope", req.Key.Scope}, {"key", req.Key.Value}, {"kind", req.Kind}, {"policy", string(req.Policy)},
	} {
		if !storable(f.text) {
			return fmt.Errorf("postgres: the %s is not valid UTF-8 text without NUL", f.name)
		}
	}
	return validTimes(req.Now, req.LeaseUntil, req.ExpiresAt)
}

// validTimes keeps to what a timestamptz can hold.
func validTimes(times ...time.Time) error {
	for _, t := range times {
		if y := t.Year(); y < -4000 || y > 200_000 {
			return fmt.Errorf("postgres: the year %d cannot be stored", y)
		}
	}
	return nil
}
