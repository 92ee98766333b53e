package soroban

import "fmt"

// What an operation, a channel and a new envelope come to is decided here and
// in next.go, without I/O, so that the model of the protocol
// (model_internal_test.go) makes every decision with the code that production
// runs.

// todo is what the checkpoints of an operation leave to be done.
type todo uint8

const (
	todoAnswer  todo = iota // its outcome is stored
	todoFollow              // its last attempt may still be applied
	todoAttempt             // nothing can be applied: another attempt may be built
	todoGiveUp              // nothing can be applied, and it gets no further attempt
	todoLapse               // nothing can be applied, not even by others
)

// todo decides; at most attempts are built for an operation.
func (t *Trail) todo(attempts int) todo {
	switch {
	case t.Result != nil:
		return todoAnswer
	case t.open() != nil:
		return todoFollow
	case t.Lapsed != nil:
		return todoLapse
	case len(t.Attempts) >= attempts:
		return todoGiveUp
	}
	return todoAttempt
}

// conclusion is what the verdict on an attempt means for its operation.
type conclusion uint8

const (
	concludeHeld      conclusion = iota // nobody can say: a person decides
	concludeSucceeded                   // progress.tx did it
	concludeFailed                      // progress.tx is ours and failed
	concludeProven                      // nothing came of it, and the proof of that is to be stored
	concludeLapsed                      // nothing ever will, which is to be stored
)

// conclusion decides, for an attempt of the given Kind. The proof is that of
// concludeProven.
func (st progress) conclusion(kind string) (conclusion, Proof) {
	if kind == KindRestore {
		if proof, ok := st.settled(); ok {
			return concludeProven, proof
		}
	}
	proof := Proof{Sequence: st.view.seq, Ledger: st.view.ledger}
	switch st.verdict {
	case succeeded:
		return concludeSucceeded, Proof{}
	case failed:
		return concludeFailed, Proof{}
	case expired:
		proof.Kind = ProofExpired
		return concludeProven, proof
	case superseded:
		proof.Kind, proof.By = ProofSuperseded, st.tx.hash
		return concludeProven, proof
	case unused:
		proof.Kind = ProofUnused
		return concludeLapsed, proof
	case unknown, undecided:
	}
	return concludeHeld, Proof{}
}

// recovering is the state of an operation whose nonce entry exists, written in
// ledger: it has succeeded, and its transaction is to be found.
func recovering(ledger uint32) (progress, action) {
	return progress{guarded: true, stage: stageGuard, nonceAt: ledger, ledger: ledger}, actScanNonce
}

// usable reports whether another envelope may be built on the channel.
func (state channelState) usable() bool {
	return state == channelQuiet || state == channelLive && freesOnTimeout
}

// exhausted ends an operation that gets no further attempt. All its envelopes
// are dead; an authorization that was seen in one of them is not, until it
// expires, so only a call without one is known not to happen.
func exhausted(last *Attempt, why string) error {
	if last == nil || !last.guarded() {
		return &UnavailableError{Reason: why, final: true}
	}
	held := &UnknownError{Reason: fmt.Sprintf("%s; none of its envelopes can be applied any more, but whoever saw one could still use "+
		"its authorization (nonce %d of %s) until ledger %d. After that, if the nonce entry never existed, it has not happened",
		why, last.Nonce, last.Authorizer, last.AuthUntil)}
	if last.Signer == "" { // a user's, which ends soon: RelayPolicy.MaxLedgers
		return &outlived{held, last}
	}
	return held
}

// refused ends an operation whose call the contract refuses in simulation, and
// whose nonce does not exist: it releases the key, unless somebody could have
// seen the authorization in an earlier envelope. What is refused now may be
// admitted later, and then they could make it happen.
func (t *Trail) refused(r rejectedAt) error {
	if last := t.lastCall(); last != nil && last.guarded() {
		return exhausted(last, r.Error())
	}
	return r
}

// names the attempt in the record of its channel, which is what keeps the
// channel from being used again while the attempt may be applied.
func (a *Attempt) names(operation string) lastEnvelope {
	return lastEnvelope{Operation: operation, Hash: a.Hash, Sequence: a.Sequence, MaxLedger: a.MaxLedger, Ledger: a.Ledger}
}

// free is the sequence number that the next envelope takes.
func (v ledgerView) free() int64 { return v.seq + 1 }

// lifetime is the first ledger that a new envelope is not valid for. It must
// not outlive its authorization, which ends with ledger until; 0 is none.
func lifetime(freshest, window, until uint32) (maxLedger uint32, err error) {
	maxLedger = freshest + window
	if until != 0 && maxLedger-1 > until {
		return 0, errExhausted
	}
	return maxLedger, nil
}

// stands reports whether v, which shows no nonce entry, confirms that the
// refusal is not the echo of the operation's own success.
func (e rejectedAt) stands(v ledgerView) bool { return v.ledger >= e.ledger }
