package ha_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
)

// rivals are clients that want the same keys at the same time, and write down
// what they are told.
type rivals struct {
	seed    uint64
	stores  []onceward.Store
	began   time.Time
	mu      sync.Mutex
	history []call
	errs    []error
	retries atomic.Int64
	rounds  atomic.Int64
	stop    chan struct{}
	clients sync.WaitGroup
}

const (
	rivalClients = 12
	rivalKeys    = 8 // of a round
	rivalSteps   = 6 // of a client in a round
	tiers        = 4
)

// compete starts clients; from round to round they go on to new keys, so that
// no key has a long history.
func compete(ctx context.Context, seed uint64, stores ...onceward.Store) *rivals {
	r := &rivals{seed: seed, stores: stores, began: time.Now(), stop: make(chan struct{})}
	r.clients.Go(func() {
		for round := 0; ; round++ {
			select {
			case <-r.stop:
				return
			default:
			}
			var all sync.WaitGroup
			for client := range rivalClients {
				all.Go(func() {
					rnd := rand.New(rand.NewPCG(seed, uint64(round*rivalClients+client))) //nolint:gosec // reproducible
					for range rivalSteps {
						r.step(ctx, rnd, client, rivalKey(round, rnd.IntN(rivalKeys)))
					}
				})
			}
			all.Wait()
			r.lookBack(ctx, round)
			r.rounds.Add(1)
		}
	})
	return r
}

// lookBack reads what a round has left, through every store: a write that was
// acknowledged last and lost would otherwise go unseen.
func (r *rivals) lookBack(ctx context.Context, round int) {
	for client := range r.stores {
		for key := range rivalKeys {
			r.read(ctx, client, rivalKey(round, key))
		}
	}
}

func rivalKey(round, key int) string { return fmt.Sprintf("rival-%d-%d", round, key) }

func (r *rivals) read(ctx context.Context, client int, value string) {
	c := call{client: client, key: value, kind: callRead}
	r.record(ctx, &c, func() (err error) {
		c.record, err = r.stores[client%len(r.stores)].Get(ctx, onceward.GetRequest{
			Key: onceward.Key{Scope: "s", Value: value}, Now: r.began,
		})
		return err
	})
}

// step makes one client claim a key and complete it, or read it.
func (r *rivals) step(ctx context.Context, rnd *rand.Rand, client int, value string) {
	s := r.stores[client%len(r.stores)]
	key := onceward.Key{Scope: "s", Value: value}
	if rnd.IntN(3) == 0 {
		r.read(ctx, client, value)
		return
	}
	tier := rnd.IntN(tiers)
	now := r.began.Add(time.Duration(tier) * time.Hour) // the leases of lower tiers have lapsed
	req := onceward.ClaimRequest{
		Key: key, Owner: onceward.NewOwner(), Token: time.Now().UnixMicro(), Policy: onceward.Rerun, Fingerprint: []byte("f"),
		Retention: time.Hour, Now: now, LeaseUntil: now.Add(time.Hour), ExpiresAt: onceward.Never,
	}
	c := call{client: client, key: value, kind: callClaim, tier: tier, claim: onceward.Claim{Key: key, Owner: req.Owner}}
	r.record(ctx, &c, func() error {
		res, err := s.Claim(ctx, req)
		c.won, c.record = res.Won, res.Record
		return err
	})
	if !c.won || rnd.IntN(4) == 0 { // or it dies here
		return
	}
	done := call{client: client, key: value, kind: callComplete, claim: c.record.Claim(), body: req.Owner.String()}
	r.record(ctx, &done, func() error {
		return s.Complete(ctx, onceward.CompleteRequest{
			Claim: done.claim, Now: now, Status: onceward.StatusCompleted, ExpiresAt: r.began.Add(1000 * time.Hour),
			Response: &onceward.Response{Status: 201, Body: []byte(done.body)},
		})
	})
}

// record repeats do until its outcome is known, and writes it down.
func (r *rivals) record(ctx context.Context, c *call, do func() error) {
	c.began = time.Since(r.began).Nanoseconds()
	absent := false
	c.err = insist(ctx, func() error {
		err := do()
		absent = errors.Is(err, onceward.ErrNotFound)
		switch {
		case absent:
			return nil
		case err != nil && !errors.Is(err, onceward.ErrFenced):
			r.retries.Add(1)
		}
		return err
	})
	if absent {
		c.err = onceward.ErrNotFound
	}
	c.ended = time.Since(r.began).Nanoseconds()
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.err != nil && !errors.Is(c.err, onceward.ErrFenced) && !errors.Is(c.err, onceward.ErrNotFound) {
		r.errs = append(r.errs, c.err)
	}
	r.history = append(r.history, *c)
}

// awaitRounds waits until n more rounds have been finished.
func (r *rivals) awaitRounds(t *testing.T, n int64) {
	t.Helper()
	goal := r.rounds.Load() + n
	until(t, "the rivals go on", func() bool { return r.rounds.Load() >= goal })
}

// check ends the clients and judges what they were told.
func (r *rivals) check(t *testing.T) {
	t.Helper()
	close(r.stop)
	r.clients.Wait()
	if err := errors.Join(r.errs...); err != nil {
		t.Fatalf("seed %d: %v", r.seed, err)
	}
	if !linearizable(r.history) {
		t.Errorf("seed %d: the history of %d calls is not linearizable", r.seed, len(r.history))
	}
	t.Logf("seed %d: %d calls, asked again %d times", r.seed, len(r.history), r.retries.Load())
}

// forgetful acknowledges some completions that it does not make.
type forgetful struct {
	*memstore.Store
	n atomic.Int32
}

func (f *forgetful) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if f.n.Add(1)%10 == 0 {
		_, err := f.Get(ctx, onceward.GetRequest{Key: req.Claim.Key, Now: req.Now})
		return err
	}
	return f.Store.Complete(ctx, req)
}

// greedy lets some claims win that another has.
type greedy struct {
	*memstore.Store
	n atomic.Int32
}

func (g *greedy) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	if g.n.Add(1)%10 == 0 {
		req.Now, req.LeaseUntil = req.Now.Add(100*time.Hour), req.LeaseUntil.Add(100*time.Hour)
	}
	return g.Store.Claim(ctx, req)
}

// TestTheCheckerCanTell: a checker that cannot fail proves nothing.
func TestTheCheckerCanTell(t *testing.T) {
	t.Parallel()
	history := func(s onceward.Store) []call {
		r := compete(t.Context(), rand.Uint64(), s)
		r.awaitRounds(t, 50)
		close(r.stop)
		r.clients.Wait()
		return r.history
	}
	if !linearizable(history(memstore.New())) {
		t.Error("the memory store is not linearizable")
	}
	if linearizable(history(&forgetful{Store: memstore.New()})) {
		t.Error("lost completions went unnoticed")
	}
	if linearizable(history(&greedy{Store: memstore.New()})) {
		t.Error("claims that were won twice went unnoticed")
	}
}
