package onceward

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// Operation is one claim of a key while its handler or Reconciler runs. Its
// methods are safe for concurrent use.
type Operation struct {
	eng    *Engine
	fl     *flight
	values callerValues
	ctx    detached // the handler's
	ending detached // of the store's call that ends the record, if unused

	started  time.Time
	returned Response   // by the handler
	renewMu  sync.Mutex // held while a renewal is under way
	writeMu  sync.Mutex // held while a checkpoint or the end is written

	mu         sync.Mutex
	rec        Record
	timer      *time.Timer
	stopped    bool // no renewal may follow
	completing bool // the store may already have ended the record
	endCalled  bool // ending is in use
	concluded  bool
	decision   Decision
	reason     string
	ended      bool     // completed, held or released in the store
	answer     Response // of an ended operation, in full
	kept       Response // what of it is stored
	unrecorded error    // why Complete could not record its answer
}

type opKey struct{}

// FromContext returns the operation whose handler runs under ctx, or nil.
func FromContext(ctx context.Context) *Operation {
	op, _ := ctx.Value(opKey{}).(*Operation)
	return op
}

// newOperation starts holding a won claim: from here on its lease is renewed
// until stop.
func (e *Engine) newOperation(fl *flight, rec *Record) *Operation {
	op := &Operation{eng: e, fl: fl, rec: *rec, started: e.cfg.Now()}
	op.values = callerValues{fl.values.caller, op}
	op.ctx.start(&op.values, time.Time{})
	op.mu.Lock()
	defer op.mu.Unlock()
	op.publishLocked()
	op.timer = time.AfterFunc(min(e.cfg.Lease/3, e.cfg.OperationTimeout), op.renew)
	return op
}

// Key returns the operation's identity.
func (op *Operation) Key() Key { return op.rec.Key }

// ID returns the operation's public name.
func (op *Operation) ID() ID { return op.rec.Key.ID() }

// Kind returns what the operation does.
func (op *Operation) Kind() string { return op.rec.Kind }

// Token returns the fencing token of this claim. Hand it to whatever the
// handler writes to, so that a stale owner is refused there too.
func (op *Operation) Token() int64 { return op.rec.Token }

// Attempt counts the claims of this operation, from 1.
func (op *Operation) Attempt() int { return op.rec.Attempt }

// Record returns a copy of the record as this owner last wrote it.
func (op *Operation) Record() Record {
	op.mu.Lock()
	defer op.mu.Unlock()
	rec := op.rec
	rec.Checkpoints = slices.Clone(rec.Checkpoints)
	rec.Response = rec.Response.withOwnHeader()
	return rec
}

// Checkpoints returns the checkpoints of this attempt and of earlier ones, in
// the order in which they were first made.
func (op *Operation) Checkpoints() []Checkpoint {
	op.mu.Lock()
	defer op.mu.Unlock()
	return slices.Clone(op.rec.Checkpoints)
}

// Recall returns the data of the named checkpoint. Do not change it.
func (op *Operation) Recall(name string) (data []byte, ok bool) {
	op.mu.Lock()
	defer op.mu.Unlock()
	for i := range op.rec.Checkpoints {
		if op.rec.Checkpoints[i].Name == name {
			return op.rec.Checkpoints[i].Data, true
		}
	}
	return nil, false
}

// Checkpoint stores data under name, durably, before it returns. When it
// fails nothing may be built on it: the write may or may not have happened,
// and on ErrFenced another owner has taken over.
//
// The first checkpoint is the point of no return: before it, an error of the
// handler releases the key; after it, the crash policy decides.
func (op *Operation) Checkpoint(ctx context.Context, name string, data []byte) error {
	if name == "" || len(name) > MaxKeyLen {
		return fmt.Errorf("onceward: the name of a checkpoint has 1 to %d bytes", MaxKeyLen)
	}
	if err := op.lost(); err != nil { //nolint:contextcheck // an operation outlives its caller and has a context of its own
		return err
	}
	op.writeMu.Lock()
	defer op.writeMu.Unlock()
	if op.Ended() {
		return ErrFenced
	}
	next := withCheckpoint(op.Checkpoints(), Checkpoint{Name: name, Data: slices.Clone(data), At: op.eng.cfg.Now()})
	size := 0
	for _, c := range next {
		size += len(c.Name) + len(c.Data)
	}
	if size > op.eng.cfg.MaxCheckpointBytes {
		return fmt.Errorf("onceward: checkpoints of %d bytes; Config.MaxCheckpointBytes allows %d",
			size, op.eng.cfg.MaxCheckpointBytes)
	}
	err := op.eng.retry(new(detached), context.WithoutCancel(ctx), op.eng.cfg.StoreTimeout, func(ctx context.Context) error {
		return op.eng.store.Checkpoint(ctx, CheckpointRequest{
			Claim: op.rec.Claim(), Now: op.eng.cfg.Now(), Checkpoints: next,
		})
	})
	// A failed write may have happened: from here on it counts as made.
	op.mu.Lock()
	op.rec.Checkpoints = next
	op.publishLocked()
	op.mu.Unlock()
	if err != nil {
		op.fencedBy(err)
		return fmt.Errorf("onceward: checkpoint %q: %w", name, err)
	}
	return nil
}

func withCheckpoint(next []Checkpoint, c Checkpoint) []Checkpoint {
	for i := range next {
		if next[i].Name == c.Name {
			next[i] = c
			return next
		}
	}
	return append(next, c)
}

// Conclude says how the operation ended, whatever the handler returns: with
// Completed its response is kept, whatever its status; with NotApplied the
// key is released, whatever checkpoints there are; with Unknown it is held
// for a person, who reads the reason. The last call counts.
func (op *Operation) Conclude(d Decision, reason string) {
	op.mu.Lock()
	defer op.mu.Unlock()
	op.concluded, op.decision, op.reason = true, d, reason
}

// Ended reports whether the record has already been completed, held or
// released, for instance by Complete.
func (op *Operation) Ended() bool {
	op.mu.Lock()
	defer op.mu.Unlock()
	return op.ended
}

// publishLocked lets duplicates in this process see the record as it stands.
func (op *Operation) publishLocked() {
	op.fl.own(&op.rec)
}
