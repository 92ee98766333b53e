package conformance_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/internal/groupcommit"
	"github.com/onceward/onceward/sqlitestore"
)

var epoch = time.Date(2031, 5, 17, 13, 30, 0, 0, time.UTC)

func request(i int) onceward.ClaimRequest {
	return onceward.ClaimRequest{
		Key: onceward.Key{Scope: "s", Value: fmt.Sprintf("key-%d", i)}, Owner: onceward.NewOwner(), Kind: "pay",
		Policy: onceward.Hold, Fingerprint: []byte("f"), Retention: 24 * time.Hour,
		Now: epoch, LeaseUntil: epoch.Add(30 * time.Second), ExpiresAt: onceward.Never,
	}
}

func completion(c onceward.Claim) onceward.CompleteRequest {
	return onceward.CompleteRequest{
		Claim: c, Now: epoch, Status: onceward.StatusCompleted, ExpiresAt: epoch.Add(24 * time.Hour),
		Response: &onceward.Response{Status: 201, Body: []byte("paid")},
	}
}

func claim(t *testing.T, s onceward.Store, i int) onceward.Record {
	t.Helper()
	res, err := s.Claim(t.Context(), request(i))
	if err != nil || !res.Won {
		t.Fatalf("claim %d: won %v, %v", i, res.Won, err)
	}
	return res.Record
}

// Whatever the DSN says, the connection that writes synchronises every commit.
func TestSQLiteWritesDurably(t *testing.T) {
	t.Parallel()
	f := newFile(t, "?_pragma=synchronous(OFF)")
	s := f.open(t, sqlitestore.Config{})
	commits := 0
	f.d.set(func(c *watchedConn, query string) {
		if query != "COMMIT" {
			return
		}
		commits++
		if sync, mode := c.ask("PRAGMA synchronous"), c.ask("PRAGMA journal_mode"); sync != "2" || mode != "wal" {
			t.Errorf("commits with synchronous %s and journal_mode %s; want 2 (FULL) and wal", sync, mode)
		}
	})
	rec := claim(t, s, 1)
	if err := s.Complete(t.Context(), completion(rec.Claim())); err != nil {
		t.Fatal(err)
	}
	if commits != 2 {
		t.Errorf("%d commits", commits)
	}
	if got := f.ask(t, "PRAGMA integrity_check"); got != "ok" {
		t.Error(got)
	}
}

// What waits while one commit is under way shares the next.
func TestSQLiteSharesCommits(t *testing.T) {
	t.Parallel()
	const callers = 200
	for batch, want := range map[int]int{256: 2, 100: 3, 1: callers + 1} {
		synctest.Test(t, func(t *testing.T) {
			f := newFile(t, "")
			s := f.open(t, sqlitestore.Config{MaxBatch: batch})
			commits, proceed := 0, make(chan struct{})
			f.d.set(func(_ *watchedConn, query string) {
				if query == "COMMIT" {
					if commits++; commits == 1 {
						<-proceed
					}
				}
			})
			var done sync.WaitGroup
			for i := range callers + 1 {
				done.Go(func() {
					if res, err := s.Claim(t.Context(), request(i)); err != nil || !res.Won {
						t.Errorf("claim %d: %v", i, err)
					}
				})
				if i == 0 {
					synctest.Wait() // it is alone in the first batch
				}
			}
			synctest.Wait()
			close(proceed)
			done.Wait()
			if commits != want {
				t.Errorf("batches of %d: %d claims took %d commits, want %d", batch, callers+1, commits, want)
			}
		})
	}
}

// A caller that goes away while its write is committed learns that the outcome
// is unknown; the write is made, and asking again with the same owner says so.
func TestSQLiteWriteGoesOnWithoutItsCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFile(t, "")
		s := f.open(t, sqlitestore.Config{})
		proceed := make(chan struct{})
		f.d.set(func(_ *watchedConn, query string) {
			if query == "COMMIT" {
				<-proceed
			}
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		req := request(1)
		_, err := s.Claim(ctx, req)
		if !errors.Is(err, groupcommit.ErrAbandoned) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the caller heard %v", err)
		}
		close(proceed)
		if res, err := s.Claim(t.Context(), req); err != nil || !res.Won || res.TookOver {
			t.Errorf("asked again: won %v, took over %v, %v", res.Won, res.TookOver, err)
		}
	})
}

