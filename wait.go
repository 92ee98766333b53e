package onceward

import (
	"context"
	"math/rand/v2"
	"time"
)

const (
	firstPoll = 10 * time.Millisecond
	lastPoll  = 500 * time.Millisecond
	// pollShare is how far apart the polls of all waiting requests of this
	// process are at least, when the store wakes them up.
	pollShare = time.Millisecond
)

// wait holds a request until the key has an answer, its Wait has passed, or
// its caller is gone. It takes the key over when the owner gave it up. prior
// is the CodeInProgress that made it wait, and what it reports in the end.
func (e *Engine) wait(ctx context.Context, req *Request, h Handler, prior error) (Outcome, error) {
	if e.waiters.Add(1) > int64(e.cfg.MaxWaiters) {
		e.waiters.Add(-1)
		return Outcome{}, prior
	}
	defer e.waiters.Add(-1)
	limit, cancel := context.WithTimeout(ctx, req.Wait)
	defer cancel()
	var wake <-chan struct{} // of another process's operation
	stop := func() {}
	defer func() { stop() }()
	for poll := firstPoll; ; poll = min(2*poll, e.lastPoll(wake)) {
		rec, here, err := e.landing(limit, req.Key)
		if err != nil {
			return Outcome{}, prior
		}
		if rec != nil && rec.Status == StatusCompleted {
			return e.answer(req, rec)
		}
		if !here || rec != nil && running(rec, e.cfg.Now()) {
			// In the hands of another process.
			if w, ok := e.store.(Waker); ok && wake == nil {
				wake, stop = w.Watch(req.Key)
			}
			if !sleepOrWake(limit, poll/2+rand.N(poll), wake) { //nolint:gosec // jitter
				return Outcome{}, prior
			}
			if e.stillRunning(limit, req.Key) {
				continue
			}
		}
		// The handler may have to run now, and may not be cut short by the wait.
		out, err := e.try(ctx, req, h, true)
		if CodeOf(err) != CodeInProgress {
			return out, err
		}
		prior = err
	}
}

// landing waits for the end of this process's flight of key, if there is one,
// and returns the record that it left, nil when it released the key.
func (e *Engine) landing(ctx context.Context, key Key) (rec *Record, here bool, err error) {
	fl := e.flights.get(key)
	if fl == nil {
		return nil, false, nil
	}
	if err := fl.landed(ctx); err != nil {
		return nil, true, err
	}
	// A flight that failed says nothing about the key: ask the store.
	rec, _ = fl.standing(ctx)
	return rec, true, nil
}

// stillRunning reports whether another owner holds the key. It only reads:
// waiting must not write.
func (e *Engine) stillRunning(ctx context.Context, key Key) bool {
	rec, err := e.Get(ctx, key)
	return err == nil && running(&rec, e.cfg.Now())
}

func running(rec *Record, now time.Time) bool {
	return rec.Status == StatusStarted && !rec.Lapsed(now)
}

// lastPoll is the longest pause between two polls of one request. Where a
// wake-up comes, polling is for when it is lost, and need not grow with the
// number of those who wait.
func (e *Engine) lastPoll(wake <-chan struct{}) time.Duration {
	if wake == nil {
		return lastPoll
	}
	return max(lastPoll, time.Duration(e.waiters.Load())*pollShare)
}

// sleepOrWake waits for d or a wake-up and reports whether ctx is still alive.
func sleepOrWake(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-wake:
		return true
	case <-ctx.Done():
		return false
	}
}
