package groupcommit

import "time"

const (
	// gatherPart of the time that a commit took is the longest that the next
	// batch of its lane is held back.
	gatherPart = 4
	// maxGather bounds that after a slow commit.
	maxGather = 5 * time.Millisecond
	// maxPause is the most batches that are not held back after one that was in
	// vain.
	maxPause = 64
)

// gathering is a lane's wait for the callers of the batch that was just
// committed. Those who go on at once, as from a claim to its completion, are
// back within microseconds, and yet too late if what waits is taken at that
// very moment: the lane would serve its callers in two halves, with twice the
// commits.
type gathering struct {
	want  int           // close full when so many operations wait; 0: nobody waits for that
	full  chan struct{} // of this wait
	pause int           // how many batches to come are not held back
	last  int           // what pause was set to after the last wait, if that was in vain
}

// arrived ends the wait when enough operations are there.
func (g *gathering) arrived(waiting int) {
	if g.want > 0 && waiting >= g.want {
		close(g.full)
		g.want = 0
	}
}

// ended learns from a wait: while callers do not come back, fewer and fewer
// batches are held back for them.
func (g *gathering) ended(worthwhile bool) {
	g.want, g.full = 0, nil
	if worthwhile {
		g.last = 0
		return
	}
	g.last = min(max(1, 2*g.last), maxPause)
	g.pause = g.last
}

// gather holds the next batch of a lane back until most callers of the last one,
// size in number, have come back. The lane counts as busy meanwhile.
func (c *Committer[T]) gather(lane, size int, took time.Duration) {
	had, full := c.beginGather(lane, size)
	if full == nil {
		return
	}
	t := time.NewTimer(min(took/gatherPart, maxGather))
	defer t.Stop()
	select {
	case <-full:
	case <-t.C:
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	came := len(c.lanes.queues[lane]) - had
	c.lanes.gathering[lane].ended(2*came >= size)
}

// beginGather returns a nil channel when the lane should not wait: for a lone
// caller, which keeps nobody from sharing its commit; after waits in vain; or
// when enough operations for a batch are there.
func (c *Committer[T]) beginGather(lane, size int) (had int, full <-chan struct{}) {
	if !c.cfg.Gather || size == 1 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := &c.lanes.gathering[lane]
	if g.pause > 0 {
		g.pause--
		return 0, nil
	}
	had = len(c.lanes.queues[lane])
	want := min(had+size-size/8, c.cfg.MaxBatch)
	if had >= want || c.shutting {
		return 0, nil
	}
	g.want, g.full = want, make(chan struct{})
	return had, g.full
}
