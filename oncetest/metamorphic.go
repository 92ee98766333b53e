package oncetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward"
)

// Metamorphic plays one random sequence of operations on a new store of every
// factory, and fails at the first answer in which two of them differ. Tokens may
// differ, as long as they grow. The stores must have all Abilities. The seed is printed; give it again
// to repeat the sequence, or 0 to draw a new one.
func Metamorphic(t *testing.T, seed uint64, steps int, factories ...func(t *testing.T) onceward.Store) {
	t.Helper()
	for seed == 0 {
		seed = rand.Uint64() //nolint:gosec // a seed to repeat a test by
	}
	t.Logf("seed %d, %d steps", seed, steps)
	var stores []onceward.Store
	for _, f := range factories {
		store := f(t)
		if !able(store, Abilities()) {
			t.Fatalf("%T lacks one of the abilities %v", store, Abilities())
		}
		stores = append(stores, store)
	}
	if err := metamorphic(t.Context(), seed, steps, stores); err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
}

// step is one operation, to be made on every store.
type step struct {
	what string
	do   func(ctx context.Context, s onceward.Store) answer
}

// answer is what a store said, without what it may choose itself.
type answer struct {
	class         string // of the error
	won, tookOver bool
	records       []onceward.Record
	number        int
}

func (a answer) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, won %v, took over %v, %d", a.class, a.won, a.tookOver, a.number)
	for _, r := range a.records {
		b.WriteString("\n\t" + show(r))
	}
	return b.String()
}

func (a answer) equal(b answer) bool {
	return a.class == b.class && a.won == b.won && a.tookOver == b.tookOver && a.number == b.number &&
		slices.EqualFunc(a.records, b.records, func(x, y onceward.Record) bool { return difference(x, y) == "" })
}

// classOf is what the contract says about an error.
func classOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, onceward.ErrFenced):
		return "fenced"
	case errors.Is(err, onceward.ErrNotFound):
		return "not found"
	}
	return "error: " + err.Error()
}

func metamorphic(ctx context.Context, seed uint64, steps int, stores []onceward.Store) error {
	seq := newSequence(seed, 4)
	var numbered []onceward.Store
	for _, s := range stores {
		numbered = append(numbered, newOrdinals(s))
	}
	var history []string
	for n := range steps {
		st := seq.step()
		first := st.do(ctx, numbered[0])
		history = append(history, fmt.Sprintf("%4d %s → %v", n, st.what, first))
		if first.won {
			seq.claims = append(seq.claims, first.records[0].Claim())
		}
		for i, s := range numbered[1:] {
			if got := st.do(ctx, s); !got.equal(first) {
				return fmt.Errorf("step %d: %s\n%T says %v\n%T (store %d) says %v\nthe last steps:\n%s", n, st.what,
					stores[0], first, stores[i+1], i+1, got, strings.Join(history[max(0, len(history)-12):], "\n"))
			}
		}
	}
	return nil
}

func (s *sequence) step() step {
	s.tick()
	switch s.rng.IntN(14) {
	case 0, 1, 2, 3:
		return claimStep(s.claim())
	case 4, 5:
		req := s.complete()
		return writeStep(fmt.Sprintf("Complete %+v", req), func(ctx context.Context, st onceward.Store) error { return st.Complete(ctx, req) })
	case 6:
		req := s.renew()
		return writeStep(fmt.Sprintf("Renew %+v", req), func(ctx context.Context, st onceward.Store) error { return st.Renew(ctx, req) })
	case 7:
		req := s.checkpoints()
		return writeStep(fmt.Sprintf("Checkpoint %+v", req), func(ctx context.Context, st onceward.Store) error { return st.Checkpoint(ctx, req) })
	case 8:
		req := onceward.ReleaseRequest{Claim: s.held(), Now: s.now}
		return writeStep(fmt.Sprintf("Release %+v", req), func(ctx context.Context, st onceward.Store) error { return st.Release(ctx, req) })
	case 9:
		return s.sweepStep()
	case 10:
		return s.lapsedStep()
	case 11:
		return s.listStep()
	default:
		return s.readStep()
	}
}

