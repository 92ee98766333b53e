package onceward

import (
	"context"
	"time"
)

// Store keeps records. Its six operations are atomic and durable when they
// return nil: a claim or a completion that was acknowledged is never lost.
//
// The rules every Store keeps, proven by package oncetest:
//
//   - A record whose ExpiresAt is not after Now counts as absent, swept or not.
//   - The token granted for a key is greater than every token granted for it
//     before, also after a release, an expiry or a sweep.
//   - A write whose claim (token and owner) is not the record's, or whose
//     record is not STARTED, changes nothing and returns ErrFenced.
//   - Repeating an acknowledged Claim, Renew, Checkpoint or Complete with the
//     same claim returns the same result, so that a caller whose connection
//     broke may ask again.
//   - Any error other than ErrFenced and ErrNotFound means that the outcome is
//     unknown: the write may or may not have happened.
//   - Time comes from the caller's Now. Safety rests on tokens alone; time
//     only decides when somebody may try.
//   - Slices and maps passed in are not kept, those returned are the caller's.
type Store interface {
	// Claim takes the key or reports the record that stands. It wins when the
	// key is absent; when it is STARTED, lapsed, and of the same fingerprint
	// (a takeover: token+1, attempt+1, a new owner and lease, ExpiresAt
	// raised if the request's is later; everything else stays); when TakeHeld is set and the record is HELD with the same
	// fingerprint (a takeover that also sets the policy); or when it is
	// STARTED by the same owner (a repetition: nothing changes).
	Claim(ctx context.Context, req ClaimRequest) (ClaimResult, error)
	// Renew sets the lease, later or earlier; a lapsed lease that nobody took
	// can still be renewed. ExpiresAt is raised to LeaseUntil if it is below.
	Renew(ctx context.Context, req RenewRequest) error
	// Checkpoint replaces the record's checkpoints.
	Checkpoint(ctx context.Context, req CheckpointRequest) error
	// Complete ends a STARTED record as COMPLETED or HELD; checkpoints stay.
	// Repeating it for a record that the same claim ended returns nil.
	Complete(ctx context.Context, req CompleteRequest) error
	// Release makes the key absent at once. The next claim starts afresh, with
	// a higher token.
	Release(ctx context.Context, req ReleaseRequest) error
	// Get returns the record, or ErrNotFound when it is absent or expired.
	Get(ctx context.Context, req GetRequest) (Record, error)
}

// Claim is the proof of ownership of a started record.
type Claim struct {
	Key   Key
	Token int64
	Owner Owner
}

// ClaimRequest asks for a key.
type ClaimRequest struct {
	Key   Key
	Owner Owner
	// Token is the smallest token the store may grant; the engine proposes the
	// time in microseconds, which keeps tokens growing across lost stores.
	Token       int64
	Kind        string
	Policy      CrashPolicy
	Fingerprint []byte
	Detail      []byte
	Retention   time.Duration
	Now         time.Time
	LeaseUntil  time.Time
	// ExpiresAt of the record while it is started; not before LeaseUntil.
	ExpiresAt time.Time
	// TakeHeld also takes a HELD record; only an operator's decision sets it.
	TakeHeld bool
}

// ClaimResult says who holds the key after a Claim.
type ClaimResult struct {
	// Won reports whether the caller owns Record from now on.
	Won bool
	// TookOver reports that a won record was started by an earlier owner,
	// whose effect may have happened.
	TookOver bool
	// Record as it stands after the claim.
	Record Record
}

// RenewRequest moves the end of a lease.
type RenewRequest struct {
	Claim      Claim
	Now        time.Time
	LeaseUntil time.Time
}

// CheckpointRequest replaces the checkpoints of a started record.
type CheckpointRequest struct {
	Claim       Claim
	Now         time.Time
	Checkpoints []Checkpoint
}

// CompleteRequest ends a started record.
type CompleteRequest struct {
	Claim Claim
	Now   time.Time
	// Status is StatusCompleted or StatusHeld.
	Status Status
	// Response is the answer of a completed record, nil for a held one.
	Response *Response
	// Reason says why a record is held.
	Reason string
	// ExpiresAt of the record; Never for a held one, which waits for an operator.
	ExpiresAt time.Time
}

// ReleaseRequest gives a started record up without an effect.
type ReleaseRequest struct {
	Claim Claim
	Now   time.Time
}

// GetRequest reads one record.
type GetRequest struct {
	Key Key
	Now time.Time
}

// Sweeper is a Store that can delete expired records. Engine.Sweep uses it.
type Sweeper interface {
	// Sweep deletes at most Limit records that are expired at Now. It must not
	// delete a record that was claimed again meanwhile.
	Sweep(ctx context.Context, req SweepRequest) (SweepResult, error)
}

// SweepRequest bounds one sweep.
type SweepRequest struct {
	Now   time.Time
	Limit int
}

// SweepResult counts one sweep.
type SweepResult struct {
	Deleted int
	// More reports that the limit was met and expired records may be left.
	More bool
}

// LapsedLister is a Store that can find records whose owner died.
// Engine.Recover uses it.
type LapsedLister interface {
	// Lapsed returns records that are STARTED, unexpired, lapsed at Now, of the
	// Policy and of one of the Kinds, the longest lapsed first. Nil Kinds
	// means all.
	Lapsed(ctx context.Context, req LapsedRequest) ([]Record, error)
}

// LapsedRequest bounds one listing of lapsed records.
type LapsedRequest struct {
	Now    time.Time
	Policy CrashPolicy
	Kinds  []string
	Limit  int
}

// Finder is a Store that can look a record up by its operation's ID.
type Finder interface {
	// Find returns the record, or ErrNotFound when it is absent or expired.
	Find(ctx context.Context, req FindRequest) (Record, error)
}

// FindRequest reads one record by its operation's ID.
type FindRequest struct {
	ID  ID
	Now time.Time
}

// Waker is a Store that can wake up who waits for an operation of another
// process. Engine.Do uses it for requests with Wait.
type Waker interface {
	// Watch returns a channel that receives when the operation of key may have
	// ended, and a function to call when nobody waits any more. It is a hint:
	// it may come for no reason, late, or never.
	Watch(key Key) (wake <-chan struct{}, stop func())
}

// Recaller is a Store that has some completed records in memory. Engine.Recall
// uses it.
type Recaller interface {
	// Recall returns the completed record of key if it is in memory and durable,
	// and nil otherwise. It does not wait. Others get the same record: nobody
	// may change it.
	Recall(key Key, now time.Time) *Record
}

// Lister is a Store that can list records for an operator, newest claim
// first. Response bodies, Detail and Checkpoints are left out.
type Lister interface {
	List(ctx context.Context, req ListRequest) (ListResult, error)
}

// ListRequest selects records; zero fields select everything.
type ListRequest struct {
	Now    time.Time
	Status Status
	Kind   string
	// Scope selects one scope; nil selects all.
	Scope *string
	// Cursor continues an earlier listing: the Next it returned.
	Cursor string
	Limit  int
}

// ListResult is one page of records.
type ListResult struct {
	Records []Record
	// Next continues the listing; empty on the last page.
	Next string
}
