package groupcommit_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward/internal/groupcommit"
)

var errDisk = errors.New("the disk said no")

// ledger is a commit function that takes down its batches. A batch goes on
// when the test lets one pass, or at once when gate is nil.
type ledger struct {
	gate chan struct{}
	fail func(batch []int) error

	mu      sync.Mutex
	batches [][]int
	ctxErrs []error // of each batch, when it went on
	running int
	most    int
}

func (l *ledger) commit(ctx context.Context, batch []int) error {
	own := slices.Clone(batch) // the slice is reused
	l.mu.Lock()
	l.batches = append(l.batches, own)
	l.running++
	l.most = max(l.most, l.running)
	l.mu.Unlock()
	if l.gate != nil {
		<-l.gate
	}
	l.mu.Lock()
	l.running--
	l.ctxErrs = append(l.ctxErrs, ctx.Err())
	l.mu.Unlock()
	if l.fail != nil {
		return l.fail(own)
	}
	return nil
}

func (l *ledger) seen() [][]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.batches)
}

func (l *ledger) want(t *testing.T, want ...[]int) {
	t.Helper()
	if got := l.seen(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("batches %v, want %v", got, want)
	}
}

func newCommitter(t *testing.T, l *ledger, cfg groupcommit.Config) *groupcommit.Committer[int] {
	t.Helper()
	c, err := groupcommit.New(l.commit, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// async hands op over in a goroutine, and returns when it waits or is done.
func async(ctx context.Context, c *groupcommit.Committer[int], op int) <-chan error {
	done := make(chan error, 1)
	go func() { done <- c.Do(ctx, op) }()
	synctest.Wait()
	return done
}

func TestNewChecksItsConfig(t *testing.T) {
	t.Parallel()
	if _, err := groupcommit.New[int](nil, groupcommit.Config{}); err == nil {
		t.Error("accepted without a commit function")
	}
	for _, cfg := range []groupcommit.Config{{MaxBatch: -1}, {MaxPending: -1}, {Writers: -1}} {
		if _, err := groupcommit.New((&ledger{}).commit, cfg); err == nil {
			t.Errorf("accepted %+v", cfg)
		}
	}
}

// What waits while a batch commits is the next batch, in the order of its
// arrival; a lone caller does not wait for company.
func TestWhatWaitsIsTheNextBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{})}
		c := newCommitter(t, l, groupcommit.Config{MaxBatch: 4})
		var replies []<-chan error
		for op := range 10 {
			replies = append(replies, async(t.Context(), c, op))
		}
		l.want(t, []int{0})
		start := time.Now()
		for range 4 {
			l.gate <- struct{}{}
			synctest.Wait()
		}
		l.want(t, []int{0}, []int{1, 2, 3, 4}, []int{5, 6, 7, 8}, []int{9})
		for _, r := range replies {
			if err := <-r; err != nil {
				t.Error(err)
			}
		}
		if d := time.Since(start); d != 0 {
			t.Errorf("something waited %v for a batch to fill", d)
		}
		l.gate = nil
		if err := c.Do(t.Context(), 10); err != nil { // idle again: at once
			t.Error(err)
		}
	})
}

func TestOneOperationACommit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{})}
		c := newCommitter(t, l, groupcommit.Config{MaxBatch: 1})
		for op := range 3 {
			async(t.Context(), c, op)
		}
		for range 3 {
			l.gate <- struct{}{}
		}
		synctest.Wait()
		l.want(t, []int{0}, []int{1}, []int{2})
	})
}

// Do reports the commit of its own batch, and no other.
func TestErrorsStayInTheirBatch(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{}), fail: func(batch []int) error {
			if slices.Contains(batch, 2) {
				return errDisk
			}
			return nil
		}}
		c := newCommitter(t, l, groupcommit.Config{MaxBatch: 2})
		var replies []<-chan error
		for op := range 5 { // 0 | 1 2 | 3 4
			replies = append(replies, async(t.Context(), c, op))
		}
		close(l.gate)
		for op, r := range replies {
			if err := <-r; errors.Is(err, errDisk) != (op == 1 || op == 2) {
				t.Errorf("operation %d: %v", op, err)
			}
		}
	})
}

