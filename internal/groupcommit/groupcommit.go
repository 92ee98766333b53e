package groupcommit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"
)

var (
	// ErrClosed means that the operation was not accepted: Close was called.
	ErrClosed = errors.New("groupcommit: closed")
	// ErrFull means that the operation was not accepted: MaxPending others
	// were before it for as long as its context lasted.
	ErrFull = errors.New("groupcommit: too many operations are waiting")
	// ErrAbandoned means that the caller's context ended while its operation
	// was waiting or being committed: it will take effect, or not.
	ErrAbandoned = errors.New("groupcommit: the caller stopped waiting, the outcome is unknown")
	// ErrPanicked means that the commit of the batch did not return.
	ErrPanicked = errors.New("groupcommit: the commit panicked")
)

// Config bounds a Committer. The zero value means the defaults.
type Config struct {
	// MaxBatch is the most operations in one commit. Default 256; 1 commits
	// every operation by itself.
	MaxBatch int
	// MaxPending is the most operations waiting or being committed. Default
	// 4096.
	MaxPending int
	// Writers is how many batches may be committed at the same time. Default
	// 1, which also means that batches are committed in order.
	Writers int
	// Gather holds a lane's batch back until most callers of the one before it
	// have come back with their next operations: for up to a quarter of the time
	// that the last commit took, 5 ms at most, and seldom where they do not
	// come. It is for commits whose cost hardly depends on their size, and does
	// nothing unless every lane of NewLanes has a writer.
	Gather bool
}

// Commit makes a batch durable. A nil error means that every operation in it
// is decided, for better or worse: an operation's own failure belongs into the
// operation. The context ends when Close gives up waiting. The slice is reused
// after the return.
type Commit[T any] func(ctx context.Context, batch []T) error

// Committer groups operations of type T. Use New.
type Committer[T any] struct {
	commit Commit[T]
	cfg    Config
	ctx    context.Context //nolint:containedctx // the life of the batches, which outlive their callers
	cancel context.CancelFunc
	slots  chan struct{} // one for every accepted, unfinished operation
	calls  sync.Pool
	closed chan struct{}
	laneOf func(T) int

	mu       sync.Mutex
	lanes    lanes[T]
	writers  int
	shutting bool
	drained  chan struct{} // closed when shutting and the last writer has ended
}

type call[T any] struct {
	op   T
	done chan error // capacity 1, so that nobody waits for an absent caller
}

// New returns a Committer. It starts nothing.
func New[T any](commit Commit[T], cfg Config) (*Committer[T], error) {
	c, err := NewLanes(commit, 1, func(T) int { return 0 }, cfg)
	if err == nil {
		c.lanes.shared, c.cfg.Gather = true, false
	}
	return c, err
}

// NewLanes returns a Committer whose batches hold operations of one lane each,
// from 0 to n-1; laneOf says which. A lane's batches are committed one after the
// other, those of different lanes by up to Config.Writers at the same time, in
// the order in which the lanes had work. It starts nothing.
func NewLanes[T any](commit Commit[T], n int, laneOf func(T) int, cfg Config) (*Committer[T], error) {
	cfg.MaxBatch = cmp.Or(cfg.MaxBatch, 256)
	cfg.MaxPending = cmp.Or(cfg.MaxPending, 4096)
	cfg.Writers = cmp.Or(cfg.Writers, 1)
	cfg.Gather = cfg.Gather && cfg.Writers >= n // a writer that waits keeps no other lane waiting
	if commit == nil || laneOf == nil || n < 1 {
		return nil, errors.New("groupcommit: a Committer needs a commit function and lanes")
	}
	if cfg.MaxBatch < 0 || cfg.MaxPending < 0 || cfg.Writers < 0 {
		return nil, errors.New("groupcommit: the bounds of Config may not be negative")
	}
	ctx, cancel := context.WithCancel(context.Background()) //nolint:gosec // Close calls it
	return &Committer[T]{
		commit: commit, cfg: cfg, ctx: ctx, cancel: cancel,
		slots:   make(chan struct{}, cfg.MaxPending),
		calls:   sync.Pool{New: func() any { return &call[T]{done: make(chan error, 1)} }},
		closed:  make(chan struct{}),
		laneOf:  laneOf,
		lanes:   newLanes[T](n),
		drained: make(chan struct{}),
	}, nil
}

