package devchain

import (
	"slices"
	"time"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// moment is when a transaction that is submitted now could be applied: in the next ledger, whose close time is only
// guessed, pessimistically, as stellar-core does.
func (c *Chain) moment() moment {
	last := c.head().closeTime()
	ahead := max(0, c.cfg.Now().Unix()-last) + int64(2*c.cfg.LedgerInterval/time.Second)
	return moment{
		ledger:   c.head().seq() + 1,
		earliest: uint64(last),         //nolint:gosec // seconds since 1970
		latest:   uint64(last + ahead), //nolint:gosec // seconds since 1970
	}
}

// fate is what a fault has in store for a submission that the queue accepts.
type fate struct {
	drop   bool         // forgotten at once, in spite of the answer
	evict  bool         // loses its place to better bids when the next ledger closes
	late   bool         // applied in the last ledger it is valid for
	minFee int64        // what the queue demands for an operation, if more than it would
	judge  state.Reader // a stale node's view of the ledger; nil for the true one
	at     moment       // with judge
}

// submit offers f to the queue. The caller holds mu.
func (c *Chain) submit(f *frame, what fate) answer {
	if c.broken != nil {
		return answer{status: statusTryAgain}
	}
	if what.judge != nil {
		if res := validate(what.judge, f, what.at); res != nil {
			return answer{status: statusError, result: res}
		}
	}
	if c.queueFor(!f.isSoroban()).involves(f.source()) {
		return answer{status: statusTryAgain}
	}
	q := c.queueFor(f.isSoroban())
	w, res := q.add(c.store, f, c.moment(), what.minFee)
	if w == nil {
		return res
	}
	switch {
	case what.drop:
		q.drop(f)
	case what.evict:
		w.dies = true
	case what.late:
		at := f.lastLedger()
		if at == 0 {
			at = c.head().seq() + pendingDepth + 2 // after this node has given up on it
		}
		w.held = true
		c.distant = append(c.distant, distant{f: f, at: at})
	}
	return res
}

// arrivals takes the transactions that other nodes bring into ledger seq.
func (c *Chain) arrivals(seq uint32) []*frame {
	var out []*frame
	c.distant = slices.DeleteFunc(c.distant, func(d distant) bool {
		if d.at <= seq {
			out = append(out, d.f)
		}
		return d.at <= seq
	})
	return out
}
