package soroban

// reading is a progress between two answers, and what to ask next.
type reading struct {
	st  progress
	act action
}

func readingOf(st progress, act action) reading { return reading{st, act} }

// finding is where reading leads: to a send, or to a verdict.
type finding struct {
	reading
	how string // the answers on the way, when a trace is told
}

// quest is all that the answers about one attempt can depend on. Many states
// share it.
type quest struct {
	draft  mAttempt
	follow mFollow
	ledger uint8
	// used is the ledger that consumed the sequence number, and passed the
	// one that consumed the next; 0 is none. by is whose transaction it was,
	// success how it ended.
	used, passed uint8
	ours         bool
	success      bool
	nonceAt      uint8
	nonceOurs    bool
	// recover is the ledger of the nonce entry that recovery starts from.
	recover uint8
	// lapse: it is the authorization alone that is watched.
	lapse bool
	calm  bool
}

func (m *model) quest(s *mState, pr *mProc) quest {
	q := quest{draft: pr.draft, follow: pr.follow, ledger: s.ledger, calm: m.calm}
	q.draft.env.op, q.draft.env.channel, q.draft.built = 0, 0, 0
	e := pr.draft.env
	if a := s.applied[e.channel][e.seq-1]; a.ledger != 0 {
		q.used, q.ours, q.success = a.ledger, a.env == e, a.success
		if e.seq < mSeqs {
			q.passed = s.applied[e.channel][e.seq].ledger
		}
	}
	nonce := m.nonce(pr.op)
	q.nonceAt = m.nonceAt(s, nonce, min(s.ledger, m.cfg.until))
	if a, ok := m.success(s, nonce); ok {
		q.nonceOurs = a.env == e
	}
	return q
}

// findings follows every order of answers, as the process would, until it
// sends or has a verdict.
func (m *model) findings(q quest) []finding {
	if out, ok := m.known[q]; ok {
		return out
	}
	var out []finding
	told, seen := map[reading]bool{}, map[reading]bool{}
	tell := func(f finding) {
		if k := m.key(q, f.reading); !told[k] {
			told[k] = true
			out = append(out, f)
		}
	}
	queue := []finding{{reading: m.start(q)}}
	for len(queue) > 0 {
		f := queue[0]
		queue = queue[1:]
		switch f.act {
		case actSend, actStop:
			tell(f)
			continue
		case actWait:
			f.act = actLook
		default:
		}
		k := m.key(q, f.reading)
		if seen[k] {
			continue
		}
		seen[k] = true
		m.answers(q, f.reading, func(obs observation) { queue = append(queue, m.step(f, obs)) })
		if f.st.misses == 0 && f.act == actFind || f.act == actScanNonce {
			m.inVain(q, f, tell)
		}
	}
	m.known[q] = out
	return out
}

func (m *model) step(f finding, obs observation) finding {
	how := ""
	if m.tracing {
		how = f.how + described(obs) + "; "
	}
	return finding{readingOf(m.by.next(f.st, obs)), how}
}

// inVain searches, and looks, and searches, until patience ends: the orders of
// answers that findings does not follow, because they are long.
func (m *model) inVain(q quest, from finding, tell func(finding)) {
	for _, trimmed := range []bool{false, true} {
		f, l := from, from.st.ledger
		for f.act != actStop && f.act != actSend {
			if f.act == actWait || f.act == actLook {
				l = min(l+1, uint32(q.ledger))
				v := m.viewed(q, small(l))
				f = m.step(f, observation{view: &v})
				continue
			}
			f = m.step(f, observation{search: &searchAnswer{latest: uint32(q.ledger), trimmed: trimmed}})
			if f.st.misses > 2*(patienceMisses+patienceLedgers) {
				return // the outage was not long enough
			}
		}
		tell(f)
	}
}

func (m *model) start(q quest) reading {
	if q.recover != 0 {
		return readingOf(recovering(uint32(q.recover)))
	}
	if q.lapse {
		return readingOf(awaiting(&Attempt{AuthUntil: uint32(m.cfg.until)}))
	}
	return reading{m.resume(&mProc{draft: q.draft, follow: q.follow}), actLook}
}