// Do hands op over and waits until its batch is committed. After ErrAbandoned
// the commit may still read and write op, which must therefore not point to
// anything its caller goes on using.
func (c *Committer[T]) Do(ctx context.Context, op T) error {
	if err := c.acquire(ctx); err != nil {
		return err
	}
	cl := c.calls.Get().(*call[T]) // the pool holds nothing else
	cl.op = op
	if !c.enqueue(cl) {
		<-c.slots
		return ErrClosed
	}
	select {
	case err := <-cl.done:
		c.recycle(cl)
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-cl.done: // both had happened
		c.recycle(cl)
		return err
	default:
		// The call stays in its batch and is left to the garbage collector.
		return fmt.Errorf("%w: %w", ErrAbandoned, context.Cause(ctx))
	}
}

// Pending returns how many operations are waiting or being committed.
func (c *Committer[T]) Pending() int { return len(c.slots) }

// acquire takes a slot, or says why not.
func (c *Committer[T]) acquire(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return context.Cause(ctx)
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	default:
	}
	select {
	case c.slots <- struct{}{}:
		return nil
	case <-c.closed:
		return ErrClosed
	case <-ctx.Done():
		return fmt.Errorf("%w (%d): %w", ErrFull, c.cfg.MaxPending, context.Cause(ctx))
	}
}

// enqueue reports whether cl was accepted, and sees to it that somebody works.
func (c *Committer[T]) enqueue(cl *call[T]) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shutting {
		return false
	}
	c.lanes.add(c.laneOf(cl.op), cl)
	if c.writers < c.cfg.Writers && c.lanes.waiting() {
		c.writers++
		go c.work(none)
	}
	return true
}

func (c *Committer[T]) recycle(cl *call[T]) {
	var zero T
	cl.op = zero
	c.calls.Put(cl)
}

// work commits batches until none is left; lane is the one of the batch that
// came before.
//
// Invariant: while a lane waits, Config.Writers writers are counted in c.writers
// and run work, or one that runs is about to look. A writer may only stop
// counting itself in next, under the lock that also found no lane waiting.
func (c *Committer[T]) work(lane int) {
	ended := false
	defer func() {
		if !ended { // the commit called runtime.Goexit: hand the work on
			go c.work(lane)
		}
	}()
	batch := make([]*call[T], 0, min(c.cfg.MaxBatch, 64))
	ops := make([]T, 0, cap(batch))
	for {
		batch, lane = c.next(batch[:0], lane)
		if len(batch) == 0 {
			ended = true
			return
		}
		ops = ops[:0]
		for _, cl := range batch {
			ops = append(ops, cl.op)
		}
		began := time.Now()
		c.run(batch, ops)
		c.gather(lane, len(batch), time.Since(began))
		clear(batch)
		clear(ops)
	}
}

// next gives the lane of the last batch back and moves the head of the first
// lane that waits into batch, or ends the writer.
func (c *Committer[T]) next(batch []*call[T], last int) ([]*call[T], int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lanes.done(last)
	batch, lane := c.lanes.take(batch, c.cfg.MaxBatch)
	if lane == none {
		c.writers--
		if c.shutting && c.writers == 0 {
			close(c.drained)
		}
	}
	return batch, lane
}

// run commits one batch and tells every caller, whatever the commit does.
func (c *Committer[T]) run(batch []*call[T], ops []T) {
	err := error(ErrPanicked)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%w: %v\n%s", ErrPanicked, r, debug.Stack())
		}
		for _, cl := range batch {
			cl.done <- err
			<-c.slots
		}
	}()
	err = c.commit(c.ctx, ops)
}

// Close refuses new operations and waits until the accepted ones are
// committed. When ctx ends first, it cancels the context of the commits and
// returns the reason; what was accepted is still worked off. Closing twice is
// the same as closing once.
func (c *Committer[T]) Close(ctx context.Context) error {
	c.mu.Lock()
	if !c.shutting {
		c.shutting = true
		close(c.closed)
		if c.writers == 0 {
			close(c.drained)
		}
	}
	c.mu.Unlock()
	select {
	case <-c.drained:
		c.cancel()
		return nil
	case <-ctx.Done():
		c.cancel()
		return fmt.Errorf("groupcommit: closed before everything was committed: %w", context.Cause(ctx))
	}
}
