package soroban

import "fmt"

// This file decides. It does no I/O and keeps no time: what becomes of one
// stored envelope is a function of its state and of what was observed last,
// so that every order of observations can be tried in tests.
//
//	open ──sequence free, not expired──▶ open (send again)
//	 │ ├───sequence free, expired──────▶ done: expired
//	 │ └───nonce entry exists──────────▶ guard
//	 └─────sequence consumed───────────▶ used
//	used ──SUCCESS───▶ done: succeeded
//	 │  └──FAILED────▶ failed ──nonce absent──▶ done: failed
//	 │                   └──────nonce exists──▶ guard
//	 └─────another's─▶ done: superseded
//	guard ──transaction found──▶ done: succeeded, by that one
//	lapse ──nonce absent in its last ledger──▶ done: unused
//	 └──────nonce entry exists──▶ guard
//	any ──no evidence for long──▶ done: unknown
//
// Answers to sending decide nothing, except to stop sending or to bid more.

type stage uint8

const (
	stageOpen   stage = iota // it may be applied in a coming ledger
	stageUsed                // its sequence is consumed; by what?
	stageFailed              // it failed; did another transaction succeed?
	stageGuard               // its nonce is consumed; by what?
	stageLapse               // it is dead; is its authorization ever used?
	stageDone
)

type verdict uint8

const (
	undecided verdict = iota
	succeeded
	failed
	expired
	superseded
	unused
	unknown
)

// action is what to do next. Each is answered by the observation of its name.
type action uint8

const (
	actLook      action = iota // one getLedgerEntries: account and nonce
	actSend                    // sendTransaction with the stored bytes
	actBump                    // sign and store a fee bump that offers progress.raise
	actFind                    // getTransaction by the stored hash
	actScanSeq                 // getTransactions for what consumed the sequence
	actScanNonce               // getTransactions for what consumed the nonce
	actWait                    // let time pass, then look
	actStop                    // the verdict is in
)

// progress is the state of one envelope.
type progress struct {
	// Constants of the envelope.
	seq       int64
	maxLedger uint32
	built     uint32
	guarded   bool
	authUntil uint32
	maxFee    int64 // the most that it may cost

	// bid is what the stored envelope offers, raise what a fee bump shall.
	bid   bid
	raise int64

	stage   stage
	verdict verdict
	// ledger is the latest that any answer told of; sentAt is what it was when
	// the envelope was last sent.
	ledger uint32
	sentAt uint32
	sent   bool
	// refused means that sending is pointless: only a proof can follow.
	refused bool
	// usedAt is the ledger that consumed the sequence, when known; nonceAt the
	// one that wrote the nonce entry.
	usedAt  uint32
	nonceAt uint32
	// view is the answer that the latest step rests on.
	view ledgerView
	// failure is our own transaction, which failed.
	failure *foundTx
	// tx is the transaction of a verdict.
	tx *foundTx
	// misses counts the searches that found nothing, since ledger missedAt.
	misses   int
	missedAt uint32
	// laggedAt is since when searches meet servers that are not there yet, 0 is
	// never; lags counts them modulo scanAfter.
	laggedAt uint32
	lags     uint8
	behind   int  // views in a row that are older than any lag explains
	trimmed  bool // some search said that its ledger is no longer kept
	reason   string
}

const (
	// resendAfter is how many ledgers pass before the bytes are sent again.
	resendAfter = 2
	// A search that finds nothing is repeated until both numbers are reached:
	// not found may mean that it was looked up a moment too early.
	// Two minutes are longer than any healthy server stays behind; an operation
	// that a person must look at loses nothing by them.
	patienceMisses  = 8
	patienceLedgers = 24
	// A server whose history ends before the ledger in question has not been
	// asked at all; it gets an hour to catch up.
	patienceLag = 720
	// scanAfter is how many lookups by hash come before reading a ledger.
	scanAfter = 3
	// A server that keeps answering from an hour ago is of another chain: the
	// network was reset.
	resetLedgers = 720
	resetViews   = 60
)

// sendKind is what an answer to sendTransaction can teach.
type sendKind uint8

