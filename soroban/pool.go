package soroban

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// pool hands channels to the operations of this process, first come first
// served.
type pool struct {
	free    chan *channel
	size    int
	waiting atomic.Int64
}

func newPool(channels []*channel) *pool {
	p := &pool{free: make(chan *channel, len(channels)), size: len(channels)}
	for _, c := range channels {
		p.free <- c
	}
	return p
}

// acquire returns a channel that is ours and quiet, and waits for one within
// the bounds of the queue. Give it back with s.release.
func (s *Submitter) acquire(ctx context.Context, guardKey string) (*channel, ledgerView, error) {
	select {
	case c := <-s.pool.free:
		v, err := s.tryReserve(ctx, c, guardKey)
		if err == nil || !errors.Is(err, errNotUsable) {
			return c, v, err
		}
	default:
	}
	p := s.pool
	defer p.waiting.Add(-1)
	if p.waiting.Add(1) > int64(s.cfg.MaxQueue) {
		return nil, ledgerView{}, &UnavailableError{Reason: "too many operations wait for a channel", RetryAfter: 5 * time.Second}
	}
	limit := time.NewTimer(s.cfg.ChannelWait)
	defer limit.Stop()
	why := ""
	for tried := 1; ; tried++ {
		select {
		case c := <-p.free:
			v, err := s.tryReserve(ctx, c, guardKey)
			if err == nil || !errors.Is(err, errNotUsable) {
				return c, v, err
			}
			why = ": " + err.Error()
		case <-limit.C:
			return nil, ledgerView{}, &UnavailableError{Reason: "no channel came free" + why, RetryAfter: 5 * time.Second}
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
	if s.pool.waiting.Load() == 0 {
		s.giveUp(ctx, c)
	}
	s.pool.free <- c
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
