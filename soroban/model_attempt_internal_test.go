package soroban

// chooses is Submitter.acquire: any channel, held or not; a lease may lapse
// at any time.
func (m *model) chooses(s *mState, p uint8, emit func(mState, string)) {
	pr := &s.procs[p]
	for _, c := range m.cfg.channels[pr.op] {
		if m.calm && !m.free(s, p, c) {
			continue
		}
		if !m.cfg.leases {
			next := *s
			next.procs[p].ch, next.channels[c].owner = c, p
			m.builds(&next, p, func(next mState, text string) {
				next.channels[c].owner = mNobody
				emit(next, text)
			})
			continue
		}
		valid := s.channels[c].owner == p
		if pr.held[c] {
			next := *s
			next.procs[p].at, next.procs[p].ch = atBuild, c
			emit(next, m.say("process %d uses channel %d, which it holds", p, c))
		}
		if !valid {
			next := *s
			next.channels[c].owner = p
			next.procs[p].at, next.procs[p].ch = atBuild, c
			next.procs[p].held[c], next.procs[p].cache[c] = true, s.channels[c].last
			emit(next, m.say("process %d claims channel %d (takes it from %s)", p, c, owner(s.channels[c].owner)))
		}
		if m.calm {
			return
		}
	}
}

// free reports whether taking a channel leads to anything, when all is calm.
func (m *model) free(s *mState, p, c uint8) bool {
	if o := s.channels[c].owner; o < mProcs && o != p {
		if other := &s.procs[o]; other.ch == c && (other.at == atBuild || other.at == atStore) {
			return false
		}
	}
	return m.by.usable(s.channels[c].last.against(m.view(s, c, m.nonce(s.procs[p].op), s.ledger)))
}

func (l mLast) against(v ledgerView) channelState {
	e := (&Attempt{Sequence: int64(l.seq), MaxLedger: uint32(l.max)}).names("op")
	return e.against(v)
}

// builds is Submitter.reserve, build and occupy: it proves the channel quiet
// by a view from any ledger, and names the new envelope in its record.
func (m *model) builds(s *mState, p uint8, emit func(mState, string)) {
	pr := &s.procs[p]
	c := pr.ch
	last, passed, refused := pr.cache[c], false, false
	if s.channels[c].owner == p {
		last = s.channels[c].last
	}
	for l := m.oldest(s); l <= s.ledger; l++ {
		v := m.view(s, c, m.nonce(pr.op), l)
		state := last.against(v)
		if state != channelQuiet && state != channelLive && s.channels[c].owner == p {
			m.violated("12: channel %d goes into quarantine (%d), and no database was restored", c, state)
		}
		switch {
		case !m.by.usable(state):
			if passed {
				continue
			}
			passed = true
			next := *s
			next.procs[p].at, next.procs[p].ch = atChoose, 0
			emit(next, m.say("process %d sees %s: channel %d is not quiet", p, words(v), c))
		case v.nonce:
			m.recovers(s, p, l, emit)
		default:
			m.drafts(s, p, v, emit)
			if !refused { // by the oldest view, or a newer one
				m.refuses(s, p, l, emit)
			}
			refused = true
		}
	}
}

// oldest is the ledger of the server that lags most.
func (m *model) oldest(s *mState) uint8 {
	if m.calm {
		return s.ledger
	}
	return 1
}

