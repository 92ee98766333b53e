package onceward

import (
	"maps"
	"slices"
	"time"
)

// Status is what a Store keeps as the state of a record.
type Status string

const (
	// StatusStarted means claimed: an owner works on it, or has died.
	StatusStarted Status = "STARTED"
	// StatusCompleted means that the answer is recorded and final.
	StatusCompleted Status = "COMPLETED"
	// StatusHeld means that the outcome is unknown and nothing may run until
	// a person or a reconciler has decided.
	StatusHeld Status = "HELD"
)

// CrashPolicy says what may happen to an operation whose owner died, or
// panicked, between its effect and its record.
type CrashPolicy string

const (
	// Hold is for effects nobody can ask about: the key is HELD until an
	// operator resolves it. It is the default.
	Hold CrashPolicy = "hold"
	// Rerun is for effects that are idempotent downstream: the handler runs
	// again under a new token.
	Rerun CrashPolicy = "rerun"
	// Reconcile is for effects one can ask about: the registered Reconciler
	// decides, from the checkpoints the dead attempt left.
	Reconcile CrashPolicy = "reconcile"
)

// Never is the expiry of a record that may not be forgotten: claimed or held
// under Hold and Reconcile.
var Never = time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)

// Record is the stored state of one operation.
type Record struct {
	Key    Key
	Status Status
	// Token is the fencing token: it grows with every claim of the key and
	// never goes back, not even after a release.
	Token int64
	Owner Owner
	// Attempt counts the claims of this operation, from 1; it starts over
	// when the key was released or has expired.
	Attempt int
	// Kind names what the operation does; it selects the Reconciler.
	Kind   string
	Policy CrashPolicy
	// Fingerprint is the hash of the request, compared byte for byte.
	Fingerprint []byte
	// Retention is how long the record is kept once completed.
	Retention time.Duration
	// Detail explains a mismatch of fingerprints; the store does not read it.
	Detail []byte
	// Checkpoints in the order in which they were first made.
	Checkpoints []Checkpoint
	// Response is the recorded answer; nil unless completed.
	Response *Response
	// Reason says why the record is held; empty otherwise.
	Reason string

	ClaimedAt   time.Time // first claim of this operation
	LeaseUntil  time.Time // until then no other owner may take a started record
	CompletedAt time.Time // zero until completed or held
	ExpiresAt   time.Time // from then on the record counts as absent
}

// Claim returns the proof of ownership that every write must carry.
func (r *Record) Claim() Claim { return Claim{Key: r.Key, Token: r.Token, Owner: r.Owner} }

// Expired reports whether r counts as absent at now.
func (r *Record) Expired(now time.Time) bool { return !r.ExpiresAt.After(now) }

// Lapsed reports whether r is started and its owner let the lease run out.
func (r *Record) Lapsed(now time.Time) bool {
	return r.Status == StatusStarted && !r.LeaseUntil.After(now)
}

// Checkpoint is a durable recovery point inside an operation.
type Checkpoint struct {
	// Name is unique within the operation; writing a name again replaces its
	// data and keeps its place.
	Name string `json:"name"`
	// Data is the handler's own; see Config.MaxCheckpointBytes for the limit.
	Data []byte    `json:"data"`
	At   time.Time `json:"at"`
}

// Response is an operation's answer, in the shape of an HTTP response.
type Response struct {
	// Status is an HTTP status code, 200 when zero.
	Status int
	// Header holds the fields to replay, in canonical form.
	Header map[string][]string
	Body   []byte
	// Tombstone marks an answer whose body was not kept, because it was too
	// large or was streamed: the operation is final, its answer is gone.
	Tombstone bool
}

// withOwnHeader returns a copy whose header may be changed.
func (r *Response) withOwnHeader() *Response {
	if r == nil {
		return nil
	}
	out := *r
	out.Header = maps.Clone(r.Header)
	for name, values := range out.Header {
		out.Header[name] = slices.Clone(values)
	}
	return &out
}

// Success reports whether the status is 2xx or 3xx.
func (r *Response) Success() bool { return r.Status < 400 }
