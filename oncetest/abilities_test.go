package oncetest_test

import (
	"context"
	"sync"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
)

// able is the memory store with the abilities that it lacks, as far as the
// suite can see them: no handler writes anything in its transactions.
type able struct {
	*memstore.Store
	mu       sync.Mutex
	watchers map[onceward.Key][]chan struct{}
}

type emptyTx struct {
	s *able
	// over is set when the transaction has ended.
	over bool
}

func (s *able) Begin(context.Context, onceward.Key) (onceward.Tx, error) { return &emptyTx{s: s}, nil }

func (t *emptyTx) Driver() any { return t }

func (t *emptyTx) Rollback() error {
	t.over = true
	return nil
}

func (t *emptyTx) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if t.over {
		return onceward.ErrTxEnded
	}
	t.over = true
	rec, err := t.s.Get(ctx, onceward.GetRequest{Key: req.Claim.Key, Now: req.Now})
	if err != nil || rec.Status != onceward.StatusStarted {
		return onceward.ErrFenced
	}
	return t.s.Complete(ctx, req)
}

func (s *able) Watch(key onceward.Key) (wake <-chan struct{}, stop func()) {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watchers[key] = append(s.watchers[key], ch)
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for i, other := range s.watchers[key] {
			if other == ch {
				s.watchers[key] = append(s.watchers[key][:i:i], s.watchers[key][i+1:]...)
				return
			}
		}
	}
}

func (s *able) wake(key onceward.Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, ch := range s.watchers[key] {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (s *able) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	defer s.wake(req.Claim.Key)
	return s.Store.Complete(ctx, req)
}

func (s *able) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	defer s.wake(req.Claim.Key)
	return s.Store.Release(ctx, req)
}

// The suite's own cases of every ability hold on a store that is simple enough
// to be right.
func TestEverything(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(*testing.T) onceward.Store {
		return &able{Store: memstore.New(), watchers: make(map[onceward.Key][]chan struct{})}
	}, oncetest.Everything()...)
}
