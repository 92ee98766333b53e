// Package load drives a fixed number of callers in a closed loop and counts
// what they saw.
//
// With Run every caller sends its next request when the last one was answered, so
// the rate adapts to the system under test and the latencies are those at that
// rate. That compares two systems under the same number of callers; it does
// not tell how one behaves when requests arrive regardless of its answers: see
// Paced.
package load

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Result is what one or several runs saw.
type Result struct {
	// Latency of the requests that succeeded.
	Latency Histogram
	// Failed counts the requests that did not, and First is one reason.
	Failed int64
	First  error
	// Elapsed is from the first request to the last answer.
	Elapsed time.Duration
}

// Rate of successful requests per second.
func (r *Result) Rate() float64 {
	if r.Elapsed <= 0 {
		return 0
	}
	return float64(r.Latency.Count()) / r.Elapsed.Seconds()
}

// Millis is a quantile of the latency in milliseconds.
func (r *Result) Millis(q float64) float64 {
	return float64(r.Latency.Quantile(q)) / float64(time.Millisecond)
}

// Merge adds another run of the same system.
func (r *Result) Merge(other *Result) {
	r.Latency.Merge(&other.Latency)
	r.Failed += other.Failed
	r.Elapsed += other.Elapsed
	if r.First == nil {
		r.First = other.First
	}
}

// Request does one request of a caller, numbered from 0.
type Request func(ctx context.Context, caller int) error

// Run lets callers repeat request for d or until ctx ends. A request under way
// at that moment is finished and counted: cutting it off would leave out the
// slowest ones.
func Run(ctx context.Context, callers int, d time.Duration, request Request) *Result {
	var stop atomic.Bool
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	defer timer.Stop()
	return together(ctx, callers, request, func(context.Context) (time.Time, bool) {
		return time.Now(), !stop.Load()
	})
}

// Paced is Run at a given rate, as long as the system keeps up: the requests are
// due at even intervals, and latency counts from when one was due. A system that
// falls behind is seen to.
func Paced(ctx context.Context, callers int, perSecond float64, d time.Duration, request Request) *Result {
	var (
		n     atomic.Int64
		begun = time.Now()
	)
	return together(ctx, callers, request, func(ctx context.Context) (time.Time, bool) {
		due := time.Duration(float64(n.Add(1)-1) / perSecond * float64(time.Second))
		if due >= d {
			return time.Time{}, false
		}
		timer := time.NewTimer(time.Until(begun.Add(due)))
		defer timer.Stop()
		select {
		case <-timer.C:
			return begun.Add(due), true
		case <-ctx.Done():
			return time.Time{}, false
		}
	})
}

// together lets callers repeat request. next says from when a request counts, or
// that there is none.
func together(ctx context.Context, callers int, request Request, next func(context.Context) (time.Time, bool)) *Result {
	var (
		wg    sync.WaitGroup
		each  = make([]Result, callers)
		begun = time.Now()
	)
	for i := range each {
		wg.Go(func() {
			res := &each[i]
			for ctx.Err() == nil {
				from, more := next(ctx)
				if !more {
					return
				}
				if err := request(ctx, i); err != nil {
					res.Failed++
					if res.First == nil {
						res.First = err
					}
					continue
				}
				res.Latency.Add(time.Since(from))
			}
		})
	}
	wg.Wait()
	all := &Result{Elapsed: time.Since(begun)}
	for i := range each {
		each[i].Elapsed = 0
		all.Merge(&each[i])
	}
	return all
}
