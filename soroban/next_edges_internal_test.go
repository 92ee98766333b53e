package soroban

import "testing"

// Proofs at their edges.
func TestProofs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		view        ledgerView
		used, never bool
	}{
		{ledgerView{ledger: testMax - 2, account: true, seq: testSeq - 1}, false, false},
		{ledgerView{ledger: testMax - 1, account: true, seq: testSeq - 1}, false, true},
		{ledgerView{ledger: testMax, account: true, seq: testSeq - 9}, false, true},
		{ledgerView{ledger: testMax - 1, account: true, seq: testSeq}, true, false},
		{ledgerView{ledger: testMax - 1, account: true, seq: testSeq + 1}, true, false},
		{ledgerView{ledger: testMax - 1}, false, false},
		{ledgerView{ledger: testMax + 99}, false, false},
	} {
		if got := c.view.used(testSeq); got != c.used {
			t.Errorf("used %+v: %v", c.view, got)
		}
		if got := c.view.never(testSeq, testMax); got != c.never {
			t.Errorf("never %+v: %v", c.view, got)
		}
	}
}

func feed(st progress, all ...observation) (progress, action) {
	var act action
	for _, obs := range all {
		st, act = next(st, obs)
	}
	return st, act
}

// Past the life of a nonce its absence says nothing.
func TestAbsentNonceProvesNothingAfterItsLife(t *testing.T) {
	t.Parallel()
	a := &Attempt{Sequence: testSeq, MaxLedger: testMax, Ledger: testBuilt, AuthUntil: testUntil}
	failure := observation{search: &searchAnswer{tx: &foundTx{ours: true, ledger: 5}}}
	other := observation{search: &searchAnswer{tx: &foundTx{ledger: 5}}}
	for _, late := range []bool{false, true} {
		at := uint32(testUntil)
		if late {
			at++
		}
		free := observation{view: &ledgerView{ledger: at, account: true, seq: testSeq - 1}}
		used := observation{view: &ledgerView{ledger: at, account: true, seq: testSeq, seqLedger: 5}}
		for name, c := range map[string]struct {
			obs  []observation
			want verdict
		}{
			"expired":    {[]observation{free}, expired},
			"failed":     {[]observation{used, failure, used}, failed},
			"superseded": {[]observation{used, other}, superseded},
		} {
			st, _ := begin(a, false)
			st, act := feed(st, c.obs...)
			if want := c.want; act != actStop || !late && st.verdict != want || late && st.verdict != unknown {
				t.Errorf("%s, late %v: verdict %d, action %d", name, late, st.verdict, act)
			}
		}
	}
}

// An operation goes to a person only after many searches and many ledgers.
func TestPatience(t *testing.T) {
	t.Parallel()
	a := &Attempt{Sequence: testSeq, MaxLedger: testMax, Ledger: testBuilt}
	for _, c := range []struct {
		name               string
		perLedger, ledgers int
		step               uint32
		enough             bool
	}{
		{"few searches in many ledgers", 1, patienceMisses - 1, patienceLedgers, false},
		{"many searches in few ledgers", 20, patienceLedgers, 1, false},
		{"enough of both", 2, patienceLedgers + 1, 1, true},
	} {
		st, act := begin(a, false)
		for l := range uint32(c.ledgers) { //nolint:gosec // small
			for range c.perLedger {
				st, act = feed(st, observation{view: &ledgerView{ledger: 10 + l*c.step, account: true, seq: testSeq, seqLedger: 5}},
					observation{search: &searchAnswer{latest: 5}})
			}
		}
		if c.enough != (act == actStop) || c.enough && (st.verdict != unknown || st.reason == "") {
			t.Errorf("%s: %+v, action %d", c.name, st, act)
		}
	}
}

// A server whose history ends before the ledger in question has not been
// asked: what a fresher one has shown is not held against it, for an hour.
func TestLaggingHistoryIsNotAMiss(t *testing.T) {
	t.Parallel()
	st, _ := begin(&Attempt{Sequence: testSeq, MaxLedger: testMax, Ledger: testBuilt}, false)
	for l := uint32(10); l < 10+patienceLag; l++ {
		var act action
		st, act = feed(st, observation{view: &ledgerView{ledger: l, account: true, seq: testSeq, seqLedger: 5}},
			observation{search: &searchAnswer{latest: 4}})
		if act == actScanSeq {
			st, act = next(st, observation{search: &searchAnswer{latest: 4}})
		}
		if act != actWait || st.misses != 0 {
			t.Fatalf("ledger %d: %+v, action %d", l, st, act)
		}
	}
	found, act := feed(st, observation{view: &ledgerView{ledger: 10, account: true, seq: testSeq, seqLedger: 5}},
		observation{search: &searchAnswer{latest: 5, tx: &foundTx{ours: true, success: true, ledger: 5}}})
	if act != actStop || found.verdict != succeeded {
		t.Errorf("%+v", found)
	}
	st, _ = feed(st, observation{view: &ledgerView{ledger: 10 + patienceLag, account: true, seq: testSeq, seqLedger: 5}},
		observation{search: &searchAnswer{latest: 4}})
	if st.verdict != unknown || st.reason == "" {
		t.Errorf("%+v", st)
	}
}

// A missing account is never a proof.
func TestMissingAccount(t *testing.T) {
	t.Parallel()
	st, _ := begin(&Attempt{Sequence: testSeq, MaxLedger: testMax, Ledger: testBuilt}, false)
	for l := range uint32(patienceLedgers + patienceMisses) {
		var act action
		if st, act = next(st, observation{view: &ledgerView{ledger: testMax + l}}); st.verdict == expired || act == actSend {
			t.Fatalf("%+v", st)
		}
	}
	if st.verdict != unknown {
		t.Errorf("%+v", st)
	}
}

// A network that was reset holds the operation: nothing it says is about the
// chain that the envelope was made for.
func TestResetNetwork(t *testing.T) {
	t.Parallel()
	st, _ := begin(&Attempt{Sequence: testSeq, MaxLedger: 5010, Ledger: 5000}, false)
	for i := range resetViews {
		old := ledgerView{ledger: uint32(i), account: true, seq: testSeq + int64(i%3) - 1}
		var act action
		if st, act = next(st, observation{view: &old}); (act == actStop) != (i == resetViews-1) || act == actSend {
			t.Fatalf("view %d: %+v, action %d", i, st, act)
		}
	}
	if st.verdict != unknown || st.reason == "" {
		t.Errorf("%+v", st)
	}
}