// One operation that the database refuses takes none of its batch with it.
func TestSQLiteFailureStaysWithItsOperation(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFile(t, "")
		s := f.open(t, sqlitestore.Config{})
		f.exec(t, "CREATE TRIGGER refuse BEFORE INSERT ON onceward_keys WHEN NEW.key = 'key-7' BEGIN SELECT RAISE(ABORT, 'not this one'); END")
		proceed := make(chan struct{})
		f.d.set(func(_ *watchedConn, query string) {
			if query == "COMMIT" {
				<-proceed
			}
		})
		var done sync.WaitGroup
		for i := range 20 {
			done.Go(func() {
				res, err := s.Claim(t.Context(), request(i))
				switch {
				case i != 7 && (err != nil || !res.Won):
					t.Errorf("claim %d: won %v, %v", i, res.Won, err)
				case i == 7 && (err == nil || !strings.Contains(err.Error(), "not this one")):
					t.Errorf("the refused claim: %v", err)
				}
			})
		}
		synctest.Wait()
		close(proceed)
		done.Wait()
		if n := f.ask(t, "SELECT count(*) FROM onceward_keys"); n != "19" {
			t.Errorf("%s rows", n)
		}
	})
}

// Duplicates only read: a claim that loses writes nothing, and neither does a
// look at an expired record.
func TestSQLiteDuplicatesWriteNothing(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{})
	rec := claim(t, s, 1)
	if err := s.Complete(t.Context(), completion(rec.Claim())); err != nil {
		t.Fatal(err)
	}
	wal := func() int64 {
		info, err := os.Stat(f.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := wal()
	for range 100 {
		if res, err := s.Claim(t.Context(), request(1)); err != nil || res.Won {
			t.Fatal(res.Won, err)
		}
		if _, err := s.Get(t.Context(), onceward.GetRequest{Key: rec.Key, Now: epoch.Add(48 * time.Hour)}); !errors.Is(err, onceward.ErrNotFound) {
			t.Fatal(err)
		}
	}
	if after := wal(); after != before {
		t.Errorf("200 duplicates wrote %d bytes", after-before)
	}
}

// Maintenance does not walk the table: every listing that the engine makes by
// itself is served by an index.
func TestSQLiteQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	f.open(t, sqlitestore.Config{})
	args := map[string][]any{
		"sweep": {1, 1}, "lapsed": {1, "hold", nil, 1}, "list_held": {1, 1, "", nil, "HELD", 1}, "get": {[]byte("id")},
	}
	for name, want := range map[string]string{
		"sweep": "onceward_expiring", "lapsed": "onceward_leases", "list_held": "onceward_held", "get": "sqlite_autoindex_onceward_keys_1",
	} {
		query, err := os.ReadFile(filepath.Join("..", "sqlitestore", "sql", name+".sql"))
		if err != nil {
			t.Fatal(err)
		}
		plan := f.ask(t, "EXPLAIN QUERY PLAN "+string(query), args[name]...)
		if !strings.Contains(plan, want) || strings.Contains(plan, "SCAN onceward_keys\n") || strings.HasSuffix(plan, "SCAN onceward_keys") {
			t.Errorf("%s does not use %s:\n%s", name, want, plan)
		}
	}
}

// The backup that the documentation names is consistent while everything runs,
// and a store again.
func TestSQLiteBackup(t *testing.T) {
	t.Parallel()
	f := newFile(t, "")
	s := f.open(t, sqlitestore.Config{})
	for i := range 50 {
		claim(t, s, i)
	}
	var writing sync.WaitGroup
	for i := range 50 {
		writing.Go(func() {
			if _, err := s.Claim(t.Context(), request(100+i)); err != nil {
				t.Error(err)
			}
		})
	}
	copied := filepath.Join(t.TempDir(), "backup.db")
	f.exec(t, "VACUUM INTO ?", copied)
	writing.Wait()
	b := openFile(t, copied, "")
	restored := b.open(t, sqlitestore.Config{CheckMigrated: true})
	for i := range 50 {
		if res, err := restored.Claim(t.Context(), request(i)); err != nil || res.Won {
			t.Errorf("claim %d: won %v, %v", i, res.Won, err)
		}
	}
	if got := b.ask(t, "PRAGMA integrity_check"); got != "ok" {
		t.Error(got)
	}
}
