package soroban_test

import (
	"context"
	"errors"
	"math/big"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
)

func budget(t testing.TB, store onceward.Store, limit int64, window time.Duration) *soroban.Budget {
	t.Helper()
	b, err := soroban.NewBudget(soroban.BudgetConfig{Name: "b", Limit: big.NewInt(limit), Window: window, Store: store})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drain takes n again and again, and returns how often it got it.
func drain(t testing.TB, b *soroban.Budget, n int64) (times int64) {
	t.Helper()
	for {
		err := b.Take(t.Context(), big.NewInt(n))
		if _, ok := errors.AsType[*soroban.LimitError](err); ok {
			return times
		}
		if err != nil {
			t.Fatal(err)
		}
		times++
	}
}

func TestBudgetAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, store := range []onceward.Store{nil, memstore.New()} {
			for _, limit := range []int64{1, 2, 15, 16, 17, 100, 1000} {
				b := budget(t, store, limit, time.Minute)
				want(t, "first window", drain(t, b, 1), limit)
				<-time.After(time.Minute)
				want(t, "second window", drain(t, b, 1), limit)
				b.Return(big.NewInt(1))
				want(t, "after a return", drain(t, b, 1), 1)
				<-time.After(time.Minute)
				b.Return(big.NewInt(5)) // of a window that is over
				want(t, "the whole at once", drain(t, b, limit), 1)
				want(t, "more than the whole", drain(t, b, -limit-1), 0)
				<-time.After(time.Hour)
			}
		}
	})
}

// A restart forgets nothing; what is lost are the rests of shares.
func TestBudgetSurvivesRestarts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		total := int64(0)
		for restart := range 30 {
			b := budget(t, store, 160, 24*time.Hour)
			err := b.Take(t.Context(), big.NewInt(10))
			if err == nil {
				total += 10
			}
			if e, ok := errors.AsType[*soroban.LimitError](err); restart >= 16 && (!ok || e.RetryAfter <= 0) {
				t.Errorf("restart %d: %v", restart, err)
			}
			<-time.After(time.Minute)
		}
		want(t, "total", total, 160)
	})
}

// Whatever processes take at the same time, the limit holds.
func TestBudgetMetamorphicSharing(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 20 {
		limit, store := 1+rng.Int64N(500), memstore.New()
		now := func() time.Time { return time.Unix(1_800_000_000, 0) }
		var total atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			b, err := soroban.NewBudget(soroban.BudgetConfig{
				Name: "b", Limit: big.NewInt(limit), Window: time.Hour, Store: store, Now: now,
			})
			if err != nil {
				t.Fatal(err)
			}
			amounts := make([]int64, 60)
			for i := range amounts {
				amounts[i] = 1 + rng.Int64N(20)
			}
			for i := range 2 {
				wg.Go(func() {
					for _, n := range amounts[30*i : 30*i+30] {
						if b.Take(t.Context(), big.NewInt(n)) == nil {
							total.Add(n)
						}
					}
				})
			}
		}
		wg.Wait()
		if total.Load() > limit {
			t.Fatalf("seed %d: %d of %d were taken", seed, total.Load(), limit)
		}
	}
}

type brokenStore struct{ onceward.Store }

func (brokenStore) Claim(context.Context, onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return onceward.ClaimResult{}, errors.New("broken")
}

// Without an answer of the store nothing is taken.
func TestBudgetFailsClosed(t *testing.T) {
	t.Parallel()
	b := budget(t, brokenStore{memstore.New()}, 100, time.Hour)
	for range 20 {
		if err := b.Take(t.Context(), big.NewInt(1)); err == nil {
			t.Fatal("taken without a store")
		}
	}
}

func TestLimitedSigner(t *testing.T) {
	t.Parallel()
	secret := keypair.Master("limited").(*keypair.Full).Seed()
	s, err := soroban.NewSigner(secret)
	if err != nil {
		t.Fatal(err)
	}
	small, large := budget(t, nil, 2, time.Hour), budget(t, nil, 5, time.Hour)
	limited := soroban.LimitedSigner(s, large, small)
	want(t, "address", limited.Address(), s.Address())
	for i := range 5 {
		_, err := limited.Sign(t.Context(), [32]byte{})
		if _, refused := errors.AsType[*soroban.LimitError](err); refused != (i >= 2) {
			t.Errorf("signature %d: %v", i, err)
		}
	}
	want(t, "of the larger budget", drain(t, large, 1), 3)
}

// A signer over its limit, and fees over theirs, delay an operation: nothing
// was sent, and the key is free.
func TestLimitsDelayOperations(t *testing.T) {
	t.Parallel()
	for name, limit := range map[string]tweak{
		"signer": func(c *soroban.Config) {
			b, _ := soroban.NewBudget(soroban.BudgetConfig{Name: "signatures", Limit: big.NewInt(1), Window: time.Hour})
			c.Signers = map[string]soroban.Signer{"minter": soroban.LimitedSigner(c.Signers["minter"], b)}
		},
		"fees": func(c *soroban.Config) {
			c.FeeBudget, _ = soroban.NewBudget(soroban.BudgetConfig{Name: "fees", Limit: big.NewInt(100_000), Window: time.Hour})
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, 1, func(w *world) {
				p := w.process(w.store(), limit)
				var err error
				done := int64(0)
				for i := 0; err == nil && i < 50; i++ {
					if _, err = p.mint(string(rune('a' + i))); err == nil {
						done++
					}
				}
				e, ok := errors.AsType[*soroban.UnavailableError](err)
				if !ok || e.RetryAfter <= time.Minute || !strings.Contains(e.Reason, "limit") || done == 0 {
					w.Fatalf("after %d: %v", done, err)
				}
				want(w, "supply", w.supply(), done*amount)
				w.pass(time.Hour)
				p.must(string(rune('a' + done)))
			})
		})
	}
}

// moody is a signer that does not answer a number of times.
type moody struct {
	soroban.Signer
	left *atomic.Int64
}

func (m moody) Sign(ctx context.Context, hash [32]byte) ([]byte, error) {
	if m.left.Add(-1) >= 0 {
		return nil, errors.New("is the daemon running?")
	}
	return m.Signer.Sign(ctx, hash)
}

// A signer that does not answer delays an operation: it is asked again, and
// in the end nothing was sent and the key is free.
func TestASignerThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		var left atomic.Int64
		p := w.process(w.store(), func(c *soroban.Config) {
			c.Signers = map[string]soroban.Signer{"minter": moody{c.Signers["minter"], &left}}
		})
		left.Store(2)
		p.must("restarted meanwhile")
		want(w, "sends", w.sends(), 1)
		left.Store(1000)
		_, err := p.mint("k")
		e, ok := errors.AsType[*soroban.UnavailableError](err)
		if !ok || e.RetryAfter <= 0 || !strings.Contains(e.Reason, "signer") || strings.Contains(e.Reason, "daemon") {
			w.Fatalf("got %v", err)
		}
		want(w, "sends without a signature", w.sends(), 1)
		left.Store(0)
		p.must("k")
		want(w, "supply", w.supply(), 2*amount)
	})
}
