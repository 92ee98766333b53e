package oncetest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/onceward/onceward"
)

// sequence draws requests at random: few keys, so that they meet; owners and
// claims of the past, so that stale ones come back; a clock that mostly goes on
// and sometimes goes back; whole microseconds, the finest that stores agree on.
type sequence struct {
	rng    *rand.Rand
	now    time.Time
	keys   []onceward.Key
	claims []onceward.Claim        // granted at some time
	asked  []onceward.ClaimRequest // made at some time
}

func newSequence(seed uint64, keys int) *sequence {
	s := &sequence{
		rng: rand.New(rand.NewPCG(seed, 0)), //nolint:gosec // reproducible by its seed
		now: start.Truncate(tick),
	}
	for i := range keys {
		s.keys = append(s.keys, onceward.Key{Scope: fmt.Sprintf("scope-%d", i%2), Value: fmt.Sprintf("key-%d", i)})
	}
	return s
}

func (s *sequence) chance(n int) bool { return s.rng.IntN(n) == 0 }

func (s *sequence) tick() {
	switch s.rng.IntN(10) {
	case 0:
		s.now = s.now.Add(-lease / 3)
	case 1:
		s.now = s.now.Add(lease)
	case 2:
		s.now = s.now.Add(3 * lease)
	case 3, 4, 5:
		s.now = s.now.Add(tick)
	}
}

func (s *sequence) key() onceward.Key { return s.keys[s.rng.IntN(len(s.keys))] }

// soon is an expiry that the sequence will live to see.
func (s *sequence) soon() time.Time {
	return s.now.Add(lease + time.Duration(s.rng.IntN(4))*lease)
}

func (s *sequence) owner() (o onceward.Owner) {
	for i := range o {
		o[i] = byte(s.rng.Uint32N(256)) //nolint:gosec // below 256
	}
	return o
}

func (s *sequence) claim() onceward.ClaimRequest {
	if len(s.asked) > 0 && s.chance(6) { // an answer was lost: ask again
		req := s.asked[s.rng.IntN(len(s.asked))]
		req.Now = s.now
		return req
	}
	req := onceward.ClaimRequest{
		Key: s.key(), Owner: s.owner(), Token: s.rng.Int64N(50), Retention: retention,
		Kind:        []string{"", "mint", "burn"}[s.rng.IntN(3)],
		Policy:      []onceward.CrashPolicy{onceward.Hold, onceward.Rerun, onceward.Reconcile}[s.rng.IntN(3)],
		Fingerprint: []byte("same"), Detail: fmt.Appendf(nil, "detail %d", s.rng.IntN(9)),
		Now: s.now, LeaseUntil: s.now.Add(lease), ExpiresAt: s.soon(), TakeHeld: s.chance(4),
	}
	if s.chance(5) {
		req.Fingerprint = []byte("other")
	}
	if s.chance(2) {
		req.ExpiresAt = onceward.Never
	}
	if s.chance(10) {
		req.Token = s.now.UnixMicro()
	}
	s.asked = append(s.asked, req)
	return req
}

// held is a claim to write under: mostly the last one of a key, sometimes one
// that may be stale, or that nobody was ever granted.
func (s *sequence) held() onceward.Claim {
	key := s.key()
	if len(s.claims) > 0 && s.chance(5) {
		return s.claims[s.rng.IntN(len(s.claims))]
	}
	for i := len(s.claims) - 1; i >= 0 && !s.chance(20); i-- {
		if s.claims[i].Key == key {
			return s.claims[i]
		}
	}
	return onceward.Claim{Key: key, Token: s.rng.Int64N(50), Owner: s.owner()}
}

func (s *sequence) complete() onceward.CompleteRequest {
	req := onceward.CompleteRequest{Claim: s.held(), Now: s.now, Status: onceward.StatusCompleted, ExpiresAt: s.soon()}
	switch {
	case s.chance(3):
		// It waits for an operator, however long.
		req.Status, req.Reason, req.ExpiresAt = onceward.StatusHeld, "nobody knows", onceward.Never
	case s.chance(4):
		req.Response = &onceward.Response{Status: 201, Tombstone: true}
	default:
		req.Response = &onceward.Response{
			Status: 200 + s.rng.IntN(300), Body: fmt.Appendf(nil, "body %d", s.rng.IntN(1000)),
			Header: map[string][]string{"X-A": {"1", "2"}},
		}
	}
	return req
}

func (s *sequence) checkpoints() onceward.CheckpointRequest {
	req := onceward.CheckpointRequest{Claim: s.held(), Now: s.now}
	for i := range s.rng.IntN(3) {
		req.Checkpoints = append(req.Checkpoints, onceward.Checkpoint{
			Name: fmt.Sprintf("c%d", i), Data: fmt.Appendf(nil, "%d", s.rng.IntN(1000)), At: s.now,
		})
	}
	return req
}

func (s *sequence) renew() onceward.RenewRequest {
	return onceward.RenewRequest{
		Claim: s.held(), Now: s.now, LeaseUntil: s.now.Add(time.Duration(s.rng.IntN(4)) * lease),
	}
}