const (
	sendNothing     sendKind = iota // accepted, unclear, lost: all the same
	sendBadSeq                      // perhaps because it was applied: look
	sendRefused                     // this node will not take these bytes
	sendUnderpriced                 // this node wants a higher fee
)

// sendAnswer is an answer to sendTransaction.
type sendAnswer struct {
	kind sendKind
	// needed is the whole fee that the node asks for, 0 when it names none.
	needed int64
}

// observation is what one action brought; nil fields were not observed. An
// observation with nothing in it is a failed call.
type observation struct {
	view *ledgerView
	send *sendAnswer
	// bumped answers actBump: what the stored envelope offers from now on.
	bumped *bid
	// search answers actFind and the scans.
	search *searchAnswer
}

// searchAnswer is the result of looking for a transaction.
type searchAnswer struct {
	// tx was found and re-hashes to what it claims to be; nil otherwise.
	tx *foundTx
	// trimmed reports that the server no longer keeps the ledger in question.
	trimmed bool
	// latest is the newest ledger that the server has looked through.
	latest uint32
}

// begin is the state of a stored envelope. A fresh one is sent at once; one
// that an earlier process left is asked about first.
func begin(a *Attempt, fresh bool) (progress, action) {
	st := progress{
		seq: a.Sequence, maxLedger: a.MaxLedger, built: a.Ledger,
		guarded: a.guarded(), authUntil: a.AuthUntil, ledger: a.Ledger, bid: a.bid(),
	}
	if fresh {
		return st.sending()
	}
	return st, actLook
}

// next takes one observation in.
func next(st progress, obs observation) (progress, action) {
	switch {
	case st.stage == stageDone:
		return st, actStop // terminal states never change
	case obs.view != nil:
		return st.seen(*obs.view)
	case obs.send != nil:
		return st.answered(*obs.send)
	case obs.bumped != nil:
		st.bid = *obs.bumped
		return st.sending()
	case obs.search != nil:
		return st.searched(*obs.search)
	}
	return st, actWait
}

// answered takes an answer to sending in.
func (st progress) answered(a sendAnswer) (progress, action) {
	switch a.kind {
	case sendBadSeq:
		if rebuildsOnBadSeq {
			return st.decided(expired, nil)
		}
		return st, actLook
	case sendRefused:
		st.refused = true
	case sendUnderpriced:
		if fee := st.bid.raised(a.needed, st.maxFee); fee > 0 && st.stage == stageOpen && !st.refused {
			st.raise = fee
			return st, actBump
		}
	case sendNothing:
	}
	return st, actWait
}

func (st progress) sending() (progress, action) {
	st.sent, st.sentAt = true, st.ledger
	return st, actSend
}

func (st progress) decided(v verdict, tx *foundTx) (progress, action) {
	st.stage, st.verdict, st.tx = stageDone, v, tx
	return st, actStop
}

func (st progress) unknown(format string, args ...any) (progress, action) {
	st.reason = fmt.Sprintf(format, args...)
	return st.decided(unknown, nil)
}

// seen takes one consistent view of account and nonce in.
func (st progress) seen(v ledgerView) (progress, action) {
	if v.ledger+resetLedgers < st.ledger {
		if st.behind++; st.behind < resetViews {
			return st, actWait
		}
		return st.unknown("the chain is at ledger %d, after ledger %d was seen: the network was reset, or the server is far behind",
			v.ledger, st.ledger)
	}
	st.behind = 0
	st.ledger, st.view = max(st.ledger, v.ledger), v
	nonce := st.guarded && v.nonce
	if nonce {
		st.nonceAt = v.nonceLedger
	}
	switch {
	case st.stage == stageGuard || nonce && (st.stage == stageFailed || st.stage == stageLapse):
		st.stage = stageGuard
		return st, actScanNonce
	case st.stage == stageLapse:
		return st.lapsing(v)
	case st.stage == stageFailed:
		return st.failedWithoutNonce(v)
	case v.used(st.seq):
		st.stage, st.usedAt = stageUsed, 0
		if v.seq == st.seq {
			st.usedAt = v.seqLedger
		}
		return st, actFind
	case nonce:
		st.stage = stageGuard
		return st, actScanNonce
	case st.stage == stageUsed:
		return st, actWait // this server lags: it was consumed already
	case v.never(st.seq, st.maxLedger):
		return st.neverApplied(expired, nil)
	case !v.account:
		return st.missed("the channel account does not exist", false)
	case !st.refused && v.ledger < st.maxLedger-1 && (!st.sent || v.ledger >= st.sentAt+resendAfter):
		return st.sending()
	}
	return st, actWait
}

