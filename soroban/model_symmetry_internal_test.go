package soroban

import (
	"hash/maphash"
	"math"
)

// Processes, channels and operations have names that mean nothing: where a
// setup treats two of them alike, states that differ in their names alone are
// one.

func both(f, g func(mState) mState) func(mState) mState {
	return func(s mState) mState { return g(f(s)) }
}

func swapProcs(s mState) mState {
	s.procs[0], s.procs[1] = s.procs[1], s.procs[0]
	for i := range s.ops {
		s.ops[i].owner = otherProc(s.ops[i].owner)
	}
	for i := range s.channels {
		s.channels[i].owner = otherProc(s.channels[i].owner)
	}
	return s
}

func otherProc(p uint8) uint8 {
	if p == mNobody {
		return p
	}
	return 1 - p
}

func swapChannels(s mState) mState {
	s.channels[0], s.channels[1] = s.channels[1], s.channels[0]
	s.applied[0], s.applied[1] = s.applied[1], s.applied[0]
	for i := range s.procs {
		pr := &s.procs[i]
		pr.held[0], pr.held[1] = pr.held[1], pr.held[0]
		pr.cache[0], pr.cache[1] = pr.cache[1], pr.cache[0]
		if pr.at == atBuild || pr.at == atStore {
			pr.ch = 1 - pr.ch
		}
	}
	s.renamed(0, 1)
	return s
}

func swapOps(s mState) mState {
	s.ops[0], s.ops[1] = s.ops[1], s.ops[0]
	s.stolen[0], s.stolen[1] = s.stolen[1], s.stolen[0]
	s.shown[0], s.shown[1] = s.shown[1], s.shown[0]
	for i := range s.procs {
		if s.procs[i].at != atIdle {
			s.procs[i].op = 1 - s.procs[i].op
		}
	}
	s.renamed(1, 0)
	return s
}

// renamed changes the names in every envelope that there is.
func (s *mState) renamed(op, channel uint8) {
	for c := range s.applied {
		for i := range s.applied[c] {
			s.applied[c][i].env.rename(op, channel)
		}
	}
	for i := range s.ops {
		for j := range s.ops[i].attempts {
			s.ops[i].attempts[j].env.rename(op, channel)
		}
	}
	for i := range s.procs {
		s.procs[i].draft.env.rename(op, channel)
	}
	pending := s.pending
	s.pending = [len(pending)]mEnv{}
	for _, e := range pending {
		if e == (mEnv{}) {
			break
		}
		e.rename(op, channel)
		s.insert(e)
	}
}

// rename swaps the names of operations, or of channels, or both, or neither.
func (e *mEnv) rename(op, channel uint8) {
	if *e != (mEnv{}) {
		e.op, e.channel = e.op^op, e.channel^channel
	}
}

// hash names a state, whatever its processes and channels are called. Two
// states that share a hash would hide one of them; at a million states the
// odds are one in ten million.
func (m *model) hash(s *mState) uint64 {
	n := *s
	n.simplify()
	all, size := [8]mState{n}, 1
	for _, swap := range m.cfg.same {
		for i := range size {
			all[size+i] = swap(all[i])
		}
		size *= 2
	}
	h := uint64(math.MaxUint64)
	for i := range size {
		h = min(h, maphash.Comparable(m.seed, all[i]))
	}
	return h
}

// simplify drops what cannot matter any more.
func (s *mState) simplify() {
	for p := range s.procs {
		pr := &s.procs[p]
		if pr.at == atFollow {
			e := pr.draft.env
			pr.draft.built = 0
			pr.follow.shorten(e, s.ledger, s.applied[e.channel][e.seq-1].ledger != 0)
		}
		for c := range pr.held {
			if !pr.held[c] || int(s.channels[c].owner) == p {
				pr.cache[c] = mLast{}
			}
		}
	}
	for c := range uint8(mChannels) {
		// What was consumed was consumed before its end.
		if seq, _ := s.seq(c, s.ledger); s.channels[c].last.seq <= seq {
			s.channels[c].last.max = 0
		}
	}
	for o := range s.ops {
		op := &s.ops[o]
		for i := range op.n {
			a := &op.attempts[i]
			if op.status != mStarted || op.proofs[i] != mNoProof {
				*a = mAttempt{} // it is proven, and check has seen that
			} else if !s.live(a.env) {
				a.built = 0
			} else if s.ledger > resendAfter {
				a.built = max(a.built, s.ledger-resendAfter)
			}
		}
	}
}