// drafts builds an envelope on a view; the freshest ledger that is known of
// may be that of the view, or newer.
func (m *model) drafts(s *mState, p uint8, v ledgerView, emit func(mState, string)) {
	pr := &s.procs[p]
	l := small(v.ledger)
	if l+m.cfg.lag < s.ledger {
		return
	}
	for fresh := l; fresh <= s.ledger; fresh = max(fresh+1, s.ledger) {
		var until uint32
		if m.cfg.guarded {
			until = uint32(m.cfg.until)
		}
		next := *s
		npr := &next.procs[p]
		maxLedger, err := lifetime(uint32(fresh), uint32(m.cfg.window), until)
		if err != nil {
			op := s.ops[pr.op]
			op.n = pr.n
			npr.giveUp(exhausted(m.trail(&op).lastCall(), ""))
			emit(next, m.say("process %d cannot build another envelope: %v", p, err))
			continue
		}
		npr.draft = mAttempt{env: mEnv{pr.op, pr.ch, small(v.free()), small(maxLedger)}, built: l}
		text := m.say("process %d sees %s, builds %v", p, words(v), npr.draft.env)
		if s.channels[pr.ch].owner != p && !m.by.unfenced {
			npr.at, npr.draft, npr.ch, npr.held[pr.ch], npr.cache[pr.ch] = atChoose, mAttempt{}, 0, false, mLast{}
			m.count("channel: fenced")
			emit(next, m.say("%s; the channel's record refuses it, fenced", text))
			continue
		}
		last := m.attempt(int(pr.n)+1, npr.draft).names("op")
		npr.at = atStore
		next.channels[pr.ch].last = mLast{small(last.Sequence), small(last.MaxLedger)}
		text = m.say("%s, and names it in the channel's record", text)
		emit(next, text)
		if m.by.sendsFirst {
			m.checkSend(&next, npr)
			m.arrive(&next, npr.draft.env)
			emit(next, m.say("%s; sends it", text))
		}
	}
}

// stores makes the attempt a checkpoint of its operation.
func (m *model) stores(s *mState, p uint8, emit func(mState, string)) {
	m.write(s, p, m.say("process %d stores attempt %d: %v", p, s.procs[p].n+1, s.procs[p].draft.env), func(next *mState, op *mOp) {
		pr := &next.procs[p]
		op.attempts[pr.n] = pr.draft
		pr.n++
		op.n = pr.n
		pr.at, pr.ch = atFollow, 0
		m.keep(pr, readingOf(begin(m.attempt(int(pr.n), pr.draft), true)))
	}, emit)
}

// follows is Submitter.follow and observe.
func (m *model) follows(s *mState, p uint8, emit func(mState, string)) {
	pr := &s.procs[p]
	switch pr.follow.act {
	case actSend:
		m.sends(s, p, m.resume(pr), "", emit)
	case actBump:
		m.bumps(s, p, emit)
	default:
		for _, f := range m.findings(m.quest(s, pr)) {
			seen := m.say("process %d sees %s", p, f.how)
			if f.act == actSend {
				m.sends(s, p, f.st, seen, emit)
				continue
			}
			m.concludes(s, p, f, seen, emit)
		}
	}
}

// sends offers the stored bytes. They arrive or not, and either way any answer
// may come, or none.
func (m *model) sends(s *mState, p uint8, st progress, seen string, emit func(mState, string)) {
	m.checkSend(s, &s.procs[p])
	for _, arrives := range []bool{true, false} {
		for k, word := range [...]string{
			sendNothing: "no answer, or one that says nothing", sendBadSeq: "txBAD_SEQ", sendRefused: "refused", sendUnderpriced: "underpriced",
		} {
			next := *s
			pr := &next.procs[p]
			if arrives {
				m.arrive(&next, pr.draft.env)
			}
			r := readingOf(m.by.next(st, observation{send: &sendAnswer{kind: sendKind(k)}}))
			text := m.say("%sprocess %d sends %v (arrives: %v): %s", seen, p, pr.draft.env, arrives, word)
			if r.act == actStop {
				m.concludes(&next, p, finding{reading: r}, text+"; ", emit)
				continue
			}
			m.keep(pr, r)
			emit(next, text)
			if m.calm {
				return
			}
		}
	}
}

// bumps is Submitter.bump.
func (m *model) bumps(s *mState, p uint8, emit func(mState, string)) {
	st := m.resume(&s.procs[p])
	m.write(s, p, m.say("process %d stores a fee bump", p), func(next *mState, op *mOp) {
		pr := &next.procs[p]
		m.count("fee bump")
		pr.draft.bumps++
		op.attempts[pr.n-1] = pr.draft
		offer := m.attempt(int(pr.n), pr.draft).bid()
		m.keep(pr, readingOf(m.by.next(st, observation{bumped: &offer})))
	}, emit)
	if m.calm {
		return
	}
	next := *s
	m.keep(&next.procs[p], readingOf(m.by.next(st, observation{})))
	emit(next, m.say("process %d cannot sign a fee bump", p))
}