// neverApplied accepts a proof against our envelope, unless it is so late
// that the nonce entry another transaction may have left has ended.
func (st progress) neverApplied(v verdict, by *foundTx) (progress, action) {
	if st.guarded && st.view.ledger > st.authUntil {
		return st.unknown("the envelope was never applied, but it is past ledger %d, "+
			"until which the chain would tell whether another transaction used its authorization", st.authUntil)
	}
	return st.decided(v, by)
}

// failedWithoutNonce accepts our failure as final, once the view is not older
// than it and not so new that the nonce entry may have ended.
func (st progress) failedWithoutNonce(v ledgerView) (progress, action) {
	switch {
	case v.ledger < st.failure.ledger:
		return st, actWait
	case v.ledger > st.authUntil:
		return st.unknown("the transaction failed, but it is past ledger %d, "+
			"until which the chain would tell whether another one succeeded", st.authUntil)
	}
	return st.decided(failed, st.failure)
}

func (st progress) searched(s searchAnswer) (progress, action) {
	st.trimmed = st.trimmed || s.trimmed
	switch {
	case s.tx == nil && trustsNotFound && st.stage == stageUsed:
		return st.decided(expired, nil)
	case s.tx == nil:
		return st.missed("no transaction is found", s.latest < st.target())
	case st.stage == stageGuard:
		return st.decided(succeeded, s.tx)
	case !s.tx.ours && st.nonceAt != 0:
		st.stage = stageGuard
		return st, actScanNonce
	case !s.tx.ours:
		return st.neverApplied(superseded, s.tx)
	case s.tx.success:
		return st.decided(succeeded, s.tx)
	case !st.guarded:
		return st.decided(failed, s.tx)
	}
	st.stage, st.failure = stageFailed, s.tx
	return st, actLook
}

// target is the ledger in which a search looks for its transaction, as far as
// it is known.
func (st progress) target() uint32 {
	switch {
	case st.stage == stageGuard:
		return st.nonceAt
	case st.usedAt != 0:
		return st.usedAt
	}
	return st.ledger
}

// missed counts a fruitless search, tries the next kind of search, and gives
// up only after many of them and many ledgers. A server that is behind the
// ledger in question cannot know: its misses do not count against what a
// fresher one has shown.
func (st progress) missed(what string, behind bool) (progress, action) {
	var enough, scan bool
	if behind {
		if st.laggedAt == 0 {
			st.laggedAt = st.ledger
		}
		st.lags = (st.lags + 1) % scanAfter
		enough, scan = st.ledger >= st.laggedAt+patienceLag, st.lags == 0
	} else {
		if st.misses == 0 {
			st.missedAt = st.ledger
		}
		st.laggedAt = 0
		st.misses++
		enough = st.misses >= patienceMisses && st.ledger >= st.missedAt+patienceLedgers
		scan = st.misses%scanAfter == 0
	}
	switch {
	case enough:
	case scan && st.stage == stageUsed:
		return st, actScanSeq
	default:
		return st, actWait
	}
	switch {
	case st.nonceAt != 0 && st.trimmed:
		// The nonce entry is proof enough; only the details are lost.
		return st.decided(succeeded, &foundTx{success: true, ledger: st.nonceAt})
	case st.nonceAt != 0:
		return st.unknown("ledger %d consumed the nonce, but the transaction is not found there", st.nonceAt)
	case st.stage == stageUsed:
		return st.unknown("sequence number %d was consumed (as of ledger %d), but neither this envelope nor another "+
			"is found; the server's history may be too short", st.seq, st.ledger)
	}
	return st.unknown("%s, as of ledger %d", what, st.ledger)
}
