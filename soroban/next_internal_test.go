package soroban

import "testing"

// truth is what really happens to one envelope (sequence 10, valid below
// ledger 7, built as of ledger 3) in one history of the chain.
type truth struct {
	usedAt  uint32 // ledger that consumes the sequence; 0 is never
	by      string // "success", "failure" or "other", if it is consumed
	stolen  uint32 // ledger in which another transaction uses the nonce; 0 is never
	guarded bool
	// What searches find.
	mine, other, thief *foundTx
}

const (
	testSeq   = 10
	testBuilt = 3
	testMax   = 7
	testUntil = 40
)

// histories lists every way that the chain's rules allow.
func histories() []truth {
	var out []truth
	for _, guarded := range []bool{false, true} {
		for _, used := range []uint32{0, testBuilt + 1, testMax - 1} {
			for _, by := range []string{"success", "failure", "other"} {
				if used == 0 && by != "other" {
					continue // never consumed is one case
				}
				for _, stolen := range []uint32{0, testBuilt + 1, testMax - 1, testMax + 1} {
					if stolen != 0 && (!guarded || by == "success") {
						continue // the nonce admits one success
					}
					out = append(out, truth{
						usedAt: used, by: by, stolen: stolen, guarded: guarded,
						mine:  &foundTx{hash: "ours", ours: true, ledger: used, success: by == "success"},
						other: &foundTx{hash: "other", ledger: used},
						thief: &foundTx{hash: "thief", ledger: stolen, success: true},
					})
				}
			}
		}
	}
	return out
}

// view is what a server that is at ledger l answers.
func (h truth) view(l uint32) *ledgerView {
	v := &ledgerView{ledger: l, account: true, seq: testSeq - 1, seqLedger: 1}
	if h.usedAt != 0 && l >= h.usedAt {
		v.seq, v.seqLedger = testSeq, h.usedAt
	}
	if h.guarded {
		switch {
		case h.stolen != 0 && l >= h.stolen:
			v.nonce, v.nonceLedger = true, h.stolen
		case h.by == "success" && h.usedAt != 0 && l >= h.usedAt:
			v.nonce, v.nonceLedger = true, h.usedAt
		}
	}
	return v
}

// search is what a search finds in ledgers up to l.
func (h truth) search(act action, st *progress, l uint32) *searchAnswer {
	return &searchAnswer{latest: l, tx: h.find(act, st, l)}
}

func (h truth) find(act action, st *progress, l uint32) *foundTx {
	used := h.usedAt != 0 && l >= h.usedAt
	switch {
	case act == actFind && used && h.by != "other":
		return h.mine
	case act == actScanSeq && used && h.by == "other":
		return h.other
	case act == actScanSeq && used:
		return h.mine
	case act == actScanNonce && l >= st.nonceAt && h.stolen != 0 && st.nonceAt == h.stolen:
		return h.thief
	case act == actScanNonce && l >= st.nonceAt && st.nonceAt == h.usedAt:
		return h.mine
	}
	return nil
}

// node of the exploration: a state, what is to be done, and the real ledger.
type node struct {
	st     progress
	act    action
	ledger uint32
}

// key identifies a node; when the first search was in vain only decides how
// long it takes to give up.
func (n node) key() node {
	n.st.missedAt, n.st.laggedAt = 0, min(n.st.laggedAt, 1)
	return n
}

const (
	testLag    = 2  // ledgers a server may be behind
	testEnd    = 11 // the real ledger stops there
	testMisses = 4  // fruitless searches that are followed further
	testFee    = 100
	testMaxFee = 2_500 // room for a bump of twenty times and a last, smaller one
)

// outcomes lists every observation the world may answer with, a failed call
// and every answer of a server that lags included.
func (h truth) observations(n node) []observation {
	out := []observation{{}}
	oldest := n.ledger - testLag
	for l := oldest; l <= n.ledger; l++ {
		switch n.act {
		case actLook:
			out = append(out, observation{view: h.view(l)})
		case actFind, actScanSeq, actScanNonce:
			out = append(out, observation{search: h.search(n.act, &n.st, l)})
		case actSend, actBump, actWait, actStop:
		}
	}
	switch n.act {
	case actSend:
		for _, k := range []sendKind{sendNothing, sendBadSeq, sendRefused, sendUnderpriced} {
			out = append(out, observation{send: &sendAnswer{kind: k}})
		}
	case actBump:
		out = append(out, observation{bumped: &bid{fee: n.st.raise, ops: bumpOps}})
	default:
	}
	return out
}

