package soroban

import (
	"strings"
	"testing"
)

// mutant is the protocol without one of its protections.
type mutant struct {
	name  string
	setup setup
	// caught is the number of the invariant that is violated first.
	caught string
	change func(*decisions)
}

// decides replaces next where the mutant has an opinion of its own.
func decides(when func(progress, observation) bool, v verdict) func(*decisions) {
	return func(by *decisions) {
		by.next = func(st progress, obs observation) (progress, action) {
			if st.stage == stageDone || !when(st, obs) {
				return next(st, obs)
			}
			var tx *foundTx
			if obs.search != nil {
				tx = obs.search.tx
			}
			return st.decided(v, tx)
		}
	}
}

func mutants() []mutant {
	sent := func(k sendKind) func(progress, observation) bool {
		return func(_ progress, obs observation) bool { return obs.send != nil && obs.send.kind == k }
	}
	return []mutant{
		{"rebuild on txBAD_SEQ", unguarded(), "9", decides(sent(sendBadSeq), expired)},
		{"take a refusal (txTOO_LATE and the like) for a proof", unguarded(), "9", decides(sent(sendRefused), expired)},
		{"trust NOT_FOUND", unguarded(), "9", decides(func(st progress, obs observation) bool {
			return st.stage == stageUsed && obs.search != nil && obs.search.tx == nil
		}, expired)},
		{"expire by the ledger number, without the sequence", unguarded(), "9", decides(func(st progress, obs observation) bool {
			return st.stage == stageOpen && obs.view != nil && obs.view.ledger >= st.maxLedger-1
		}, expired)},
		{"expire one ledger too early", unguarded(), "9", decides(func(st progress, obs observation) bool {
			return st.stage == stageOpen && obs.view != nil && obs.view.never(st.seq, st.maxLedger-1)
		}, expired)},
		{"believe a failure without asking for the nonce", stolen(), "5", decides(func(st progress, obs observation) bool {
			return st.stage == stageUsed && obs.search != nil && obs.search.tx != nil && obs.search.tx.ours && !obs.search.tx.success
		}, failed)},
		{"believe a refused simulation without asking for the nonce", twoDatabases(), "1", func(by *decisions) {
			by.stands = func(rejectedAt, ledgerView) bool { return true }
		}},
		{"release a refused operation whose authorization was seen", stolen(), "1", func(by *decisions) {
			by.refused = func(_ *Trail, r rejectedAt) error { return r }
		}},
		{"release a user's authorization a ledger before its end", relayedKey(), "5", decides(func(st progress, obs observation) bool {
			return st.stage == stageLapse && obs.view != nil && !obs.view.nonce && obs.view.ledger == st.authUntil-1
		}, unused)},
		{"release a user's authorization once it has ended", relayedKey(), "5", decides(func(st progress, obs observation) bool {
			return st.stage == stageLapse && obs.view != nil && !obs.view.nonce && obs.view.ledger > st.authUntil
		}, unused)},
		{"free the channel on timeout", twoKeys(), "8", func(by *decisions) {
			by.usable = func(s channelState) bool { return s == channelQuiet || s == channelLive }
		}},
		{"send before storing", oneKey(), "2", func(by *decisions) { by.sendsFirst = true }},
		{"draw nonces", twoDatabases(), "1", func(by *decisions) { by.drawsNonces = true }},
		{"accept the writes of an owner that was taken over", leased(), "", func(by *decisions) { by.unfenced = true }},
	}
}

// A model that cannot fail proves nothing: without any one of the protections
// it finds the shortest way to a violation.
func TestModelCatchesEveryMutant(t *testing.T) {
	t.Parallel()
	for _, mu := range mutants() {
		t.Run(mu.name, func(t *testing.T) {
			t.Parallel()
			by := production()
			mu.change(&by)
			m := newModel(mu.setup, by)
			bad := m.explore()
			if bad == nil {
				t.Fatalf("not caught; %s", m.summary())
			}
			if !strings.HasPrefix(bad.text, "invariant "+mu.caught) {
				t.Errorf("caught as %s, and not as %s", bad.text, mu.caught)
			}
			t.Log(m.report(bad))
		})
	}
}