// What the commit writes into the operation its caller sees.
func TestResultsAreVisible(t *testing.T) {
	t.Parallel()
	c, err := groupcommit.New(func(_ context.Context, batch []*int) error {
		for _, n := range batch {
			*n *= 2
		}
		return nil
	}, groupcommit.Config{})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			n := i
			if err := c.Do(t.Context(), &n); err != nil || n != 2*i {
				t.Errorf("%d became %d, %v", i, n, err)
			}
		})
	}
	wg.Wait()
}

// Back-pressure: MaxPending counts those who wait and those being committed.
// More wait for room, for as long as their context lasts.
func TestFull(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{})}
		c := newCommitter(t, l, groupcommit.Config{MaxPending: 3})
		for op := range 3 {
			async(t.Context(), c, op)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := c.Do(ctx, 3)
		if !errors.Is(err, groupcommit.ErrFull) || !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v; want ErrFull when the context ends", time.Since(start), err)
		}
		patient := async(t.Context(), c, 4)
		l.gate <- struct{}{} // makes room for one
		synctest.Wait()
		close(l.gate)
		if err := <-patient; err != nil {
			t.Error(err)
		}
		synctest.Wait()
		for op := range 3 { // every slot has been given back
			if err := c.Do(t.Context(), 10+op); err != nil {
				t.Error(err)
			}
		}
		if slices.Contains(slices.Concat(l.seen()...), 3) {
			t.Error("an operation that was not accepted was committed")
		}
	})
}

func TestContextThatHasEnded(t *testing.T) {
	t.Parallel()
	l := &ledger{}
	c := newCommitter(t, l, groupcommit.Config{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errDisk)
	if err := c.Do(ctx, 1); !errors.Is(err, errDisk) || errors.Is(err, groupcommit.ErrAbandoned) {
		t.Errorf("got %v; want the cause, and nothing that sounds like an unknown outcome", err)
	}
	l.want(t)
}

// A caller that goes away learns that the outcome is unknown; its operation
// stays in its batch and takes no other caller's answer.
func TestAbandoned(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{}), fail: func(batch []int) error {
			if slices.Contains(batch, 1) {
				return errDisk
			}
			return nil
		}}
		c := newCommitter(t, l, groupcommit.Config{MaxBatch: 1})
		ctx, cancel := context.WithCancelCause(t.Context())
		committing, waiting := async(ctx, c, 0), async(ctx, c, 1)
		stays := async(t.Context(), c, 2)
		cancel(errors.New("the client hung up"))
		for _, r := range []<-chan error{committing, waiting} {
			err := <-r
			if !errors.Is(err, groupcommit.ErrAbandoned) || !strings.Contains(err.Error(), "hung up") {
				t.Errorf("got %v, want ErrAbandoned and the cause", err)
			}
		}
		late := async(t.Context(), c, 3) // may not be handed an abandoned call's answer
		close(l.gate)
		if err := errors.Join(<-stays, <-late); err != nil {
			t.Error(err)
		}
		l.want(t, []int{0}, []int{1}, []int{2}, []int{3})
	})
}

func TestWritersCommitSideBySide(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{})}
		c := newCommitter(t, l, groupcommit.Config{Writers: 3, MaxBatch: 2})
		var replies []<-chan error
		for op := range 9 {
			replies = append(replies, async(t.Context(), c, op))
		}
		l.want(t, []int{0}, []int{1}, []int{2})
		close(l.gate)
		for _, r := range replies {
			if err := <-r; err != nil {
				t.Error(err)
			}
		}
		if l.most != 3 {
			t.Errorf("%d batches at the same time, want 3", l.most)
		}
		got := slices.Concat(l.seen()...)
		slices.Sort(got)
		if !slices.Equal(got, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}) {
			t.Errorf("committed %v", got)
		}
	})
}
