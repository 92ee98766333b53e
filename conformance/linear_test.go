package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
	"github.com/onceward/onceward/sqlitestore"
)

// model is one key of the Store contract, as a sequential machine: what a
// record is, by the fields that decide, and the highest token ever granted.
// Sweeps are no part of it: they must not be noticed.
type model struct {
	exists      bool
	status      onceward.Status
	token, last int64
	owner       onceward.Owner
	attempt     int
	fingerprint string
	checkpoints int
	body        string
	lease       int64
	expires     int64
}

func (m *model) absent(now time.Time) bool { return !m.exists || m.expires <= now.UnixMicro() }

func (m *model) owns(c onceward.Claim) bool {
	return m.exists && m.status == onceward.StatusStarted && m.token == c.Token && m.owner == c.Owner
}

// reports says whether r is the record that stands.
func (m *model) reports(r *onceward.Record) bool {
	body := ""
	if r.Response != nil {
		body = fmt.Sprint(r.Response.Status, r.Response.Tombstone, string(r.Response.Body))
	}
	return r.Status == m.status && r.Token == m.token && r.Owner == m.owner && r.Attempt == m.attempt &&
		string(r.Fingerprint) == m.fingerprint && len(r.Checkpoints) == m.checkpoints && body == m.body &&
		r.LeaseUntil.UnixMicro() == m.lease && r.ExpiresAt.UnixMicro() == m.expires
}

// claim lets the store choose any token that the contract allows.
func (m model) claim(req *onceward.ClaimRequest, res *onceward.ClaimResult) (bool, model) {
	granted := res.Record.Token
	switch {
	case m.absent(req.Now):
		m = model{
			exists: true, last: m.last, status: onceward.StatusStarted, owner: req.Owner, attempt: 1,
			fingerprint: string(req.Fingerprint), lease: req.LeaseUntil.UnixMicro(), expires: req.ExpiresAt.UnixMicro(),
		}
	case m.status == onceward.StatusStarted && m.owner == req.Owner:
		return res.Won && res.TookOver == (m.attempt > 1) && m.reports(&res.Record), m
	case m.fingerprint == string(req.Fingerprint) && (m.status == onceward.StatusStarted && m.lease <= req.Now.UnixMicro() ||
		m.status == onceward.StatusHeld && req.TakeHeld):
		m.status, m.owner, m.lease = onceward.StatusStarted, req.Owner, req.LeaseUntil.UnixMicro()
		m.attempt++
		m.expires = max(m.expires, req.ExpiresAt.UnixMicro())
	default:
		return !res.Won && !res.TookOver && m.reports(&res.Record), m
	}
	if granted <= m.last || granted < req.Token {
		return false, m
	}
	m.token, m.last = granted, granted
	return res.Won && res.TookOver == (m.attempt > 1) && m.reports(&res.Record), m
}

func (m model) complete(req *onceward.CompleteRequest, err error) (bool, model) {
	if !m.owns(req.Claim) {
		fenced := errors.Is(err, onceward.ErrFenced)
		if m.exists && m.status == req.Status && m.token == req.Claim.Token && m.owner == req.Claim.Owner {
			// Repeated. Once it has expired nobody need remember it.
			return err == nil || fenced && m.absent(req.Now), m
		}
		return fenced, m
	}
	m.status, m.expires = req.Status, req.ExpiresAt.UnixMicro()
	if r := req.Response; r != nil {
		m.body = fmt.Sprint(r.Status, r.Tombstone, string(r.Body))
	}
	return err == nil, m
}

// step reports whether the contract allows what a call said.
func (m model) step(ev *oncetest.Event) (bool, model) {
	switch req := ev.Request.(type) {
	case onceward.ClaimRequest:
		if ev.Err != nil {
			return false, m
		}
		return m.claim(&req, &ev.Claimed)
	case onceward.CompleteRequest:
		return m.complete(&req, ev.Err)
	case onceward.GetRequest:
		if m.absent(req.Now) {
			return errors.Is(ev.Err, onceward.ErrNotFound), m
		}
		return ev.Err == nil && m.reports(&ev.Record), m
	case onceward.RenewRequest:
		if !m.owns(req.Claim) {
			return errors.Is(ev.Err, onceward.ErrFenced), m
		}
		m.lease = req.LeaseUntil.UnixMicro()
		m.expires = max(m.expires, m.lease)
	case onceward.CheckpointRequest:
		if !m.owns(req.Claim) {
			return errors.Is(ev.Err, onceward.ErrFenced), m
		}
		m.checkpoints = len(req.Checkpoints)
	case onceward.ReleaseRequest:
		if !m.owns(req.Claim) {
			return errors.Is(ev.Err, onceward.ErrFenced), m
		}
		m = model{last: m.last}
	}
	return ev.Err == nil, m
}

