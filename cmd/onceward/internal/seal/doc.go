// Package seal wraps a onceward.Store so that what operations leave behind is
// encrypted at rest: the header and body of answers, the checkpoints, and the
// detail that explains a mismatch.
//
// Each scope has a data key of its own. Data keys are kept in the same store,
// wrapped by a keyring that is not; deleting one makes everything that the
// scope has left unreadable, also in backups that are older than the deletion
// as soon as the keyring keys of that time are destroyed. The keyring rotates
// without touching a record: only data keys are wrapped anew.
//
// # What is guaranteed
//
// A reader of the store learns nothing of the sealed fields but their length.
// A writer of the store cannot make one record's field pass for another's, nor
// an older claim's answer for a newer one's: each field is bound to its scope,
// its key, what it is, and the claim that wrote it. Such a record is an error
// (ErrTampered), never an answer.
//
// # What is not guaranteed
//
// In clear remain: scope and key, by which records are found; kind, policy,
// times, status words, the HTTP status, the reason of a held operation; and
// the fingerprint, which should be keyed with FingerprintSecret. Whoever can
// write to the store can still delete a record, or put back what the same
// claim wrote before. A gateway goes on for Config.KeyTTL with a data key that
// was deleted elsewhere.
package seal
