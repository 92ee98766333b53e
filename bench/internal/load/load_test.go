package load_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward/bench/internal/load"
)

func TestQuantilesOfSmallNumbersAreExact(t *testing.T) {
	t.Parallel()
	var h load.Histogram
	for ns := range 100 {
		h.Add(time.Duration(ns + 1))
	}
	for q, want := range map[float64]time.Duration{0: 1, 0.01: 1, 0.5: 50, 0.99: 99, 0.995: 100, 1: 100} {
		if got := h.Quantile(q); got != want {
			t.Errorf("quantile %v = %d ns, want %d", q, got, want)
		}
	}
}

func TestQuantilesAreThoseOfTheSortedData(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	rng := rand.New(rand.NewPCG(seed, 1))
	var h, left, right load.Histogram
	var all []time.Duration
	for i := range 20_000 {
		d := time.Duration(rng.ExpFloat64() * float64(time.Second) / 50)
		all = append(all, d)
		if i%3 == 0 {
			left.Add(d)
		} else {
			right.Add(d)
		}
	}
	h.Merge(&left)
	h.Merge(&right)
	slices.Sort(all)
	if h.Count() != int64(len(all)) {
		t.Fatalf("counted %d of %d", h.Count(), len(all))
	}
	for _, q := range []float64{0.001, 0.25, 0.5, 0.9, 0.99, 0.9999, 1} {
		want := all[max(int(q*float64(len(all))), 1)-1]
		if got := h.Quantile(q); got < want || got-want > want/100 {
			t.Errorf("seed %d: quantile %v = %v, want %v and at most 1 %% more", seed, q, got, want)
		}
	}
}

func TestQuantileOfNothing(t *testing.T) {
	t.Parallel()
	var h load.Histogram
	if got := h.Quantile(0.99); got != 0 {
		t.Errorf("%v", got)
	}
	h.Add(-time.Second)
	h.Add(1<<63 - 1)
	if lo, hi := h.Quantile(0.5), h.Quantile(1); lo != 0 || hi != 1<<63-1 {
		t.Errorf("from %v to %v", lo, hi)
	}
}

// Ten callers, 3 ms a request, for 30 ms: the fake clock makes it exact.
func TestRun(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	synctest.Test(t, func(t *testing.T) {
		res := load.Run(t.Context(), 10, 29*time.Millisecond, func(_ context.Context, caller int) error {
			time.Sleep(3 * time.Millisecond)
			if caller == 9 {
				return broken
			}
			return nil
		})
		if n := res.Latency.Count(); n != 90 || res.Failed != 10 || !errors.Is(res.First, broken) {
			t.Errorf("%d succeeded, %d failed with %v", n, res.Failed, res.First)
		}
		if res.Elapsed != 30*time.Millisecond || int(res.Rate()+0.5) != 3000 {
			t.Errorf("%v, %v/s", res.Elapsed, res.Rate())
		}
		if p99 := res.Millis(0.99); p99 < 3 || p99 > 3.03 {
			t.Errorf("p99 %v ms", p99)
		}
	})
}

func TestPacedCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		// Ten are due in a second, and each takes a fifth of one.
		slow := func(context.Context, int) error {
			time.Sleep(200 * time.Millisecond)
			return nil
		}
		res := load.Paced(t.Context(), 1, 10, time.Second, slow)
		if res.Latency.Count() != 10 || res.Elapsed != 2*time.Second {
			t.Errorf("%d requests in %v", res.Latency.Count(), res.Elapsed)
		}
		if got := res.Millis(1); got < 1100 || got > 1111 {
			t.Errorf("the last one took %v ms since it was due", got)
		}
		res = load.Paced(t.Context(), 3, 10, time.Second, slow)
		if res.Latency.Count() != 10 || res.Millis(1) > 202 {
			t.Errorf("three callers: %d requests, %v ms", res.Latency.Count(), res.Millis(1))
		}
	})
}
