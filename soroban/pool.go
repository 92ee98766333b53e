package soroban

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/onceward/onceward"
)

// pool hands channels to the operations of this process, first come first
// served.
type pool struct {
	free chan *channel
	size int

	mu      sync.Mutex
	waiting map[onceward.ID]time.Time // since when
}

func newPool(channels []*channel) *pool {
	p := &pool{free: make(chan *channel, len(channels)), size: len(channels), waiting: map[onceward.ID]time.Time{}}
	for _, c := range channels {
		p.free <- c
	}
	return p
}

// acquire returns a channel that is ours and quiet, and waits for one within
// the bounds of the queue. Give it back with s.release.
func (s *Submitter) acquire(ctx context.Context, op *onceward.Operation, guardKey string) (*channel, ledgerView, error) {
	select {
	case c := <-s.pool.free:
		v, err := s.tryReserve(ctx, c, guardKey)
		if err == nil || !errors.Is(err, errNotUsable) {
			return c, v, err
		}
	default:
	}
	p := s.pool
	limit := s.cfg.MaxQueue
	if len(op.Checkpoints()) > 0 {
		limit = math.MaxInt // it was let in before, and its envelope has expired
	}
	if !p.enter(op.ID(), s.cfg.Now(), limit) {
		return nil, ledgerView{}, &UnavailableError{Reason: "too many operations wait for a channel", RetryAfter: queueRetry}
	}
	defer p.leave(op.ID())
	patience := time.NewTimer(s.cfg.ChannelWait)
	defer patience.Stop()
	why := ""
	none := func() error {
		return &UnavailableError{Reason: "no channel came free" + why, RetryAfter: queueRetry}
	}
	for tried := 1; ; tried++ {
		// The end of the wait comes before a channel: one that cannot be used
		// goes straight back, and is always there.
		select {
		case <-patience.C:
			return nil, ledgerView{}, none()
		default:
		}
		select {
		case c := <-p.free:
			v, err := s.tryReserve(ctx, c, guardKey)
			if err == nil || !errors.Is(err, errNotUsable) {
				return c, v, err
			}
			why = ": " + err.Error()
		case <-patience.C:
			return nil, ledgerView{}, none()
		case <-ctx.Done():
			return nil, ledgerView{}, context.Cause(ctx)
		case <-s.stopped:
			return nil, ledgerView{}, errStopped
		}
		if tried%p.size == 0 { // every channel had its turn
			s.pause(ctx, s.cfg.PollInterval)
		}
	}
}

// tryReserve reserves c or puts it back.
func (s *Submitter) tryReserve(ctx context.Context, c *channel, guardKey string) (v ledgerView, err error) {
	defer func() {
		if err != nil {
			s.pool.free <- c
		}
	}()
	if s.cfg.Now().Before(c.retryAt) {
		return v, errNotUsable
	}
	v, err = s.reserve(ctx, c, guardKey)
	if errors.Is(err, errNotUsable) {
		s.log.DebugContext(ctx, "channel passed over", "channel", c.address, "err", err)
		c.retryAt = s.cfg.Now().Add(s.cfg.PollInterval)
		s.giveUp(ctx, c)
	}
	return v, err
}

// release returns a channel. Its record keeps naming the last envelope: whether
// that is over is for whoever uses the channel next to prove.
func (s *Submitter) release(ctx context.Context, c *channel) {
	idle := s.pool.queued() == 0
	if now := s.cfg.Now(); idle || now.Sub(c.heldSince) >= s.cfg.ChannelLease {
		s.giveUp(ctx, c)
		if !idle { // others that share the pool, and an operator, get their turn
			c.retryAt = now.Add(s.cfg.PollInterval)
		}
	}
	s.pool.free <- c
}

// queueRetry is when a place in the queue may have come free: about the time
// of a ledger.
const queueRetry = 5 * time.Second

// enter takes a place in the queue, if there is one.
func (p *pool) enter(id onceward.ID, now time.Time, limit int) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.waiting) >= limit {
		return false
	}
	p.waiting[id] = now
	return true
}

func (p *pool) leave(id onceward.ID) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, id)
}

func (p *pool) queued() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting)
}

// QueueStatus is what of this process waits for a channel.
type QueueStatus struct {
	// Channels of the pool, and those that nobody in this process uses now.
	Channels, Free int
	// Waiting operations, the longest first; at most Limit, further ones get
	// an UnavailableError with RetryAfter.
	Waiting []WaitingOperation
	Limit   int
}

// WaitingOperation is an operation without a channel.
type WaitingOperation struct {
	Operation onceward.ID
	Since     time.Time
}

// Queue reports which operations of this process wait for a channel.
func (s *Submitter) Queue() QueueStatus {
	p := s.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	out := QueueStatus{Channels: p.size, Free: len(p.free), Limit: s.cfg.MaxQueue}
	for id, since := range p.waiting {
		out.Waiting = append(out.Waiting, WaitingOperation{Operation: id, Since: since})
	}
	slices.SortFunc(out.Waiting, func(a, b WaitingOperation) int {
		return cmp.Or(a.Since.Compare(b.Since), bytes.Compare(a.Operation[:], b.Operation[:]))
	})
	return out
}

// pause waits for d, or until ctx or the Submitter ends.
func (s *Submitter) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	case <-s.stopped:
	}
}
