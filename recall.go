package onceward

import "strings"

// Recall is Do for the case that the answer is recorded and the store has it in
// memory: ok is false when it is not, and then Do decides. It waits for nothing
// and allocates next to nothing, and spares who asks it first the rest of a
// Request. Other callers get the same response: its header and its body may not
// be changed.
func (e *Engine) Recall(key Key, fingerprint []byte) (out Outcome, ok bool) {
	if e.recaller == nil || strings.HasPrefix(key.Scope, ReservedScope) {
		return Outcome{}, false
	}
	rec := e.recaller.Recall(key, e.cfg.Now())
	if rec == nil || rec.Status != StatusCompleted || string(rec.Fingerprint) != string(fingerprint) ||
		rec.Response == nil || rec.Response.Tombstone {
		return Outcome{}, false
	}
	return replayOf(rec), true
}

// replayOf is the answer of a completed record.
func replayOf(rec *Record) Outcome {
	return Outcome{
		Response: *rec.Response, Replayed: true, Kept: true,
		Token: rec.Token, ExpiresAt: rec.ExpiresAt,
	}
}
