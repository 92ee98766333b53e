package soroban

import "fmt"

// violated notes the first violation of a step; the text begins with the
// number of the invariant.
func (m *model) violated(format string, args ...any) {
	if m.bad == "" && !m.calm {
		m.bad = "invariant " + fmt.Sprintf(format, args...)
	}
}

// count notes what was met on the way.
func (m *model) count(what string) {
	if !m.calm {
		m.met[what]++
	}
}

// check holds the invariants against one state.
func (m *model) check(s *mState) {
	for o := range uint8(m.cfg.ops) { //nolint:gosec // small
		m.checkKey(s, o)
		m.checkProofs(s, o)
		m.checkEnding(s, o)
	}
	m.checkLive(s)
}

// ours lists what of an operation was applied.
func (s *mState) ours(op uint8) (failed, success []mApplied) {
	for c := range s.applied {
		for _, a := range s.applied[c] {
			switch {
			case a.ledger == 0 || a.env.op != op:
			case a.success:
				success = append(success, a)
			default:
				failed = append(failed, a)
			}
		}
	}
	return failed, success
}

// 1. At most one success per key, in all databases, a thief's included.
func (m *model) checkKey(s *mState, op uint8) {
	n := 0
	for o := range uint8(m.cfg.ops) { //nolint:gosec // small
		if m.cfg.key[o] == m.cfg.key[op] {
			_, success := s.ours(o)
			n += len(success)
		}
	}
	if s.stolen[m.cfg.key[op]] != 0 {
		n++
	}
	if n > 1 {
		m.violated("1: key %d has succeeded %d times", m.cfg.key[op], n)
	}
}

// 3 and 8. What was sent or stored, and can still be applied, is one envelope
// for each operation and one on each channel.
func (m *model) checkLive(s *mState) {
	var byOp [mOps]mEnv
	var byChannel [mChannels]mEnv
	see := func(e mEnv) {
		if e == (mEnv{}) || !s.live(e) {
			return
		}
		if other := byOp[e.op]; other != (mEnv{}) && other != e {
			m.violated("3: %v and %v may both be applied", other, e)
		}
		if other := byChannel[e.channel]; other != (mEnv{}) && other != e {
			m.violated("8: %v is on a channel on which %v may be applied", e, other)
		}
		byOp[e.op], byChannel[e.channel] = e, e
	}
	for _, e := range s.pending {
		see(e)
	}
	for o := range s.ops {
		if op := &s.ops[o]; op.status == mStarted {
			for i := range op.n {
				see(op.attempts[i].env)
			}
		}
	}
}

// 4 and 9. All attempts but the last are proven, and what a proof says is true
// of the chain for ever.
func (m *model) checkProofs(s *mState, o uint8) {
	op := &s.ops[o]
	for i := range op.n {
		e := op.attempts[i].env
		consumed := s.applied[e.channel][e.seq-1]
		switch op.proofs[i] {
		case mNoProof:
			if i+1 < op.n {
				m.violated("4: attempt %d is stored, and attempt %d is not proven", i+2, i+1)
			}
		case mExpired:
			if s.live(e) || consumed.ledger != 0 && consumed.env == e {
				m.violated("9: %v is taken for expired", e)
			}
			m.count("proof: expired")
		case mSuperseded:
			if consumed.ledger == 0 || consumed.env == e {
				m.violated("4: %v is taken for superseded", e)
			}
			m.count("proof: superseded")
		}
	}
}

// 5 and 6, once an operation has ended: whatever the chain does later, the end
// agrees with it.
func (m *model) checkEnding(s *mState, o uint8) {
	op := &s.ops[o]
	if op.status == mStarted {
		return
	}
	m.count([...]string{"", "completed", "held", "released"}[op.status])
	if op.outcome.stored != (op.status == mCompleted) {
		m.violated("6: op %d has ended as %d, with the outcome %v", o, op.status, op.outcome)
	}
	if _, success := s.ours(o); len(success) > 0 && (op.status == mReleased || op.outcome.stored && !op.outcome.success) {
		m.violated("5: %v has succeeded, and op %d has ended without success", success[0].env, o)
	}
	if at := s.stolen[m.cfg.key[o]]; at != 0 && op.status == mReleased {
		m.violated("5: op %d has ended as if nothing could happen any more, and another's transaction used its authorization in ledger %d", o, at)
	}
}

