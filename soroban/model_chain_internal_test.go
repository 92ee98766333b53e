package soroban

import (
	"fmt"
	"math"
)

// mEnv is an envelope as the chain knows it: which operation's call, on which
// channel, under which sequence number, and the first ledger it is too late
// for. Envelopes that agree in all that are the same bytes.
type mEnv struct{ op, channel, seq, max uint8 }

func (e mEnv) String() string {
	return fmt.Sprintf("envelope(op %d, channel %d, sequence %d, max ledger %d)", e.op, e.channel, e.seq, e.max)
}

// mApplied is what consumed a sequence number; zero when nothing has.
type mApplied struct {
	env     mEnv
	ledger  uint8
	success bool
}

// small is a number of the model's, which has none above 255.
func small[T int64 | uint32](n T) uint8 {
	if n < 0 || n > math.MaxUint8 {
		panic("a number outgrows the model")
	}
	return uint8(n)
}

// mState is one state. It is compared and hashed as a whole.
type mState struct {
	ledger uint8 // that has closed last
	over   bool  // the outage that ends the model has been
	// applied by channel and sequence number - 1.
	applied [mChannels][mSeqs]mApplied
	// stolen is the ledger in which another's transaction used the
	// authorization of a key; shown, that it was sent.
	stolen, shown [mOps]uint8
	// pending may be applied by some node; nothing makes a node forget it, and
	// nothing makes it try. Sorted, the zero value last.
	pending [mSeqs + mProcs]mEnv

	ops      [mOps]mOp
	channels [mChannels]mChannel
	procs    [mProcs]mProc
}

// seq is the account's sequence number as of a ledger, and the ledger in which
// it took that value.
func (s *mState) seq(channel, ledger uint8) (seq, since uint8) {
	for _, a := range s.applied[channel] {
		if a.ledger == 0 || a.ledger > ledger {
			break
		}
		seq, since = seq+1, a.ledger
	}
	return seq, since
}

// live reports whether an envelope that was sent, or will be, can be applied.
func (s *mState) live(e mEnv) bool {
	seq, _ := s.seq(e.channel, s.ledger)
	return e.max > s.ledger+1 && seq < e.seq
}

// success is the transaction of ours that succeeded with the nonce of a key.
func (m *model) success(s *mState, nonce uint8) (mApplied, bool) {
	for c := range s.applied {
		for _, a := range s.applied[c] {
			if a.success && m.nonce(a.env.op) == nonce {
				return a, true
			}
		}
	}
	return mApplied{}, false
}

// nonce names the nonce of an operation's authorization.
func (m *model) nonce(op uint8) uint8 {
	if m.by.drawsNonces {
		return op
	}
	return m.cfg.key[op]
}

// nonceAt is the ledger that wrote the nonce entry, 0 if none has by ledger,
// or if the entry has ended by then.
func (m *model) nonceAt(s *mState, nonce, ledger uint8) uint8 {
	if !m.cfg.guarded || ledger > m.cfg.until {
		return 0
	}
	at := s.stolen[nonce]
	if a, ok := m.success(s, nonce); ok {
		at = a.ledger
	}
	if at > ledger {
		return 0
	}
	return at
}

// view is what a server at the given ledger says.
func (m *model) view(s *mState, channel, nonce, ledger uint8) ledgerView {
	seq, since := s.seq(channel, ledger)
	at := m.nonceAt(s, nonce, ledger)
	return ledgerView{
		ledger: uint32(ledger), account: true, seq: int64(seq), seqLedger: uint32(since),
		nonce: at != 0, nonceLedger: uint32(at),
	}
}

// arrive puts an envelope into some node's queue.
func (m *model) arrive(s *mState, e mEnv) {
	if m.cfg.thief {
		s.shown[m.cfg.key[e.op]] = 1
	}
	if s.live(e) {
		s.insert(e)
	}
}

func (s *mState) insert(e mEnv) {
	for i, have := range s.pending {
		if have == e {
			return
		}
		if have == (mEnv{}) || less(e, have) {
			if s.pending[len(s.pending)-1] != (mEnv{}) {
				break
			}
			copy(s.pending[i+1:], s.pending[i:])
			s.pending[i] = e
			return
		}
	}
	panic("the model's queue is too short")
}

func less(a, b mEnv) bool {
	rank := func(e mEnv) uint32 {
		return uint32(e.channel)<<24 | uint32(e.seq)<<16 | uint32(e.op)<<8 | uint32(e.max)
	}
	return rank(a) < rank(b)
}

// forget drops what can never be applied.
func (s *mState) forget() {
	kept := s.pending[:0]
	for _, e := range s.pending {
		if e != (mEnv{}) && s.live(e) {
			kept = append(kept, e)
		}
	}
	clear(s.pending[len(kept):])
}

// closings closes the next ledger in every way: for each channel any of the
// envelopes that are valid, or none; each succeeds or fails, but for what the
// nonce decides; and a thief before or after them.
func (m *model) closings(s *mState, emit func(mState, string)) {
	if s.over && !m.calm {
		return
	}
	next := *s
	next.ledger++
	m.include(&next, 0, m.say("ledger %d closes", next.ledger), emit)
}

// include decides about the channels from one on.
func (m *model) include(s *mState, channel uint8, text string, emit func(mState, string)) {
	if channel == mChannels {
		m.steal(s, text, emit)
		return
	}
	if !m.calm {
		m.include(s, channel+1, text, emit)
	}
	seq, _ := s.seq(channel, s.ledger)
	for _, e := range s.pending {
		if e.max <= s.ledger || e.channel != channel || e.seq != seq+1 {
			continue
		}
		for _, success := range []bool{true, false} {
			if success && m.cfg.guarded && m.used(s, m.nonce(e.op)) {
				continue // Auth/ExistingValue
			}
			next := *s
			next.applied[channel][seq] = mApplied{e, s.ledger, success}
			how := "applied, and fails"
			if success {
				how = "applied, SUCCESS"
			}
			m.include(&next, channel+1, m.say("%s; %v %s", text, e, how), emit)
			if m.calm {
				return
			}
		}
	}
	if m.calm {
		m.include(s, channel+1, text, emit)
	}
}

// used reports that no transaction can use a nonce again.
func (m *model) used(s *mState, nonce uint8) bool {
	return s.ledger > m.cfg.until || m.nonceAt(s, nonce, s.ledger) != 0
}

func (m *model) steal(s *mState, text string, emit func(mState, string)) {
	m.closed(*s, text, emit)
	if !m.cfg.thief || m.calm || s.stolen[0] != 0 || s.shown[0] == 0 || m.used(s, 0) {
		return
	}
	next := *s
	next.stolen[0] = s.ledger
	m.closed(next, m.say("%s; another's transaction uses the authorization", text), emit)
}

// closed ends the closing of a ledger, the last of them with an outage.
func (m *model) closed(s mState, text string, emit func(mState, string)) {
	if s.ledger > m.cfg.ledgers && !m.calm {
		s.ledger, s.over = s.ledger+mOutage-1, true
		text = m.say("%s, and %d more", text, mOutage-1)
	}
	s.forget()
	emit(s, text)
}
