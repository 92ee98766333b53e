package postgres

import (
	"bytes"
	"slices"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/replay"
)

// kind of an operation: each has one statement in a batch.
type kind int

const (
	kindClaim kind = iota
	kindClaimHeld
	kindRenew
	kindCheckpoint
	kindComplete
	kindRelease
	kindRead
	kinds
)

func (k kind) claims() bool { return k == kindClaim || k == kindClaimHeld }

// op is one operation on one record. What it keeps of a request it has copied:
// its caller may be gone by the time it is sent.
type op struct {
	kind   kind
	bucket int
	id     onceward.ID
	bytes  int // roughly what it weighs in a statement

	claim  onceward.ClaimRequest
	by     onceward.Claim // the claim that writes
	end    onceward.CompleteRequest
	until  time.Time // of a lease, or of a release
	blob   []byte    // checkpoints or header
	stamp  int64     // order among this process's operations, 0 until it is first sent
	unsure bool      // an attempt before may have taken effect
	leader *op       // see wave

	// done reports that the statement found its row: won, written or read.
	done bool
	rec  row
	err  error
}

// clock gives out numbers that grow within the process, and that stay close to
// those of other processes: microseconds.
type clock struct{ last atomic.Int64 }

func (c *clock) next() int64 {
	for {
		last := c.last.Load()
		next := max(last+1, time.Now().UnixMicro())
		if c.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// reset forgets an attempt whose transaction did not commit.
func (o *op) reset() { o.done, o.rec, o.err = false, row{}, nil }

// wave takes from ops what one transaction can hold: no key twice, and not too
// many bytes. The rest is for a later one. Operations that need no statement of
// their own, because one like them is in the wave, follow that one.
func wave(ops []*op) (now, followers, rest []*op) {
	size := 0
	last := make(map[onceward.ID]*op, len(ops)) // nil: in the rest
	for _, o := range ops {
		before, twice := last[o.id]
		switch {
		case twice && before != nil && before.answers(o):
			o.leader = before
			followers = append(followers, o)
		case twice || size > 0 && size+o.bytes > maxBatchBytes:
			last[o.id] = nil
			rest = append(rest, o)
		default:
			last[o.id] = o
			size += o.bytes
			now = append(now, o)
		}
	}
	// All instances lock rows in one order.
	slices.SortFunc(now, func(a, b *op) int { return bytes.Compare(a.id[:], b.id[:]) })
	return now, followers, rest
}

// answers reports whether what comes of o tells what comes of next, on the same
// key in the same transaction: a second claim is lost to whoever the first one
// found or made the owner, and its caller reads on.
func (o *op) answers(next *op) bool {
	return o.kind.claims() && next.kind.claims() || o.kind == kindRead && next.kind == kindRead
}

// follow takes over what came of the leader.
func (o *op) follow() {
	o.err, o.done = o.leader.err, false
	if o.kind == kindRead {
		o.done, o.rec = o.leader.done, o.leader.rec
		o.rec.Record = replay.Clone(&o.rec.Record) // each caller has its own
	}
}
