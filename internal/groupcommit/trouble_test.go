package groupcommit_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward/internal/groupcommit"
)

// A commit that does not return fails its own batch, and the work goes on.
func TestCommitThatDoesNotReturn(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(){
		"panic":  func() { panic("out of paper") },
		"Goexit": runtime.Goexit,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := &ledger{gate: make(chan struct{}), fail: func(batch []int) error {
					if batch[0] == 1 {
						leave()
					}
					return nil
				}}
				c := newCommitter(t, l, groupcommit.Config{MaxBatch: 2, MaxPending: 5})
				var replies []<-chan error
				for op := range 5 { // 0 | 1 2 | 3 4
					replies = append(replies, async(t.Context(), c, op))
				}
				close(l.gate)
				for op, r := range replies {
					err := <-r
					if errors.Is(err, groupcommit.ErrPanicked) != (op == 1 || op == 2) || err == nil != (op != 1 && op != 2) {
						t.Errorf("operation %d: %v", op, err)
					}
					if name == "panic" && op == 1 && !strings.Contains(err.Error(), "out of paper") {
						t.Errorf("the error hides the panic: %v", err)
					}
				}
				for op := range 10 { // slots and writer are as they were
					if err := c.Do(t.Context(), 100+op); err != nil {
						t.Error(err)
					}
				}
				if err := c.Close(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Close finishes what was accepted and refuses the rest, those who wait for
// room among them.
func TestCloseDrains(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{gate: make(chan struct{})}
		c := newCommitter(t, l, groupcommit.Config{MaxBatch: 1, MaxPending: 3})
		var accepted []<-chan error
		for op := range 3 {
			accepted = append(accepted, async(t.Context(), c, op))
		}
		outside := async(t.Context(), c, 3)
		closed := make(chan error, 2)
		for range 2 { // closing twice is the same as closing once
			go func() { closed <- c.Close(t.Context()) }()
		}
		synctest.Wait()
		if err := <-outside; !errors.Is(err, groupcommit.ErrClosed) {
			t.Errorf("who waited for room got %v", err)
		}
		select {
		case err := <-closed:
			t.Fatalf("closed before everything was committed: %v", err)
		default:
		}
		close(l.gate)
		for _, r := range accepted {
			if err := <-r; err != nil {
				t.Error(err)
			}
		}
		if err := errors.Join(<-closed, <-closed); err != nil {
			t.Error(err)
		}
		if err := c.Do(t.Context(), 4); !errors.Is(err, groupcommit.ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
		l.want(t, []int{0}, []int{1}, []int{2})
		for _, err := range l.ctxErrs {
			if err != nil {
				t.Errorf("the context of a commit ended, although Close had time: %v", err)
			}
		}
	})
}

func TestCloseOfAnIdleCommitter(t *testing.T) {
	t.Parallel()
	c := newCommitter(t, &ledger{}, groupcommit.Config{})
	for range 2 {
		if err := c.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if err := c.Do(t.Context(), 1); !errors.Is(err, groupcommit.ErrClosed) {
		t.Error(err)
	}
}

// A Close that runs out of time tells the commits, and leaves nobody waiting:
// every accepted operation still gets its answer.
func TestCloseGivesUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := &ledger{}
		c, err := groupcommit.New(func(ctx context.Context, batch []int) error {
			if batch[0] == 0 {
				<-ctx.Done() // hangs until it is told
			}
			_ = l.commit(ctx, batch)
			return ctx.Err()
		}, groupcommit.Config{MaxBatch: 1})
		if err != nil {
			t.Fatal(err)
		}
		replies := []<-chan error{async(t.Context(), c, 0), async(t.Context(), c, 1)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Close returned %v", err)
		}
		for _, r := range replies {
			if err := <-r; !errors.Is(err, context.Canceled) {
				t.Errorf("got %v, want what the commit said", err)
			}
		}
		l.want(t, []int{0}, []int{1})
		if err := c.Close(t.Context()); err != nil { // everything has ended by now
			t.Error(err)
		}
	})
}

