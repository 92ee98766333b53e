package soroban

import "fmt"

// ledgerView is what one getLedgerEntries answer says. All of it is true of
// the same ledger; a server that lags says it of an old one.
type ledgerView struct {
	ledger uint32
	// account is the channel; false when the ledger has no such account.
	account   bool
	seq       int64
	seqLedger uint32 // in which the sequence took its value
	balance   int64  // stroops
	// nonce reports that the nonce entry exists, written in nonceLedger.
	nonce       bool
	nonceLedger uint32
}

// used reports that sequence number seq was consumed: nothing that names it
// can be applied any more, though what consumed it may have been.
func (v ledgerView) used(seq int64) bool { return v.account && v.seq >= seq }

// never proves that an envelope with seq and maxLedger was not applied and
// cannot be: in ledger L its sequence was still free, and the next ledger,
// L+1 ≥ maxLedger, is one it is not valid for. Sequences only grow and
// maxLedger is exclusive, so the proof needs no second look and no clock, and
// an answer from an old ledger can only fail to give it.
func (v ledgerView) never(seq int64, maxLedger uint32) bool {
	return v.account && v.seq < seq && v.ledger >= maxLedger-1
}

// Proof says why an attempt's envelope can never be applied. It is stored
// before another attempt is built.
type Proof struct {
	// Kind is one of the words below.
	Kind string `json:"kind"`
	// Sequence of the channel as of Ledger.
	Sequence int64  `json:"sequence"`
	Ledger   uint32 `json:"ledger"`
	// By is the hash of the transaction that consumed the sequence instead.
	By string `json:"by,omitempty"`
}

const (
	// ProofExpired says that in Ledger, the last in which the envelope was valid or a
	// later one, its sequence number had not been consumed.
	ProofExpired = "expired"
	// ProofSuperseded says that in Ledger its sequence number was consumed by another
	// transaction.
	ProofSuperseded = "superseded"
	// ProofUnused says, of the authorization of all attempts, that in Ledger, the
	// last in which it was valid, its nonce had not been used.
	ProofUnused = "unused"
	// ProofRestored says that the transaction, one of KindRestore, succeeded
	// in Ledger: what it was for is done.
	ProofRestored = "restored"
	// ProofSpent says, of a transaction of KindRestore, that as of Ledger its
	// sequence number is consumed: it can do nothing more, whatever it did.
	ProofSpent = "spent"
)

// Evidence is what was last seen of an envelope of which nobody can say what
// became of it. It is for the person who has to decide.
type Evidence struct {
	// Attempt is its number, Hash its transaction's.
	Attempt int    `json:"attempt"`
	Hash    string `json:"hash"`
	// Ledger is the latest that any answer told of.
	Ledger uint32 `json:"ledger"`
	// View is the latest answer about the state of the chain.
	View struct {
		Ledger         uint32 `json:"ledger"`
		Account        bool   `json:"account"`
		Sequence       int64  `json:"sequence"`
		SequenceLedger uint32 `json:"sequence_ledger,omitempty"`
		Nonce          bool   `json:"nonce"`
		NonceLedger    uint32 `json:"nonce_ledger,omitempty"`
	} `json:"view"`
	// Searches counts the decisive searches for the transaction that found
	// nothing; Trimmed reports that the server no longer keeps the ledger in
	// question.
	Searches int  `json:"searches"`
	Trimmed  bool `json:"trimmed,omitempty"`
	// FailedIn is the ledger in which this envelope failed, if it did.
	FailedIn uint32 `json:"failed_in,omitempty"`
	Reason   string `json:"reason"`
}

// evidence of a progress that ended in doubt.
func (st progress) evidence(a *Attempt) Evidence {
	e := Evidence{
		Attempt: a.Number, Hash: a.Hash, Ledger: st.ledger,
		Searches: st.misses, Trimmed: st.trimmed, Reason: st.reason,
	}
	e.View.Ledger, e.View.Account = st.view.ledger, st.view.account
	e.View.Sequence, e.View.SequenceLedger = st.view.seq, st.view.seqLedger
	e.View.Nonce, e.View.NonceLedger = st.view.nonce, st.view.nonceLedger
	if st.failure != nil {
		e.FailedIn = st.failure.ledger
	}
	return e
}

// String tells it in a sentence.
func (e Evidence) String() string {
	account := "no such account"
	if e.View.Account {
		account = fmt.Sprintf("sequence number %d", e.View.Sequence)
		if e.View.SequenceLedger != 0 {
			account += fmt.Sprintf(" since ledger %d", e.View.SequenceLedger)
		}
	}
	nonce := "no nonce entry"
	if e.View.Nonce {
		nonce = fmt.Sprintf("a nonce entry of ledger %d", e.View.NonceLedger)
	}
	history := "the history that is needed is kept"
	if e.Trimmed {
		history = "the history that is needed is not kept any more"
	}
	return fmt.Sprintf("%s and %s in ledger %d, %d searches in vain, %s", account, nonce, e.View.Ledger, e.Searches, history)
}
