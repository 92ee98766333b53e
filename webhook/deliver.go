package webhook

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onceward/onceward"
)

const (
	// grace is how much longer than its timeout an attempt is held.
	grace = 30 * time.Second
	// maxAnswer is how much of a receiver's answer is read, to reuse the
	// connection.
	maxAnswer = 16 << 10
	batch     = 64
)

// Run delivers what is due until ctx ends, and returns nil.
func (b *Outbox) Run(ctx context.Context) error {
	tick := time.NewTicker(b.cfg.Interval)
	defer tick.Stop()
	for {
		if _, err := b.Deliver(ctx); err != nil && ctx.Err() == nil {
			b.cfg.Logger.ErrorContext(ctx, "webhooks not delivered", "endpoint", b.cfg.Name, "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-b.kick:
		}
	}
}

// Delivered counts one pass.
type Delivered struct {
	// Sent were accepted, Failed will be tried again, Held were given up.
	Sent, Failed, Held int
}

// Deliver makes one attempt at every message that is due.
func (b *Outbox) Deliver(ctx context.Context) (Delivered, error) {
	var sent, failed, held atomic.Int64
	count := func() Delivered { return Delivered{int(sent.Load()), int(failed.Load()), int(held.Load())} }
	slots := make(chan struct{}, b.cfg.Parallel)
	var wg sync.WaitGroup
	defer wg.Wait()
	for ctx.Err() == nil {
		recs, err := b.due(ctx)
		if err != nil {
			return count(), err
		}
		for i := range recs {
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				wg.Wait()
				return count(), nil
			}
			wg.Go(func() {
				defer func() { <-slots }()
				switch b.attempt(ctx, &recs[i]) {
				case onceward.StatusCompleted:
					sent.Add(1)
				case onceward.StatusStarted:
					failed.Add(1)
				case onceward.StatusHeld:
					held.Add(1)
				}
			})
		}
		wg.Wait() // what was listed is taken, or another's, by now
		if len(recs) < batch {
			break
		}
	}
	return count(), nil
}

func (b *Outbox) due(ctx context.Context) (recs []onceward.Record, err error) {
	err = b.call(ctx, func(ctx context.Context) error {
		recs, err = b.store.Lapsed(ctx, onceward.LapsedRequest{
			Now: b.cfg.Now(), Policy: onceward.Rerun, Kinds: []string{b.Kind()}, Limit: batch,
		})
		return err
	})
	return recs, err
}

// attempt takes a message over and posts it. It returns the state that it has
// left it in, "" when it was another's.
func (b *Outbox) attempt(ctx context.Context, listed *onceward.Record) onceward.Status {
	now := b.cfg.Now()
	var res onceward.ClaimResult
	err := b.call(ctx, func(ctx context.Context) (err error) {
		res, err = b.store.Claim(ctx, b.claim(listed.Key, listed.Detail, now, now.Add(b.cfg.Timeout+grace)))
		return err
	})
	if err != nil {
		b.cfg.Logger.ErrorContext(ctx, "webhook not taken", "id", listed.Key.Value, "err", err)
		return ""
	}
	if !res.Won {
		return ""
	}
	rec := &res.Record
	again, why := b.post(ctx, rec.Key.Value, rec.Detail)
	switch {
	case why == nil:
		err = b.end(ctx, rec, onceward.StatusCompleted, "")
		if err == nil {
			return onceward.StatusCompleted
		}
	case ctx.Err() != nil:
		// We were told to stop: that is not the receiver's failure, but the
		// attempt counts. It is due at once, for another process.
		err = b.renew(ctx, rec, now)
	case again < 0 || rec.Attempt-1 >= b.cfg.MaxAttempts:
		b.cfg.Logger.ErrorContext(ctx, "webhook given up", "endpoint", b.cfg.Name, "id", rec.Key.Value, "attempts", rec.Attempt-1, "err", why)
		err = b.end(ctx, rec, onceward.StatusHeld, fmt.Sprintf("not delivered in %d attempts: %v", rec.Attempt-1, why))
		if err == nil {
			return onceward.StatusHeld
		}
	default:
		next := max(again, b.pause(rec.Attempt-1))
		b.cfg.Logger.WarnContext(ctx, "webhook not delivered", "endpoint", b.cfg.Name, "id", rec.Key.Value, "attempt", rec.Attempt-1, "next", next, "err", why)
		err = b.renew(ctx, rec, b.cfg.Now().Add(next))
	}
	if err != nil {
		// It stays ours until the lease lapses, and is tried again then.
		b.cfg.Logger.ErrorContext(ctx, "webhook not recorded; it is sent again", "id", rec.Key.Value, "err", err)
	}
	return onceward.StatusStarted
}

func (b *Outbox) end(ctx context.Context, rec *onceward.Record, status onceward.Status, reason string) error {
	now := b.cfg.Now()
	req := onceward.CompleteRequest{Claim: rec.Claim(), Now: now, Status: status, Reason: reason, ExpiresAt: onceward.Never}
	if status == onceward.StatusCompleted {
		req.ExpiresAt, req.Response = now.Add(b.cfg.Retention), &onceward.Response{Status: http.StatusOK}
	}
	return b.call(ctx, func(ctx context.Context) error { return b.store.Complete(ctx, req) })
}

func (b *Outbox) renew(ctx context.Context, rec *onceward.Record, until time.Time) error {
	return b.call(ctx, func(ctx context.Context) error {
		return b.store.Renew(ctx, onceward.RenewRequest{Claim: rec.Claim(), Now: b.cfg.Now(), LeaseUntil: until})
	})
}

// pause before the next attempt: doubled with each, and not in step with other
// messages.
func (b *Outbox) pause(attempts int) time.Duration {
	d := b.cfg.FirstRetry
	for range attempts - 1 {
		if d *= 2; d >= b.cfg.MaxRetry {
			d = b.cfg.MaxRetry
			break
		}
	}
	return d + rand.N(d/4+1) //nolint:gosec // no secret
}

// post makes one request. again is the pause that the receiver asks for,
// negative when it wants no more.
func (b *Outbox) post(ctx context.Context, id string, body []byte) (again time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, b.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	at := b.cfg.Now()
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "onceward")
	req.Header.Set(headerID, id)
	req.Header.Set(headerTimestamp, strconv.FormatInt(at.Unix(), 10))
	req.Header.Set(headerSignature, signature(b.secrets, id, at, body))
	res, err := b.client.Do(req)
	if err != nil {
		return 0, err
	}
	_, readErr := io.Copy(io.Discard, io.LimitReader(res.Body, maxAnswer))
	if err := errors.Join(readErr, res.Body.Close()); err != nil && res.StatusCode/100 == 2 {
		b.cfg.Logger.DebugContext(ctx, "webhook accepted, its answer cut off", "id", id, "err", err)
	}
	switch {
	case res.StatusCode/100 == 2:
		return 0, nil
	case res.StatusCode == http.StatusGone:
		return -1, errors.New("the receiver answered 410 Gone")
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	wait := min(time.Duration(max(0, min(seconds, 1<<20)))*time.Second, b.cfg.MaxRetry)
	return wait, fmt.Errorf("the receiver answered %d", res.StatusCode)
}