// linearizable reports whether there is an order of the calls of every key in
// which each takes effect between its beginning and its end, and in which the
// contract allows every answer.
func linearizable(history []oncetest.Event) bool {
	var ops []porcupine.Operation
	for _, ev := range history {
		ops = append(ops, porcupine.Operation{ClientId: ev.Client, Input: ev, Output: ev, Call: ev.Began, Return: ev.Ended})
	}
	return porcupine.CheckOperations(porcupine.Model{
		Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
			byKey := make(map[onceward.Key][]porcupine.Operation)
			for _, op := range all {
				ev, _ := op.Input.(oncetest.Event) // put there above
				byKey[ev.Key] = append(byKey[ev.Key], op)
			}
			var parts [][]porcupine.Operation
			for _, part := range byKey {
				parts = append(parts, part)
			}
			return parts
		},
		Init: func() any { return model{} },
		Step: func(state, input, _ any) (bool, any) {
			m, _ := state.(model)
			ev, _ := input.(oncetest.Event)
			ok, next := m.step(&ev)
			return ok, next
		},
		Equal: func(a, b any) bool { return a == b },
	}, ops)
}

func checkConcurrent(t *testing.T, rounds int, open func() onceward.Store) {
	t.Helper()
	for range rounds {
		seed := rand.Uint64()
		t.Logf("seed %d", seed)
		history := oncetest.Clients(t.Context(), open(), seed, 6, 3, 60)
		if err := oncetest.Check(history); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		if !linearizable(history) {
			t.Fatalf("seed %d: the history of %d calls is not linearizable", seed, len(history))
		}
	}
}

func TestTortureLinearizableMemory(t *testing.T) {
	t.Parallel()
	checkConcurrent(t, 20, func() onceward.Store { return memstore.New() })
}

func TestTortureLinearizableSQLite(t *testing.T) {
	t.Parallel()
	for _, batch := range []int{1, 3, 256} {
		checkConcurrent(t, 1, func() onceward.Store { return openSQLite(t, sqlitestore.Config{MaxBatch: batch}) })
	}
}

// The same clients on PostgreSQL, as one store and as two processes' worth of
// them on the same tables.
func TestTortureLinearizablePostgres(t *testing.T) {
	t.Parallel()
	checkConcurrent(t, 1, func() onceward.Store {
		return openPostgres(t, tables(t, pgtest.Database(t), postgres.MigrateConfig{}))
	})
	checkConcurrent(t, 1, func() onceward.Store {
		low, high := halves(t)
		return routed(t, low, high)
	})
	checkConcurrent(t, 1, func() onceward.Store {
		pool := tables(t, pgtest.Database(t), postgres.MigrateConfig{})
		return &alternating{stores: []onceward.Store{openPostgres(t, pool), openPostgres(t, pool)}}
	})
}

// alternating sends every call to the next of several stores, but a claim's
// checkpoints to one: the process that holds it makes them.
type alternating struct {
	stores []onceward.Store
	n      atomic.Uint32
}

func (a *alternating) next() onceward.Store { return a.stores[int(a.n.Add(1))%len(a.stores)] }

func (a *alternating) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	return a.next().Claim(ctx, req)
}

func (a *alternating) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return a.next().Renew(ctx, req)
}

func (a *alternating) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	return a.stores[int(req.Claim.Owner[0])%len(a.stores)].Checkpoint(ctx, req)
}

func (a *alternating) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	return a.next().Complete(ctx, req)
}

func (a *alternating) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return a.next().Release(ctx, req)
}

func (a *alternating) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	return a.next().Get(ctx, req)
}

// lossy acknowledges some writes that it does not make.
type lossy struct {
	*memstore.Store
	n atomic.Int32
}

func (l *lossy) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if l.n.Add(1)%10 == 0 {
		_, err := l.Get(ctx, onceward.GetRequest{Key: req.Claim.Key, Now: req.Now})
		return err
	}
	return l.Store.Complete(ctx, req)
}

// A checker that cannot fail proves nothing.
func TestLostWritesAreNotLinearizable(t *testing.T) {
	t.Parallel()
	if linearizable(oncetest.Clients(t.Context(), &lossy{Store: memstore.New()}, 1, 6, 3, 100)) {
		t.Error("lost completions went unnoticed")
	}
}
