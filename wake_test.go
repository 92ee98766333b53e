package onceward_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
)

// wakingStore is a store that tells when operations may have ended.
type wakingStore struct {
	*spy
	mu       sync.Mutex
	watchers map[chan struct{}]onceward.Key
}

func (s *wakingStore) Watch(key onceward.Key) (<-chan struct{}, func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watchers == nil {
		s.watchers = make(map[chan struct{}]onceward.Key)
	}
	ch := make(chan struct{}, 1)
	s.watchers[ch] = key
	return ch, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, ch)
	}
}

func (s *wakingStore) wake() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	for ch := range s.watchers {
		ch <- struct{}{}
	}
	return len(s.watchers)
}

// TestWaitersAreWokenUp: who waits for another process learns of the end when it
// comes, and not when it would have asked next.
func TestWaitersAreWokenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		there := newSpy()
		here := &wakingStore{spy: on(there.Store)}
		ours, err := onceward.New(here, onceward.Config{})
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := onceward.New(there, onceward.Config{})
		if err != nil {
			t.Fatal(err)
		}
		req := onceward.Request{Key: onceward.Key{Value: "k"}, Fingerprint: []byte("f"), Wait: time.Minute}
		began := time.Now()
		const takes = 20 * time.Second
		var wg sync.WaitGroup
		wg.Go(func() {
			_, err := theirs.Do(t.Context(), req, func(context.Context, *onceward.Operation) (onceward.Response, error) {
				time.Sleep(takes)
				return onceward.Response{Status: 201}, nil
			})
			if err != nil {
				t.Error(err)
			}
			if n := here.wake(); n != 1 {
				t.Errorf("%d watch", n)
			}
		})
		synctest.Wait() // it has begun
		out, err := ours.Do(t.Context(), req, nil)
		if err != nil || !out.Replayed || time.Since(began) != takes {
			t.Errorf("%+v, %v after %v; want it after %v", out, err, time.Since(began), takes)
		}
		wg.Wait()
		if n := here.wake(); n != 0 {
			t.Errorf("%d watch on", n)
		}
	})
}

// TestManyWaitersPollLess: a thousand requests that wait do not ask two thousand
// times a second.
func TestManyWaitersPollLess(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		there := newSpy()
		here := &wakingStore{spy: on(there.Store)}
		ours, err := onceward.New(here, onceward.Config{Lease: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		const waiters = 3000
		var wg sync.WaitGroup
		for i := range waiters {
			key := onceward.Key{Value: string(rune('\u4e00' + i))}
			now := time.Now()
			if _, err := there.Claim(t.Context(), onceward.ClaimRequest{
				Key: key, Owner: onceward.NewOwner(), Now: now, LeaseUntil: now.Add(time.Hour), ExpiresAt: onceward.Never,
			}); err != nil {
				t.Fatal(err)
			}
			wg.Go(func() {
				_, err := ours.Do(t.Context(), onceward.Request{Key: key, Wait: time.Minute}, nil)
				if onceward.CodeOf(err) != onceward.CodeInProgress {
					t.Error(err)
				}
			})
		}
		time.Sleep(30 * time.Second)
		before := here.count("Get")
		time.Sleep(20 * time.Second)
		if rate := (here.count("Get") - before) / 20; rate > 1500 {
			t.Errorf("%d reads a second by %d requests", rate, waiters)
		}
		wg.Wait()
	})
}
