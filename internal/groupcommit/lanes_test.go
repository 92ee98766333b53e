package groupcommit_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward/internal/groupcommit"
)

type op struct{ lane, n int }

func laneOf(o op) int { return o.lane }

// TestLanesStayApart: a batch holds one lane, a lane has one batch at a time and
// keeps its order, and no more than Writers batches are under way.
func TestLanesStayApart(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const lanes, each, writers = 5, 40, 3
		var mu sync.Mutex
		seen := make([][]int, lanes)
		var working [lanes]atomic.Int32
		var total, most, batches atomic.Int32
		c, err := groupcommit.NewLanes(func(_ context.Context, batch []op) error {
			lane := batch[0].lane
			if working[lane].Add(1) != 1 {
				t.Errorf("two batches of lane %d at the same time", lane)
			}
			most.Store(max(most.Load(), total.Add(1)))
			batches.Add(1)
			time.Sleep(time.Millisecond)
			mu.Lock()
			for _, o := range batch {
				if o.lane != lane {
					t.Errorf("lanes %d and %d in one batch", lane, o.lane)
				}
				seen[lane] = append(seen[lane], o.n)
			}
			mu.Unlock()
			total.Add(-1)
			working[lane].Add(-1)
			return nil
		}, lanes, laneOf, groupcommit.Config{Writers: writers, MaxBatch: 7})
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for n := range each {
			for lane := range lanes {
				wg.Go(func() {
					if err := c.Do(t.Context(), op{lane, n}); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait() // all are queued, in this order
		}
		wg.Wait()
		for lane, got := range seen {
			if len(got) != each {
				t.Errorf("lane %d committed %d of %d", lane, len(got), each)
			}
			for i, n := range got {
				if n != i {
					t.Fatalf("lane %d committed %v", lane, got)
				}
			}
		}
		if most.Load() != writers {
			t.Errorf("%d batches at the same time, want %d", most.Load(), writers)
		}
		if batches.Load() >= lanes*each/2 {
			t.Errorf("%d batches for %d operations: nothing was grouped", batches.Load(), lanes*each)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
}

// TestALaneSurvivesItsCommit: neither a panic nor Goexit blocks the lane.
func TestALaneSurvivesItsCommit(t *testing.T) {
	t.Parallel()
	c, err := groupcommit.NewLanes(func(_ context.Context, batch []op) error {
		switch batch[0].n {
		case 0:
			panic("no")
		case 1:
			runtime.Goexit()
		}
		return nil
	}, 2, laneOf, groupcommit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for n, want := range []error{groupcommit.ErrPanicked, groupcommit.ErrPanicked, nil} {
		if err := c.Do(t.Context(), op{1, n}); !errors.Is(err, want) {
			t.Errorf("operation %d: %v, want %v", n, err, want)
		}
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}
