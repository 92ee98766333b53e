package postgres

import (
	"context"
	"sync"
	"time"
)

// limiter spreads a number of records over time: at most rate a second, and no
// more than one second's worth at once.
type limiter struct {
	rate int // negative: no limit

	mu    sync.Mutex
	left  float64
	since time.Time
}

// take waits until there is room, for as long as ctx lasts, and returns how many
// records may be deleted now: at most want, at least 1.
func (l *limiter) take(ctx context.Context, want int) (int, error) {
	if l.rate < 0 {
		return want, nil
	}
	for {
		n, wait := l.try(want)
		if n > 0 {
			return n, nil
		}
		if !sleep(ctx, wait) {
			return 0, context.Cause(ctx)
		}
	}
}

// try takes up to want, or says how long to wait for a decent portion.
func (l *limiter) try(want int) (int, time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.since.IsZero() {
		l.left = float64(l.rate)
	} else {
		l.left = min(float64(l.rate), l.left+now.Sub(l.since).Seconds()*float64(l.rate))
	}
	l.since = now
	portion := float64(max(1, min(want, l.rate/10)))
	if l.left < portion {
		return 0, time.Duration((portion - l.left) / float64(l.rate) * float64(time.Second))
	}
	n := min(want, int(l.left))
	l.left -= float64(n)
	return n, 0
}

// giveBack returns what was taken and not used.
func (l *limiter) giveBack(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.left += float64(n)
}
