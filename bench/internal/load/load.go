// Package load drives a fixed number of callers in a closed loop and counts
// what they saw.
//
// Every caller sends its next request when the last one was answered, so the
// rate adapts to the system under test and the latencies are those at that
// rate. That compares two systems under the same number of callers; it does
// not tell how one behaves when requests arrive regardless of its answers.
package load

import (
	"context"
	"errors"
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

// ErrDone ends a caller's turn early, without counting as a failure.
var ErrDone = errors.New("load: there is nothing more to do")

// Request does one request of a caller, numbered from 0.
type Request func(ctx context.Context, caller int) error

// Run lets callers repeat request for d or until ctx ends. A request under way
// at that moment is finished and counted: cutting it off would leave out the
// slowest ones.
func Run(ctx context.Context, callers int, d time.Duration, request Request) *Result {
	var (
		wg    sync.WaitGroup
		stop  atomic.Bool
		each  = make([]Result, callers)
		begun = time.Now()
	)
	for i := range each {
		wg.Go(func() {
			res := &each[i]
			for !stop.Load() && ctx.Err() == nil {
				from := time.Now()
				if err := request(ctx, i); errors.Is(err, ErrDone) {
					return
				} else if err != nil {
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
	timer := time.AfterFunc(d, func() { stop.Store(true) })
	wg.Wait()
	timer.Stop()
	all := &Result{Elapsed: time.Since(begun)}
	for i := range each {
		each[i].Elapsed = 0
		all.Merge(&each[i])
	}
	return all
}
