package oncetest

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/onceward/onceward"
)

// Event is one finished call of a recorded store.
type Event struct {
	Client int
	Op     Op
	Key    onceward.Key
	// Began and Ended order the history: a call whose Ended is below another's
	// Began was over before that one began.
	Began, Ended int64
	// Request is the request struct of the call.
	Request any
	// Claimed is the result of a Claim, Record that of a Get.
	Claimed onceward.ClaimResult
	Record  onceward.Record
	Err     error
}

// Recorder is a store that writes down its history, for Check or for a checker
// of linearizability. Calls of the optional interfaces are not recorded: wrap
// a store and sweep the original.
type Recorder struct {
	store  onceward.Store
	client int
	log    *eventLog
}

type eventLog struct {
	clock  atomic.Int64
	mu     sync.Mutex
	events []Event
}

var _ onceward.Store = (*Recorder)(nil)

// NewRecorder wraps store.
func NewRecorder(store onceward.Store) *Recorder {
	return &Recorder{store: store, log: &eventLog{}}
}

// As returns a Recorder that writes into the same history under the name of a
// client, who makes one call after the other.
func (r *Recorder) As(client int) *Recorder {
	return &Recorder{store: r.store, client: client, log: r.log}
}

// History returns what has happened, in the order in which it ended.
func (r *Recorder) History() []Event {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	return slices.Clone(r.log.events)
}

func (r *Recorder) record(ev Event, call func(*Event)) {
	ev.Client, ev.Began = r.client, r.log.clock.Add(1)
	call(&ev)
	ev.Ended = r.log.clock.Add(1)
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	r.log.events = append(r.log.events, ev)
}

// Claim implements onceward.Store.
func (r *Recorder) Claim(ctx context.Context, req onceward.ClaimRequest) (res onceward.ClaimResult, err error) {
	r.record(Event{Op: OpClaim, Key: req.Key, Request: req}, func(ev *Event) {
		res, err = r.store.Claim(ctx, req)
		ev.Claimed, ev.Err = res, err
	})
	return res, err
}

// Renew implements onceward.Store.
func (r *Recorder) Renew(ctx context.Context, req onceward.RenewRequest) (err error) {
	r.record(Event{Op: OpRenew, Key: req.Claim.Key, Request: req}, func(ev *Event) {
		err = r.store.Renew(ctx, req)
		ev.Err = err
	})
	return err
}

// Checkpoint implements onceward.Store.
func (r *Recorder) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) (err error) {
	r.record(Event{Op: OpCheckpoint, Key: req.Claim.Key, Request: req}, func(ev *Event) {
		err = r.store.Checkpoint(ctx, req)
		ev.Err = err
	})
	return err
}

// Complete implements onceward.Store.
func (r *Recorder) Complete(ctx context.Context, req onceward.CompleteRequest) (err error) {
	r.record(Event{Op: OpComplete, Key: req.Claim.Key, Request: req}, func(ev *Event) {
		err = r.store.Complete(ctx, req)
		ev.Err = err
	})
	return err
}

// Release implements onceward.Store.
func (r *Recorder) Release(ctx context.Context, req onceward.ReleaseRequest) (err error) {
	r.record(Event{Op: OpRelease, Key: req.Claim.Key, Request: req}, func(ev *Event) {
		err = r.store.Release(ctx, req)
		ev.Err = err
	})
	return err
}

// Get implements onceward.Store.
func (r *Recorder) Get(ctx context.Context, req onceward.GetRequest) (rec onceward.Record, err error) {
	r.record(Event{Op: OpGet, Key: req.Key, Request: req}, func(ev *Event) {
		rec, err = r.store.Get(ctx, req)
		ev.Record, ev.Err = rec, err
	})
	return rec, err
}

// Clients lets several clients work on a few keys of store at the same time,
// each by a random sequence of its own, with a sweeper between them if the
// store has one, and returns their history. Equal seeds draw equal requests;
// how they meet differs each time.
func Clients(ctx context.Context, store onceward.Store, seed uint64, clients, keys, steps int) []Event {
	rec := NewRecorder(store)
	var wg sync.WaitGroup
	var shared claimBoard
	for c := range clients {
		seq := newSequence(seed+uint64(c), keys)
		wg.Go(func() {
			for range steps {
				seq.act(ctx, rec.As(c), &shared)
			}
		})
	}
	done := make(chan struct{})
	var sweeping sync.WaitGroup
	if s, ok := store.(onceward.Sweeper); ok {
		sweeping.Go(func() {
			now := newSequence(seed, 1)
			for {
				select {
				case <-done:
					return
				default:
				}
				// Nobody's answer depends on it, so neither does the history.
				_, _ = s.Sweep(ctx, onceward.SweepRequest{Now: now.now.Add(-lease), Limit: 10})
			}
		})
	}
	wg.Wait()
	close(done)
	sweeping.Wait()
	return rec.History()
}

// claimBoard shows every client the claims of all, so that they get in each
// other's way.
type claimBoard struct {
	mu     sync.Mutex
	claims []onceward.Claim
}

func (b *claimBoard) add(c onceward.Claim) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims = append(b.claims, c)
}

func (b *claimBoard) last(n int) []onceward.Claim {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.claims[max(0, len(b.claims)-n):])
}

// act makes one random call. The recorder has taken down how it ended.
func (s *sequence) act(ctx context.Context, store onceward.Store, shared *claimBoard) {
	s.tick()
	s.claims = shared.last(3 * len(s.keys))
	switch s.rng.IntN(8) {
	case 0, 1, 2:
		if res, err := store.Claim(ctx, s.claim()); err == nil && res.Won {
			shared.add(res.Record.Claim())
		}
	case 3, 4:
		_ = store.Complete(ctx, s.complete())
	case 5:
		_ = store.Renew(ctx, s.renew())
	case 6:
		if s.chance(2) {
			_ = store.Checkpoint(ctx, s.checkpoints())
		} else {
			_ = store.Release(ctx, onceward.ReleaseRequest{Claim: s.held(), Now: s.now})
		}
	default:
		_, _ = store.Get(ctx, onceward.GetRequest{Key: s.key(), Now: s.now})
	}
}