// New starts nothing, and no goroutine outlives its work: a bubble whose last
// goroutines were blocked would fail.
func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCommitter(t, &ledger{}, groupcommit.Config{Writers: 4})
		for op := range 100 {
			async(t.Context(), c, op)
		}
		synctest.Wait()
		if err := c.Do(t.Context(), 100); err != nil {
			t.Error(err)
		}
	})
}

// Everything at once. The invariant behind it: while the queue is not empty a
// writer runs. Were it broken, a caller would wait for ever, which ends the
// bubble with a deadlock.
func TestTorture(t *testing.T) {
	t.Parallel()
	for range 20 {
		seed := rand.Uint64()
		synctest.Test(t, func(t *testing.T) { torture(t, seed) })
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

type fate struct {
	committed atomic.Int32 // batches that held it
	ok        atomic.Bool  // its batch returned nil
	abandoned atomic.Bool  // its caller was told so
}

// torture lets many callers come, wait and leave at random.
//
// Its pauses are never zero: receiving from a timer that has already fired, in a
// synctest bubble and under the race detector, crashes Go 1.26's runtime now and
// then.
func torture(t *testing.T, seed uint64) {
	const ops = 400
	rng := rand.New(rand.NewPCG(seed, 0))
	cfg := groupcommit.Config{MaxBatch: 1 + rng.IntN(20), MaxPending: 1 + rng.IntN(50), Writers: 1 + rng.IntN(4)}
	var mu sync.Mutex // of rng
	draw := func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return rng.IntN(n)
	}
	fates := make([]fate, ops)
	var running atomic.Int32
	c, err := groupcommit.New(func(_ context.Context, batch []int) error {
		if n := running.Add(1); int(n) > cfg.Writers || len(batch) > cfg.MaxBatch || len(batch) == 0 {
			t.Errorf("%d batches at the same time, one of %d; %+v", n, len(batch), cfg)
		}
		defer running.Add(-1)
		for _, op := range batch {
			fates[op].committed.Add(1)
		}
		<-time.After(time.Duration(1+draw(5)) * time.Millisecond)
		switch draw(10) {
		case 0:
			panic("torture")
		case 1:
			runtime.Goexit()
		case 2:
			return errDisk
		}
		for _, op := range batch {
			fates[op].ok.Store(true)
		}
		return nil
	}, cfg)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for op := range ops {
		arrives, patience := time.Duration(1+draw(40))*time.Millisecond, time.Duration(1+draw(60))*time.Millisecond
		wg.Go(func() {
			<-time.After(arrives)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := c.Do(ctx, op)
			f := &fates[op]
			refused := errors.Is(err, groupcommit.ErrFull) || errors.Is(err, groupcommit.ErrClosed)
			switch n := f.committed.Load(); {
			case err == nil && (n != 1 || !f.ok.Load()):
				t.Errorf("operation %d: reported as committed; in %d batches, ok %v", op, n, f.ok.Load())
			case refused && n != 0:
				t.Errorf("operation %d: refused, and in %d batches", op, n)
			case n > 1:
				t.Errorf("operation %d: in %d batches", op, n)
			case err != nil && !refused && !errors.Is(err, groupcommit.ErrAbandoned) && !errors.Is(err, groupcommit.ErrPanicked) &&
				!errors.Is(err, errDisk):
				t.Errorf("operation %d: %v", op, err)
			}
			f.abandoned.Store(errors.Is(err, groupcommit.ErrAbandoned))
		})
	}
	<-time.After(time.Duration(draw(60)) * time.Millisecond)
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
	for op := range fates {
		if n := fates[op].committed.Load(); fates[op].abandoned.Load() && n != 1 {
			t.Errorf("operation %d: accepted and abandoned, in %d batches", op, n)
		}
	}
}
