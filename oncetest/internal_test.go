package oncetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// broken is a memory store with one thing wrong.
type broken struct {
	*memstore.Store
	wrong map[Op]bool
	mu    sync.Mutex
	rng   *rand.Rand
	stale map[onceward.Key]onceward.Record
}

func (b *broken) sometimes(op Op) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.wrong[op] && b.rng.IntN(4) == 0
}

func (b *broken) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	res, err := b.Store.Claim(ctx, req)
	if !res.Won && b.sometimes(OpClaim) { // a live claim is taken
		res.Won, res.Record.Owner = true, req.Owner
	}
	return res, err
}

func (b *broken) Renew(ctx context.Context, req onceward.RenewRequest) error {
	err := b.Store.Renew(ctx, req)
	if errors.Is(err, onceward.ErrFenced) && b.sometimes(OpRenew) {
		return nil
	}
	return err
}

func (b *broken) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if b.sometimes(OpComplete) {
		return nil // acknowledged, and lost
	}
	return b.Store.Complete(ctx, req)
}

func (b *broken) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	err := b.Store.Release(ctx, req)
	if err != nil && b.sometimes(OpRelease) {
		return nil
	}
	return err
}

func (b *broken) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	rec, err := b.Store.Get(ctx, req)
	b.mu.Lock()
	defer b.mu.Unlock()
	if old, ok := b.stale[req.Key]; ok && b.wrong[OpGet] && b.rng.IntN(2) == 0 {
		return old, nil // a read from a replica that lags
	}
	if err == nil {
		b.stale[req.Key] = rec
	}
	return rec, err
}

// What proves stores must notice broken ones, and pass a sound one.
func TestTheToolsNotice(t *testing.T) {
	t.Parallel()
	for _, wrong := range []Op{"nothing", OpClaim, OpRenew, OpComplete, OpRelease, OpGet} {
		t.Run(string(wrong), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			build := func() onceward.Store {
				return &broken{Store: memstore.New(), wrong: map[Op]bool{wrong: true}, rng: rand.New(rand.NewPCG(seed, 1)), stale: make(map[onceward.Key]onceward.Record)}
			}
			sound := wrong == "nothing"
			if err := Check(Clients(t.Context(), build(), seed, 6, 3, 200)); (err == nil) != sound {
				t.Errorf("Check: %v", err)
			}
			if err := metamorphic(t.Context(), seed, 1000, []onceward.Store{memstore.New(), build()}); (err == nil) != sound {
				t.Errorf("Metamorphic: %v", err)
			}
		})
	}
}

func TestMetamorphicMemory(t *testing.T) {
	t.Parallel()
	for range 3 {
		mem := func(*testing.T) onceward.Store { return memstore.New() }
		Metamorphic(t, 0, 1000, mem, func(*testing.T) onceward.Store {
			return NewFaulty(memstore.New(), func(Op, int) Fault { return Pass })
		})
	}
}

// The first call of each kind fails before and after it took effect.
func TestFaulty(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := newExam(t, memstore.New())
	for _, how := range []Fault{FailBefore, FailAfter} {
		f := NewFaulty(e.store, Nth(2, how))
		if _, err := f.Get(ctx, onceward.GetRequest{Key: e.key(), Now: e.now}); !errors.Is(err, onceward.ErrNotFound) {
			t.Errorf("the first call said %v", err)
		}
		req := e.request(e.key())
		if _, err := f.Claim(ctx, req); !errors.Is(err, ErrInjected) || errors.Is(err, onceward.ErrFenced) {
			t.Errorf("the second call said %v", err)
		}
		_, err := f.Get(ctx, onceward.GetRequest{Key: req.Key, Now: e.now})
		if (err == nil) != (how == FailAfter) {
			t.Errorf("fault %d: the claim is there: %v", how, err)
		}
		if calls := f.Calls(); len(calls) != 3 || calls[1] != OpClaim {
			t.Errorf("calls %v", calls)
		}
	}
	f := NewFaulty(struct{ onceward.Store }{e.store}, Nth(0, FailBefore))
	if _, err := f.Sweep(ctx, onceward.SweepRequest{}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("a store that cannot sweep said %v", err)
	}
}