// check holds a verdict against the truth as of the real ledger.
func (h truth) check(t *testing.T, n node) {
	t.Helper()
	ours := h.usedAt != 0 && h.by == "success"
	bad := func(invariant string) {
		t.Errorf("%s: history %+v, state %+v, ledger %d", invariant, h, n.st, n.ledger)
	}
	switch n.st.verdict {
	case succeeded:
		if !ours && h.stolen == 0 {
			bad("invariant 5: succeeded without a success on the chain")
		}
		if n.st.tx.hash == "ours" && !ours || n.st.tx.hash == "thief" && h.stolen == 0 {
			bad("invariant 5: succeeded by the wrong transaction")
		}
	case failed:
		if h.usedAt == 0 || h.by != "failure" {
			bad("invariant 5: failed without a failure on the chain")
		}
		if h.stolen != 0 && h.stolen <= h.usedAt {
			bad("invariant 5: failed although another transaction had succeeded")
		}
	case expired:
		if h.usedAt != 0 {
			bad("invariant 9: expired, but its sequence is consumed in the history")
		}
	case superseded:
		if h.usedAt == 0 || h.by != "other" {
			bad("invariant 4: superseded by nothing")
		}
		if n.st.nonceAt != 0 {
			bad("invariant 4: superseded although the nonce was seen")
		}
	case unused, unknown, undecided: // an authorization is watched apart: lapse_internal_test.go
	}
	if (n.st.verdict == expired || n.st.verdict == superseded) && ours {
		bad("invariant 1: a new attempt is allowed after a success")
	}
}

// Every order of observations in every history: no verdict contradicts the
// chain, a verdict never changes, and nothing is sent once sending is pointless.
func TestNextExhaustively(t *testing.T) {
	t.Parallel()
	nodes := 0
	verdicts := map[verdict]bool{}
	for _, h := range histories() {
		for _, fresh := range []bool{true, false} {
			nodes += explore(t, h, fresh, verdicts)
			if t.Failed() {
				return
			}
		}
	}
	t.Logf("%d histories, %d states", len(histories()), nodes)
	for _, v := range []verdict{succeeded, failed, expired, superseded} {
		if !verdicts[v] {
			t.Errorf("no history came to verdict %d", v)
		}
	}
}

func explore(t *testing.T, h truth, fresh bool, verdicts map[verdict]bool) int {
	t.Helper()
	a := &Attempt{Sequence: testSeq, MaxLedger: testMax, Ledger: testBuilt, Fee: testFee}
	if h.guarded {
		a.AuthUntil = testUntil
	}
	st, act := begin(a, fresh)
	st.maxFee = testMaxFee
	queue := []node{{st, act, testBuilt}}
	seen := map[node]bool{}
	for len(queue) > 0 {
		n := queue[len(queue)-1]
		queue = queue[:len(queue)-1]
		if k := n.key(); seen[k] {
			continue
		} else {
			seen[k] = true
		}
		if n.act == actStop {
			h.check(t, n)
			verdicts[n.st.verdict] = true
			for _, obs := range []observation{{view: h.view(n.ledger)}, {search: &searchAnswer{}}, {}} {
				if again, act := next(n.st, obs); again != n.st || act != actStop {
					t.Errorf("invariant 6: %+v became %+v", n.st, again)
				}
			}
			continue
		}
		if (n.act == actSend || n.act == actBump) && (n.st.stage != stageOpen || n.st.refused) {
			t.Errorf("sent in stage %d (refused: %v)", n.st.stage, n.st.refused)
		}
		if n.st.bid.fee > testMaxFee || n.act == actBump && (n.st.raise <= n.st.bid.fee || n.st.raise > testMaxFee) {
			t.Errorf("bids %+v, then %d, with at most %d", n.st.bid, n.st.raise, testMaxFee)
		}
		if n.act == actWait {
			if n.st.misses <= testMisses {
				queue = append(queue, node{n.st, actLook, min(n.ledger+1, testEnd)})
			}
			continue
		}
		for _, obs := range h.observations(n) {
			st, act := next(n.st, obs)
			queue = append(queue, node{st, act, n.ledger})
		}
	}
	return len(seen)
}

// last is the freshest of the observations.
func last(all []observation) observation { return all[len(all)-1] }

// With a server that answers and keeps up, every history comes to its verdict,
// and no operation is left to a person.
func TestNextDecides(t *testing.T) {
	t.Parallel()
	for _, h := range histories() {
		a := &Attempt{Sequence: testSeq, MaxLedger: testMax, Ledger: testBuilt}
		if h.guarded {
			a.AuthUntil = testUntil
		}
		n := node{ledger: testBuilt}
		n.st, n.act = begin(a, true)
		for n.act != actStop && n.ledger < 40 {
			if n.act == actWait {
				n.ledger, n.act = n.ledger+1, actLook
				continue
			}
			if n.act == actSend {
				n.st, n.act = next(n.st, observation{send: &sendAnswer{}})
				continue
			}
			n.st, n.act = next(n.st, last(h.observations(n)))
		}
		if n.act != actStop || n.st.verdict == unknown {
			t.Errorf("history %+v: %+v", h, n.st)
		}
		h.check(t, n)
	}
}
