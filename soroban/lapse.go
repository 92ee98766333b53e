package soroban

import (
	"context"
	"fmt"

	"github.com/onceward/onceward"
)

// A user's authorization outlives the envelopes that carried it: whoever saw
// one could use it until it expires. When it has, it can be known that nothing
// happened. The network refuses an authorization after its last ledger, and the
// nonce entry of one that was used lives at least through that ledger. So one
// answer that shows no nonce entry in exactly that ledger says that it was never
// used, and never can be. An earlier answer leaves time to use it; in a later
// one the entry may have ended, and its absence says nothing.
//
// The authorizations that the Submitter signs itself live for a day: there a
// person can decide sooner.

// outlived is why an operation is held whose authorization outlives all its
// envelopes, unless it is seen to end unused.
type outlived struct {
	*UnknownError
	attempt *Attempt // the last that carried it
}

// Unwrap lets errors.As find the UnknownError.
func (e *outlived) Unwrap() error { return e.UnknownError }

// awaiting is the state of an authorization of which every envelope is proven
// dead.
func awaiting(a *Attempt) (progress, action) {
	return progress{guarded: true, authUntil: a.AuthUntil, stage: stageLapse, ledger: a.Ledger}, actLook
}

// lapsing takes in a view without the nonce entry.
func (st progress) lapsing(v ledgerView) (progress, action) {
	switch {
	case v.ledger < st.authUntil:
		return st, actWait
	case v.ledger == st.authUntil:
		return st.decided(unused, nil)
	}
	return st.unknown("ledger %d, the last in which the authorization could be used, was not seen", st.authUntil)
}

// lapse waits for the end of an authorization, and stores that it was not used,
// or how it was. No channel is needed for that.
func (s *Submitter) lapse(ctx context.Context, op *onceward.Operation, p *plan, held *outlived) error {
	a := held.attempt
	s.log.InfoContext(ctx, "waiting for the end of a user's authorization", "operation", op.ID(), "until", a.AuthUntil, "reason", held.Reason)
	st, act := awaiting(a)
	st, err := s.follow(ctx, op, a, nil, st, act)
	if err != nil {
		return err
	}
	switch end, proof := st.conclusion(a.Kind); end {
	case concludeLapsed:
		return s.prove(ctx, op, lapsedCheckpoint, proof)
	case concludeSucceeded:
		return s.succeeded(ctx, op, p, a, st)
	case concludeHeld, concludeFailed, concludeProven:
	}
	return &UnknownError{Reason: held.Reason + "; " + st.reason}
}

// unusable is the end of an authorization that a proof says was never used.
func unusable(a *Attempt, p Proof) error {
	return &RelayError{Code: RelayExpired, TxHash: a.Hash, Detail: fmt.Sprintf("the authorization was valid through ledger %d and was not used, "+
		"as that ledger shows. It can never be used; sign a new one", p.Ledger)}
}
