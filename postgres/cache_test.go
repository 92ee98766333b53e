package postgres_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
)

// TestReplaysComeFromMemory: after the first one no query is needed, and so the
// database may even be locked.
func TestReplaysComeFromMemory(t *testing.T) {
	t.Parallel()
	pool := tables(t, postgres.MigrateConfig{})
	s := open(t, pool, postgres.Config{})
	rec := win(t, s, claimOf("k"))
	if err := s.Complete(t.Context(), completionOf(rec.Claim())); err != nil {
		t.Fatal(err)
	}
	first, err := s.Claim(t.Context(), claimOf("k"))
	if err != nil || first.Won {
		t.Fatalf("won %v, %v", first.Won, err)
	}
	defer blockade(t, pool)()
	again, err := s.Claim(t.Context(), claimOf("k"))
	if err != nil || again.Won || string(again.Record.Response.Body) != "made" {
		t.Errorf("from memory: %+v, %v", again, err)
	}
	got, err := s.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: time.Now()})
	if err != nil || got.Token != rec.Token {
		t.Errorf("Get: %+v, %v", got, err)
	}
}

// TestTheCacheHidesNothing: what another instance, or an operator there, decides
// about a key is seen at once.
func TestTheCacheHidesNothing(t *testing.T) {
	t.Parallel()
	pool := database(t)
	here, there := open(t, pool, postgres.Config{}), open(t, pool, postgres.Config{})
	clerk := engine(t, there)
	see := func(want onceward.Status) {
		t.Helper()
		for range 3 {
			res, err := here.Claim(t.Context(), claimOf("k"))
			if err != nil || res.Won || res.Record.Status != want {
				t.Fatalf("won %v, %s, %v; want %s", res.Won, res.Record.Status, err, want)
			}
		}
	}
	rec := win(t, there, claimOf("k"))
	see(onceward.StatusStarted)
	held := completionOf(rec.Claim())
	held.Status, held.Response, held.ExpiresAt = onceward.StatusHeld, nil, onceward.Never
	if err := there.Complete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	see(onceward.StatusHeld)
	// An operator releases it, and it runs again.
	if err := clerk.Resolve(t.Context(), rec.Key, onceward.Verdict{Decision: onceward.NotApplied}); err != nil {
		t.Fatal(err)
	}
	if _, err := here.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: time.Now()}); !errors.Is(err, onceward.ErrNotFound) {
		t.Fatalf("after the release: %v", err)
	}
	rec = win(t, there, claimOf("k"))
	held.Claim = rec.Claim()
	if err := there.Complete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	see(onceward.StatusHeld)
	// An operator completes it.
	verdict := onceward.Verdict{Decision: onceward.Completed, Response: onceward.Response{Status: 200, Body: []byte("by hand")}}
	if err := clerk.Resolve(t.Context(), rec.Key, verdict); err != nil {
		t.Fatal(err)
	}
	see(onceward.StatusCompleted)
	// It expires, and another instance begins afresh: memory does not outlive it.
	later := claimOf("k")
	later.Now = time.Now().Add(48 * time.Hour)
	later.LeaseUntil = later.Now.Add(time.Hour)
	win(t, there, later)
	later.Owner = onceward.NewOwner()
	res, err := here.Claim(context.WithoutCancel(t.Context()), later)
	if err != nil || res.Won || res.Record.Status != onceward.StatusStarted {
		t.Errorf("after the expiry: won %v, %s, %v", res.Won, res.Record.Status, err)
	}
}