// concludes stores what came of an attempt.
func (m *model) concludes(s *mState, p uint8, f finding, seen string, emit func(mState, string)) {
	end, proof := f.st.conclusion(KindCall)
	switch end {
	case concludeHeld:
		m.count("verdict: unknown")
		next := *s
		next.procs[p] = mProc{at: atEnd, end: mHeld, op: s.procs[p].op, n: s.procs[p].n, held: s.procs[p].held, cache: s.procs[p].cache}
		emit(next, m.say("%sverdict: nobody can say (%s)", seen, f.st.reason))
	case concludeSucceeded, concludeFailed:
		m.finishes(s, p, f, seen, emit)
	case concludeProven:
		m.write(s, p, m.say("%sprocess %d stores the proof: %s", seen, p, proof.Kind), func(next *mState, op *mOp) {
			pr := &next.procs[p]
			op.proofs[pr.n-1] = map[string]mProof{ProofExpired: mExpired, ProofSuperseded: mSuperseded}[proof.Kind]
			m.decide(next, p)
		}, emit)
	case concludeLapsed:
		m.write(s, p, m.say("%sprocess %d stores the proof: %s", seen, p, proof.Kind), func(next *mState, op *mOp) {
			m.count("proof: unused")
			op.lapsed = true
			m.decide(next, p)
		}, emit)
	}
}

// finishes is Submitter.finish.
func (m *model) finishes(s *mState, p uint8, f finding, seen string, emit func(mState, string)) {
	out := mOutcome{stored: true, success: f.st.tx.success, ledger: small(f.st.tx.ledger)}
	m.write(s, p, m.say("%sprocess %d stores the outcome: %v in ledger %d", seen, p, out.success, out.ledger), func(next *mState, op *mOp) {
		m.checkOutcome(next, next.procs[p].op, out)
		op.outcome = out
		m.decide(next, p)
	}, emit)
}

// lapses is Submitter.lapse: no envelope can be applied any more, and the
// authorization is watched to its end.
func (m *model) lapses(s *mState, p uint8, emit func(mState, string)) {
	nonce := m.nonce(s.procs[p].op)
	q := quest{lapse: true, nonceAt: m.nonceAt(s, nonce, min(s.ledger, m.cfg.until)), ledger: s.ledger, calm: m.calm}
	for _, f := range m.findings(q) {
		m.concludes(s, p, f, m.say("process %d sees %s", p, f.how), emit)
	}
}

// recovers is Submitter.recover: the nonce entry exists.
func (m *model) recovers(s *mState, p, ledger uint8, emit func(mState, string)) {
	pr := &s.procs[p]
	at := m.nonceAt(s, m.nonce(pr.op), ledger)
	for _, f := range m.findings(quest{nonceAt: at, recover: at, ledger: s.ledger, calm: m.calm}) {
		m.concludes(s, p, f, m.say("process %d sees a nonce entry of ledger %d; %s", p, at, f.how), emit)
	}
}

// refuses is Submitter.checkRejection: a simulation of a ledger that is not
// older than the view is refused, and the nonce is looked for.
func (m *model) refuses(s *mState, p, ledger uint8, emit func(mState, string)) {
	if !m.cfg.refusals || m.calm {
		return
	}
	pr := &s.procs[p]
	op := s.ops[pr.op]
	op.n = pr.n
	nonce, ended := m.nonce(pr.op), false
	for l := uint8(1); l <= s.ledger; l++ {
		v := m.view(s, pr.ch, nonce, l)
		if v.nonce {
			m.recovers(s, p, l, emit)
			continue
		}
		for at := ledger; at <= s.ledger; at++ {
			r := rejectedAt{&RejectedError{}, uint32(at)}
			if !m.by.stands(r, v) {
				continue
			}
			next := *s
			next.procs[p].giveUp(m.by.refused(m.trail(&op), r))
			if next.procs[p].end == mReleased && op.owner == p && m.nonceAt(s, nonce, at) != 0 {
				m.violated("1: the refusal of ledger %d is the echo of a success, and is taken for a failure", at)
			}
			if !ended { // they all end alike
				emit(next, m.say("process %d is refused in simulation", p))
			}
			ended = true
		}
	}
}
