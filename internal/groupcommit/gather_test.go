package groupcommit_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward/internal/groupcommit"
)

// commitTime is what a commit takes.
const commitTime = 8 * time.Millisecond

// soon is when a caller comes back who goes on at once.
const soon = time.Millisecond

// journal is a commit function that takes down when each batch began, and with
// how many operations.
type journal struct {
	start   time.Time
	mu      sync.Mutex
	batches []string
}

func (j *journal) commit(_ context.Context, batch []op) error {
	j.mu.Lock()
	j.batches = append(j.batches, fmt.Sprintf("%d at %v", len(batch), time.Since(j.start)))
	j.mu.Unlock()
	<-time.After(commitTime)
	return nil
}

// gathered runs test with a Committer that gathers, and compares its batches.
func gathered(t *testing.T, lanes int, cfg groupcommit.Config, test func(call func(lane int, pauses ...time.Duration)), want ...string) {
	t.Helper()
	cfg.Gather = true
	synctest.Test(t, func(t *testing.T) {
		j := &journal{start: time.Now()}
		c, err := groupcommit.NewLanes(j.commit, lanes, laneOf, cfg)
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		test(func(lane int, pauses ...time.Duration) {
			wg.Go(func() {
				for _, pause := range pauses {
					time.Sleep(pause)
					if err := c.Do(t.Context(), op{lane: lane}); err != nil {
						t.Error(err)
					}
				}
			})
			synctest.Wait()
		})
		wg.Wait()
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if !slices.Equal(j.batches, want) {
			t.Errorf("batches %q, want %q", j.batches, want)
		}
	})
}

// Callers who come back soon share one commit, and not two by turns.
func TestGatherCallersWhoComeBack(t *testing.T) {
	t.Parallel()
	gathered(t, 1, groupcommit.Config{}, func(call func(int, ...time.Duration)) {
		for range 4 {
			call(0, 0, soon, soon)
		}
	}, "1 at 0s", "3 at 8ms", "4 at 17ms", "4 at 26ms")
}

// Whoever is alone is not held back.
func TestGatherLeavesALoneCallerAlone(t *testing.T) {
	t.Parallel()
	gathered(t, 1, groupcommit.Config{}, func(call func(int, ...time.Duration)) {
		call(0, 0, 0, 0)
	}, "1 at 0s", "1 at 8ms", "1 at 16ms")
}

// Two new callers come for every commit, and none comes back: the wait is a
// quarter of a commit, and after it one batch is not held back, then two.
func TestGatherGivesUpInVain(t *testing.T) {
	t.Parallel()
	gathered(t, 1, groupcommit.Config{}, func(call func(int, ...time.Duration)) {
		for n := range 9 {
			at := time.Duration(n) * 9500 * time.Microsecond
			call(0, at)
			call(0, at)
		}
	}, "1 at 0s", "1 at 8ms", "2 at 16ms", "2 at 26ms", "2 at 34ms", "2 at 44ms", "2 at 52ms", "2 at 60ms", "2 at 70ms", "2 at 78ms")
}

// A batch that is full is not held back.
func TestGatherNoMoreThanABatch(t *testing.T) {
	t.Parallel()
	gathered(t, 1, groupcommit.Config{MaxBatch: 3}, func(call func(int, ...time.Duration)) {
		for range 7 {
			call(0, 0)
		}
	}, "1 at 0s", "3 at 8ms", "3 at 16ms")
}

// A lane that waits takes no writer from another one.
func TestGatherNeedsAWriterForEveryLane(t *testing.T) {
	t.Parallel()
	work := func(call func(int, ...time.Duration)) {
		for range 3 {
			call(0, 0, soon)
		}
	}
	gathered(t, 2, groupcommit.Config{Writers: 1}, work, "1 at 0s", "2 at 8ms", "1 at 16ms", "2 at 24ms")
	gathered(t, 2, groupcommit.Config{Writers: 2}, work, "1 at 0s", "2 at 8ms", "3 at 17ms")
}
