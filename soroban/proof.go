package soroban

// ledgerView is what one getLedgerEntries answer says. All of it is true of
// the same ledger; a server that lags says it of an old one.
type ledgerView struct {
	ledger uint32
	// account is the channel; false when the ledger has no such account.
	account   bool
	seq       int64
	seqLedger uint32 // in which the sequence took its value
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
	// Kind is ProofExpired or ProofSuperseded.
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
)
