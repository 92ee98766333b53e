package soroban

import "errors"

// mAttempt is an Attempt, as far as it is not the same in all of them.
type mAttempt struct {
	env   mEnv
	built uint8 // Attempt.Ledger
	bumps uint8 // how many fee bumps
}

// mOutcome is the stored outcome; zero when there is none.
type mOutcome struct {
	stored, success bool
	ledger          uint8
}

type mStatus uint8

const (
	mStarted mStatus = iota // or not claimed yet
	mCompleted
	mHeld
	mReleased
)

// mOp is the record of an operation, its checkpoints decoded.
type mOp struct {
	owner    uint8 // whose claim is good
	status   mStatus
	n        uint8 // attempts stored
	attempts [mAttempts]mAttempt
	proofs   [mAttempts]mProof
	outcome  mOutcome
	lapsed   bool // the proof is stored that the authorization was never used
}

type mProof uint8

const (
	mNoProof mProof = iota
	mExpired
	mSuperseded
)

// mChannel is the record of a channel.
type mChannel struct {
	owner uint8
	last  mLast
}

// mLast is a lastEnvelope, as far as it matters.
type mLast struct{ seq, max uint8 }

// point is where a process is. Between two points lies one write or one send,
// and whatever was read before it; it can crash at each.
type point uint8

const (
	atIdle   point = iota
	atChoose       // owns an operation; takes a channel next
	atBuild        // holds a channel; proves it quiet, builds, and names the envelope in its record next
	atStore        // stores the attempt next
	atFollow       // sends or looks, and stores what comes of it
	atLapse        // waits for the end of an authorization, and stores how it ended
	atEnd          // ends the record with status end
)

// mProc is what a process has in memory.
type mProc struct {
	at     point
	op     uint8
	n      uint8 // attempts that it knows of
	ch     uint8
	draft  mAttempt // the one it builds or follows
	follow mFollow
	end    mStatus
	// held are the channels whose record it believes to own, and what it
	// last knew of them, where that is not what the record says.
	held  [mChannels]bool
	cache [mChannels]mLast
}

// mFollow is the progress of an attempt after each send, when it is open and
// no search was made yet.
type mFollow struct {
	ledger, sentAt uint8
	sent, refused  bool
	act            action
}

func (m *model) attempt(number int, a mAttempt) *Attempt {
	out := &Attempt{
		Number: number, Hash: "ours", Sequence: int64(a.env.seq), MaxLedger: uint32(a.env.max), Ledger: uint32(a.built), Fee: mFee,
	}
	if m.cfg.guarded {
		out.AuthUntil = uint32(m.cfg.until)
		if !m.cfg.relayed {
			out.Signer = "ours"
		}
	}
	for range a.bumps {
		out.Bumps = append(out.Bumps, Bump{Fee: mOneBump})
	}
	return out
}

func (m *model) trail(op *mOp) *Trail {
	t := &Trail{Proofs: map[int]Proof{}}
	for i := range op.n {
		t.Attempts = append(t.Attempts, *m.attempt(int(i)+1, op.attempts[i]))
		if op.proofs[i] != mNoProof {
			t.Proofs[int(i)+1] = Proof{}
		}
	}
	if op.outcome.stored {
		t.Result = &Result{}
	}
	if op.lapsed {
		t.Lapsed = &Proof{}
	}
	return t
}

// decide is Submitter.drive: what an owner does next, by what is stored.
func (m *model) decide(s *mState, p uint8) {
	pr := &s.procs[p]
	op := &s.ops[pr.op]
	t := m.trail(op)
	if err := t.check(); err != nil {
		m.violated("4: %v", err)
	}
	pr.n, pr.ch, pr.draft, pr.follow, pr.end = op.n, 0, mAttempt{}, mFollow{}, mStarted
	switch t.todo(m.cfg.attempts) {
	case todoAnswer:
		pr.at, pr.end = atEnd, mCompleted
	case todoFollow:
		pr.at, pr.draft = atFollow, op.attempts[op.n-1]
		m.keep(pr, readingOf(begin(m.attempt(int(op.n), pr.draft), false)))
	case todoAttempt:
		pr.at = atChoose
	case todoGiveUp:
		pr.giveUp(exhausted(t.lastCall(), ""))
	case todoLapse:
		pr.at, pr.end = atEnd, mReleased
	}
}