// 2. No bytes are sent that are not stored.
func (m *model) checkSend(s *mState, pr *mProc) {
	op := &s.ops[pr.op]
	for i := range op.n {
		if a := op.attempts[i]; a.env == pr.draft.env && a.bumps >= pr.draft.bumps {
			return
		}
	}
	m.violated("2: %v is sent, and is not stored", pr.draft.env)
}

// 5. An outcome is what the chain says: SUCCEEDED if and only if a transaction
// with this key's authorization succeeded.
func (m *model) checkOutcome(s *mState, o uint8, out mOutcome) {
	if had := s.ops[o].outcome; had.stored && had != out {
		m.violated("6: outcome %v of op %d becomes %v", had, o, out)
	}
	failed, success := s.ours(o)
	done := s.stolen[m.cfg.key[o]]
	if a, ok := m.success(s, m.nonce(o)); ok && m.cfg.guarded {
		done = a.ledger
	}
	if !m.cfg.guarded && len(success) > 0 {
		done = success[0].ledger
	}
	if out.success {
		m.count("outcome: succeeded")
		if done == 0 || done != out.ledger {
			m.violated("5: op %d is reported as succeeded in ledger %d; the chain says ledger %d (0 is never)", o, out.ledger, done)
		}
		return
	}
	m.count("outcome: failed")
	for _, a := range failed {
		if a.ledger == out.ledger && (done == 0 || done > out.ledger && m.shared()) {
			return
		}
	}
	m.violated("5: op %d is reported as failed in ledger %d; the chain says success in ledger %d (0 is never) and %v",
		o, out.ledger, done, failed)
}

// settles holds the promise that nothing is stuck: from every state on, once
// the faults end, every operation ends. It follows one run, in which servers
// are up to date, what is sent arrives and is included, and nobody crashes or
// loses a lease, up to a state from which that is known.
func (m *model) settles(s mState, h uint64) {
	var way []uint64
	m.calm = true
	for len(way) < mCalm {
		if _, known := m.settled[h]; known || m.done(&s) {
			break
		}
		way = append(way, h)
		m.calmStep(&s)
		h = m.hash(&s)
	}
	m.calm = false
	if len(way) == mCalm {
		m.violated("7: an operation does not end when the faults do: %+v", s.ops)
	}
	for _, h := range way {
		m.settled[h] = struct{}{}
	}
}

// mCalm is more than any run takes.
const mCalm = 100

// calmStep makes the first step that a process can make, or else closes a
// ledger.
func (m *model) calmStep(s *mState) {
	var next mState
	found := false
	first := func(n mState, _ string) {
		if !found {
			next, found = n, true
		}
	}
	for p := range uint8(mProcs) {
		if !found {
			m.steps(s, p, first)
		}
	}
	if !found {
		m.closings(s, first)
	}
	*s = next
}

// shared reports that others than the operation itself can make its key
// succeed, also after it has failed.
func (m *model) shared() bool { return m.cfg.thief || m.cfg.ops > 1 && m.cfg.key[0] == m.cfg.key[1] }

// checkEnd holds the end of a record against what its owner knows.
func (m *model) checkEnd(s *mState, o uint8, end mStatus) {
	if op := &s.ops[o]; op.status != mStarted {
		m.violated("6: op %d ends twice", o)
	} else if end == mReleased && op.n > 0 && op.proofs[op.n-1] == mNoProof {
		m.violated("4: op %d is released, and attempt %d is not proven", o, op.n)
	}
}