func claimStep(req onceward.ClaimRequest) step {
	return step{fmt.Sprintf("Claim %+v", req), func(ctx context.Context, s onceward.Store) answer {
		res, err := s.Claim(ctx, req)
		return answer{class: classOf(err), won: res.Won, tookOver: res.TookOver, records: []onceward.Record{res.Record}}
	}}
}

func writeStep(what string, write func(context.Context, onceward.Store) error) step {
	return step{what, func(ctx context.Context, s onceward.Store) answer { return answer{class: classOf(write(ctx, s))} }}
}

// sweepStep sweeps everything: which of the expired records a bounded sweep
// takes first is the store's own affair.
// sweepStep does not compare how many were deleted: a released record may be gone
// before, an expired one may be left for a later sweep. Nobody may notice either.
func (s *sequence) sweepStep() step {
	req := onceward.SweepRequest{Now: s.now, Limit: 1000}
	return step{fmt.Sprintf("Sweep %+v", req), func(ctx context.Context, st onceward.Store) answer {
		_, err := st.(onceward.Sweeper).Sweep(ctx, req) // Metamorphic found the ability
		return answer{class: classOf(err)}
	}}
}

func (s *sequence) lapsedStep() step {
	req := onceward.LapsedRequest{Now: s.now, Policy: onceward.Reconcile, Limit: 1000}
	if s.chance(2) {
		req.Policy, req.Kinds = onceward.Hold, []string{"mint", ""}
	}
	return step{fmt.Sprintf("Lapsed %+v", req), func(ctx context.Context, st onceward.Store) answer {
		recs, err := st.(onceward.LapsedLister).Lapsed(ctx, req) // Metamorphic found the ability
		// Among equals any order will do.
		slices.SortStableFunc(recs, func(a, b onceward.Record) int {
			if c := a.LeaseUntil.Compare(b.LeaseUntil); c != 0 {
				return c
			}
			return strings.Compare(a.Key.Value, b.Key.Value)
		})
		return answer{class: classOf(err), records: recs}
	}}
}

// listStep reads all pages, each store by its own cursors.
func (s *sequence) listStep() step {
	req := onceward.ListRequest{Now: s.now, Limit: 1 + s.rng.IntN(3)}
	if s.chance(2) {
		req.Status = []onceward.Status{onceward.StatusStarted, onceward.StatusCompleted, onceward.StatusHeld}[s.rng.IntN(3)]
	}
	if s.chance(3) {
		req.Kind = "mint"
	}
	if s.chance(3) {
		req.Scope = &s.keys[0].Scope
	}
	return step{fmt.Sprintf("List %+v", req), func(ctx context.Context, st onceward.Store) answer {
		var a answer
		for req := req; ; a.number++ {
			page, err := st.(onceward.Lister).List(ctx, req) // Metamorphic found the ability
			if a.class = classOf(err); err != nil {
				return a
			}
			a.records = append(a.records, page.Records...)
			if req.Cursor = page.Next; page.Next == "" || a.number > 100 {
				return a
			}
		}
	}}
}

func (s *sequence) readStep() step {
	key := s.key()
	return step{fmt.Sprintf("Get and Find %v at %v", key, s.now), func(ctx context.Context, st onceward.Store) answer {
		got, err := st.Get(ctx, onceward.GetRequest{Key: key, Now: s.now})
		found, findErr := st.(onceward.Finder).Find(ctx, onceward.FindRequest{ID: key.ID(), Now: s.now}) // Metamorphic found the ability
		if d := difference(got, found); d != "" || classOf(err) != classOf(findErr) {
			return answer{class: "Get and Find disagree: " + d, records: []onceward.Record{got, found}}
		}
		return answer{class: classOf(err), records: []onceward.Record{got}}
	}}
}
