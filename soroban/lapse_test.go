package soroban_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
)

// short is for how many ledgers the authorizations of these tests are valid:
// one envelope fits in, and no second.
const short = 10

// often asks so often that no ledger is missed.
func often(c *soroban.Config) { c.PollInterval = 300 * time.Millisecond }

// relaying sends an authorization whose envelopes are all lost, and returns
// where the end of it comes.
func (g *gate) relaying(key, entry string) <-chan error {
	g.mute.Store(true)
	x, done := g.authorization(entry), make(chan error, 1)
	go func() { _, err := g.do(key, x); done <- err }()
	return done
}

// reach lets time go by up to a ledger.
func (w *world) reach(ledger uint32) {
	for w.chain.LatestLedger() < ledger {
		w.pass(100 * time.Millisecond)
	}
}

// An authorization outlives its only envelope, and nobody uses it. That can be
// said once its last ledger has closed: the key is released, and the user signs
// again.
func TestRelayAuthorizationEndsUnused(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gateWith(w.store(), []tweak{often}), w.user()
		entry, until := u.entry(u.vote(1), 7, short), w.chain.LatestLedger()+short
		done := g.relaying("k", entry)
		w.reach(until - 1)
		w.pass(900 * time.Millisecond)
		trail := g.trail("k")
		want(w, "attempts", len(trail.Attempts), 1)
		want(w, "proofs", len(trail.Proofs), 1)
		wantRelayError(w, <-done, soroban.RelayExpired)
		want(w, "it ended", w.chain.LatestLedger() >= until, true)
		want(w, "released", g.released("k"), true)
		sends := g.sends.Load()
		g.mute.Store(false)
		_, err := g.do("k", g.authorization(entry))
		wantRelayError(w, err, soroban.RelayExpired)
		want(w, "sends", g.sends.Load(), sends)
		want(w, "votes", w.votes(1), 0)
		g.must("k", g.authorization(u.entry(u.vote(1), 8, 100)))
		want(w, "votes", w.votes(1), 1)
	})
}

// Whoever saw the authorization uses it, in the very last ledger: that is the
// answer.
func TestRelayAuthorizationUsedInItsLastLedger(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gateWith(w.store(), []tweak{often}), w.user()
		until := w.chain.LatestLedger() + short
		done := g.relaying("k", u.entry(u.vote(1), 7, short))
		w.reach(until - 2) // another ledger closes as the thief's account is made
		hash := w.steal(g.trail("k").Attempts[0])
		want(w, "error", <-done, nil)
		result := g.trail("k").Result
		want(w, "hash", result.TxHash, hash)
		want(w, "ledger", result.Ledger, until)
		want(w, "status", result.Status, soroban.Succeeded)
		want(w, "votes", w.votes(1), 1)
	})
}

// Nobody looks in the last ledger. Afterwards the chain does not tell whether
// the authorization was used, although it was: a person decides.
func TestRelayAuthorizationWhoseEndWasMissed(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store := w.store()
		g, u := w.gateWith(store, []tweak{often}), w.user()
		until := w.chain.LatestLedger() + short
		done := g.relaying("k", u.entry(u.vote(1), 7, short))
		w.reach(until - 2)
		g.sub.Stop()
		want(w, "parked", errors.Is(<-done, onceward.ErrPark), true)
		w.steal(g.trail("k").Attempts[0])
		w.reach(until + 1)
		w.pass(time.Minute)
		next := w.gateWith(store, []tweak{often})
		got, err := next.eng.Recover(w.Context())
		want(w, "error", err, nil)
		want(w, "held", got.Unknown, 1)
		want(w, "votes", w.votes(1), 1)
		rec, err := store.Get(w.Context(), onceward.GetRequest{Key: onceward.Key{Scope: "alice", Value: "k"}, Now: time.Now()})
		if err != nil || rec.Status != onceward.StatusHeld || !strings.Contains(rec.Reason, "was not seen") {
			w.Errorf("%s: %s, %v", rec.Status, rec.Reason, err)
		}
	})
}

// A process stops while it waits: another one waits on, without the user.
func TestRelayAuthorizationIsWatchedByOthers(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		store, once := w.store(), func(c *soroban.Config) { c.MaxAttempts = 1 }
		g, u := w.gateWith(store, []tweak{often, once}), w.user()
		until := w.chain.LatestLedger() + 60
		done := g.relaying("k", u.entry(u.vote(1), 7, 60))
		w.pass(12 * time.Second)
		want(w, "proofs", len(g.trail("k").Proofs), 1)
		g.sub.Stop()
		want(w, "parked", errors.Is(<-done, onceward.ErrPark), true)
		w.pass(time.Minute / 4)
		next := w.gateWith(store, []tweak{often, once})
		want(w, "it has time", w.chain.LatestLedger() < until, true)
		got, err := next.eng.Recover(w.Context())
		want(w, "error", err, nil)
		want(w, "released", got.Released, 1)
		want(w, "gone", next.released("k"), true)
		want(w, "it ended", w.chain.LatestLedger() >= until, true)
		want(w, "votes", w.votes(1), 0)
	})
}