// giveUp is what Submitter.drive and ending make of an operation that gets no
// further attempt.
func (pr *mProc) giveUp(why error) {
	if _, wait := errors.AsType[*outlived](why); wait {
		pr.at, pr.ch, pr.draft = atLapse, 0, mAttempt{}
		return
	}
	pr.at, pr.end = atEnd, mReleased
	if _, held := errors.AsType[*UnknownError](why); held {
		pr.end = mHeld
	}
}

// keep stores the state of an attempt with its process. Nothing of it may be
// lost that mFollow has no place for.
func (m *model) keep(pr *mProc, r reading) {
	if r.st.stage != stageOpen || r.st.misses != 0 || r.st.trimmed || r.st.lags != 0 {
		panic("the model has no place for this progress")
	}
	pr.follow = mFollow{small(r.st.ledger), small(r.st.sentAt), r.st.sent, r.st.refused, r.act}
	if r.act == actWait {
		pr.follow.act = actLook
	}
}

// resume is what keep stored.
func (m *model) resume(pr *mProc) progress {
	st, _ := begin(m.attempt(int(pr.n), pr.draft), false)
	f := pr.follow
	st.ledger, st.sentAt, st.sent, st.refused, st.maxFee = uint32(f.ledger), uint32(f.sentAt), f.sent, f.refused, m.cfg.maxFee
	if f.act == actBump {
		st.raise = st.bid.raised(0, st.maxFee)
	}
	return st
}

// steps lists what one process can do in a state.
func (m *model) steps(s *mState, p uint8, emit func(mState, string)) {
	switch pr := &s.procs[p]; pr.at {
	case atIdle:
		m.claims(s, p, emit)
	case atChoose:
		m.chooses(s, p, emit)
	case atBuild:
		m.builds(s, p, emit)
	case atStore:
		m.stores(s, p, emit)
	case atFollow:
		m.follows(s, p, emit)
	case atLapse:
		m.lapses(s, p, emit)
	case atEnd:
		m.ends(s, p, emit)
	}
}

// crashes ends a process; all that it had in memory is gone.
func (m *model) crashes(s *mState, p uint8, emit func(mState, string)) {
	if s.procs[p] == (mProc{}) {
		return
	}
	next := *s
	next.park(p)
	next.procs[p] = mProc{}
	for c := range next.channels {
		if next.channels[c].owner == p {
			next.channels[c].owner = mNobody
		}
	}
	emit(next, m.say("process %d crashes", p))
}

// park makes a process leave its operation to recovery.
func (s *mState) park(p uint8) {
	pr := &s.procs[p]
	if op := &s.ops[pr.op]; pr.at != atIdle && op.owner == p {
		op.owner = mNobody
	}
	*pr = mProc{held: pr.held, cache: pr.cache}
}

// claims takes an operation over, whoever owns it: a lease may lapse at any
// time.
func (m *model) claims(s *mState, p uint8, emit func(mState, string)) {
	for _, o := range m.cfg.mine[p] {
		if s.ops[o].status != mStarted || m.calm && s.ops[o].owner != mNobody {
			continue
		}
		next := *s
		next.ops[o].owner = p
		next.procs[p].op = o
		m.decide(&next, p)
		emit(next, m.say("process %d claims op %d (takes it from %s)", p, o, owner(s.ops[o].owner)))
	}
}

func owner(p uint8) string { return [...]string{"process 0", "process 1", "nobody"}[p] }

// write changes the record of the process's operation if its claim is good;
// a refused one leaves it to whoever took it.
func (m *model) write(s *mState, p uint8, text string, change func(*mState, *mOp), emit func(mState, string)) {
	next := *s
	op := &next.ops[next.procs[p].op]
	if op.status != mStarted || op.owner != p && !m.by.unfenced {
		next.park(p)
		m.count("fenced")
		emit(next, m.say("%s: refused, fenced", text))
		return
	}
	change(&next, op)
	emit(next, text)
}

// ends is the engine ending the record.
func (m *model) ends(s *mState, p uint8, emit func(mState, string)) {
	end := s.procs[p].end
	m.write(s, p, m.say("process %d ends op %d as %s", p, s.procs[p].op, [...]string{"", "completed", "held", "released"}[end]),
		func(next *mState, op *mOp) {
			m.checkEnd(next, next.procs[p].op, end)
			op.status = end
			next.park(p)
			op.owner = mNobody
		}, emit)
}
