package devchain

import (
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// view is what one call is answered from: the chain as a certain node knows it. It is valid while mu is held.
type view struct {
	c        *Chain
	latest   *ledger
	oldest   uint32
	searched uint32 // the last ledger that getTransaction looks into
	reader   state.Reader
	// needRestore leaves archived entries to an operation of their own
	needRestore bool
}

func (c *Chain) ledgerAt(seq uint32) *ledger {
	first := c.ledgers[0].seq()
	if seq < first || seq > c.head().seq() {
		return nil
	}
	return c.ledgers[seq-first]
}

// back is the ledger n before the newest one, or the oldest that can be looked back to.
func (c *Chain) back(n uint32) *ledger {
	head := c.head().seq()
	seq := max(head-min(n, head-1), c.ledgers[0].seq(), c.store.Oldest())
	return c.ledgerAt(seq)
}

// viewOf is the view that the faults leave.
func (c *Chain) viewOf(fx effects) view {
	latest := c.back(max(fx.ledgers(StaleReplica), fx.ledgers(DelayIngestion)))
	v := view{
		c: c, latest: latest, searched: latest.seq(), oldest: c.ledgers[0].seq(), reader: c.store.At(latest.seq()),
	}
	if fx.has(LookupRace) {
		v.searched = min(v.searched, c.back(fx.ledgers(LookupRace)).seq())
	}
	v.needRestore = fx.has(NeedRestore)
	if n := fx.ledgers(TrimHistory); n > 0 && n < latest.seq() {
		v.oldest = max(v.oldest, latest.seq()-n+1)
	}
	return v
}

func (v view) oldestTime() int64 { return v.c.ledgerAt(v.oldest).closeTime() }
