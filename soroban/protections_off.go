//go:build torture

package soroban

import "os"

// The variable ONCEWARD_BREAK names the protection that this process lacks.
var (
	// txBAD_SEQ is taken for a proof that the envelope was not applied.
	rebuildsOnBadSeq = lacks("rebuild-on-bad-seq")
	// NOT_FOUND after the envelope's last ledger is taken for such a proof.
	trustsNotFound = lacks("trust-not-found")
	// A channel is used again while its last envelope may still be applied.
	freesOnTimeout = lacks("free-on-timeout")
	// An envelope is sent, and then stored.
	sendsBeforeStoring = lacks("send-before-storing")
	// Nonces are random instead of derived from the key.
	drawsNonces = lacks("random-nonce")
)

func lacks(protection string) bool { return os.Getenv("ONCEWARD_BREAK") == protection }
