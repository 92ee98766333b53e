package conformance_test

import (
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/sqlitestore"
)

// After the first one replays need no transaction, unless the cache is off.
func TestSQLiteReplaysComeFromMemory(t *testing.T) {
	t.Parallel()
	for bytes, want := range map[int]int{0: 1, -1: 4} {
		f := newFile(t, "")
		s := f.open(t, sqlitestore.Config{CacheBytes: bytes})
		rec := claim(t, s, 1)
		if err := s.Complete(t.Context(), completion(rec.Claim())); err != nil {
			t.Fatal(err)
		}
		commits := 0
		f.d.set(func(_ *watchedConn, query string) {
			if query == "COMMIT" {
				commits++
			}
		})
		for range 4 {
			res, err := s.Claim(t.Context(), request(1))
			if err != nil || res.Won || string(res.Record.Response.Body) != "paid" {
				t.Fatalf("won %v, %+v, %v", res.Won, res.Record, err)
			}
		}
		if commits != want {
			t.Errorf("CacheBytes %d: %d commits for four replays, want %d", bytes, commits, want)
		}
		f.d.set(nil)
	}
}

// What another process decides about a key is seen at once.
func TestSQLiteCacheHidesNothing(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	here, there := f.open(t, sqlitestore.Config{}), f.open(t, sqlitestore.Config{})
	see := func(want onceward.Status) {
		t.Helper()
		for range 3 {
			res, err := here.Claim(t.Context(), request(1))
			if err != nil || res.Won || res.Record.Status != want {
				t.Fatalf("won %v, %s, %v; want %s", res.Won, res.Record.Status, err, want)
			}
		}
	}
	first := claim(t, there, 1)
	held := completion(first.Claim())
	see(onceward.StatusStarted)
	held.Status, held.Response, held.ExpiresAt = onceward.StatusHeld, nil, onceward.Never
	if err := there.Complete(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	see(onceward.StatusHeld)
	// An operator takes it, and gives it up: it is free.
	take := request(1)
	take.TakeHeld = true
	res, err := there.Claim(t.Context(), take)
	if err != nil || !res.Won {
		t.Fatalf("won %v, %v", res.Won, err)
	}
	if err := there.Release(t.Context(), onceward.ReleaseRequest{Claim: res.Record.Claim(), Now: epoch}); err != nil {
		t.Fatal(err)
	}
	rec := claim(t, here, 1)
	if err := here.Complete(t.Context(), completion(rec.Claim())); err != nil {
		t.Fatal(err)
	}
	see(onceward.StatusCompleted)
	// It expires, and is begun afresh elsewhere: memory does not outlive it.
	later := request(1)
	later.Now, later.LeaseUntil = epoch.Add(48*time.Hour), epoch.Add(49*time.Hour)
	if res, err = there.Claim(t.Context(), later); err != nil || !res.Won {
		t.Fatalf("won %v, %v", res.Won, err)
	}
	later.Owner = onceward.NewOwner()
	res, err = here.Claim(t.Context(), later)
	if err != nil || res.Won || res.Record.Status != onceward.StatusStarted {
		t.Errorf("after the expiry: won %v, %s, %v", res.Won, res.Record.Status, err)
	}
}