// answers lists what a server may say. With calm it is up to date.
func (m *model) answers(q quest, r reading, tell func(observation)) {
	search := func(tx *foundTx) {
		if tx != nil {
			tell(observation{search: &searchAnswer{tx: tx, latest: uint32(q.ledger)}})
		}
		if tx == nil || !q.calm {
			tell(observation{search: &searchAnswer{latest: uint32(q.ledger)}}) // also when it was looked up a moment too early
		}
		if !q.calm {
			tell(observation{search: &searchAnswer{}}) // by a server that is behind
			tell(observation{search: &searchAnswer{latest: uint32(q.ledger), trimmed: true}})
		}
	}
	switch r.act {
	case actLook:
		l := uint8(1) // the oldest first, which leaves inVain most time
		if q.calm {
			l = q.ledger
		}
		for ; l <= q.ledger; l++ {
			v := m.viewed(q, l)
			tell(observation{view: &v})
		}
	case actFind:
		search(m.consumer(q, q.ours))
	case actScanSeq:
		search(m.consumer(q, true))
	case actScanNonce:
		search(m.nonceUser(q))
	case actSend, actBump, actWait, actStop:
	}
	if !q.calm {
		tell(observation{}) // it does not answer
	}
}

func (m *model) viewed(q quest, l uint8) ledgerView {
	v := ledgerView{ledger: uint32(l), account: true, seq: int64(q.draft.env.seq) - 1}
	switch {
	case q.passed != 0 && l >= q.passed:
		v.seq, v.seqLedger = v.seq+2, uint32(q.passed)
	case q.used != 0 && l >= q.used:
		v.seq, v.seqLedger = v.seq+1, uint32(q.used)
	}
	if q.nonceAt != 0 && l >= q.nonceAt && l <= m.cfg.until {
		v.nonce, v.nonceLedger = true, uint32(q.nonceAt)
	}
	return v
}

// consumer is the transaction that consumed the sequence number.
func (m *model) consumer(q quest, visible bool) *foundTx {
	if q.used == 0 || !visible {
		return nil
	}
	return m.tx(foundTx{hash: whose(q.ours), ledger: uint32(q.used), success: q.success, ours: q.ours})
}

func (m *model) nonceUser(q quest) *foundTx {
	if q.nonceAt == 0 {
		return nil
	}
	return m.tx(foundTx{hash: whose(q.nonceOurs), ledger: uint32(q.nonceAt), success: true, ours: q.nonceOurs})
}

func whose(ours bool) string {
	if ours {
		return "ours"
	}
	return "other"
}

// tx gives equal transactions one address, so that states that hold them are
// equal.
func (m *model) tx(f foundTx) *foundTx {
	k := txKey{f.hash, f.ledger, f.success}
	if m.txs[k] == nil {
		m.txs[k] = &f
	}
	return m.txs[k]
}

type txKey struct {
	hash    string
	ledger  uint32
	success bool
}

// key drops from a reading what cannot matter any more.
func (m *model) key(q quest, r reading) reading {
	st := &r.st
	v := st.view
	st.view, st.laggedAt, st.reason = ledgerView{}, 0, ""
	if v.ledger > uint32(m.cfg.until) {
		st.view.ledger = 1 // it is too late to prove something
	}
	if st.stage == stageDone {
		st.tx = m.sameTx(st.tx)
		return reading{progress{stage: st.stage, verdict: st.verdict, tx: st.tx}, r.act}
	}
	// How patience ends is for inVain to find out.
	st.missedAt = 0
	if st.misses > 0 {
		st.misses = (st.misses-1)%scanAfter + 1
	}
	if st.stage != stageOpen {
		st.ledger, st.sent, st.sentAt, st.refused = 0, false, 0, false
		return r
	}
	f := mFollow{small(st.ledger), small(st.sentAt), st.sent, st.refused, r.act}
	f.shorten(q.draft.env, q.ledger, q.used != 0)
	st.ledger, st.sentAt, st.sent, st.refused = uint32(f.ledger), uint32(f.sentAt), f.sent, f.refused
	return r
}

func (m *model) sameTx(tx *foundTx) *foundTx {
	if tx == nil {
		return nil
	}
	return m.tx(foundTx{hash: tx.hash, ledger: tx.ledger, success: tx.success, ours: tx.ours})
}

// shorten drops from the state of an open attempt what cannot matter any more:
// when it was last sent, if it is time to send again, and all of it if sending
// is over.
func (f *mFollow) shorten(e mEnv, ledger uint8, used bool) {
	floor := uint8(0)
	if ledger > resendAfter {
		floor = ledger - resendAfter
	}
	f.ledger, f.sentAt = max(f.ledger, floor), max(f.sentAt, floor)
	if !f.sent {
		f.sentAt = 0
	}
	if f.act == actSend || f.act == actBump {
		return
	}
	if f.refused || used || e.max <= ledger+1 || f.sent && f.sentAt+resendAfter >= e.max-1 {
		*f = mFollow{refused: true, act: f.act}
	}
}
