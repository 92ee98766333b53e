package shelf_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/shelf"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/memstore"
)

// onStores runs a test on the specification and on the store of the binary.
func onStores(t *testing.T, test func(t *testing.T, store onceward.Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, memstore.New())
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		h, err := storage.Create(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "once.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		test(t, h.Store)
	})
}

func put(t *testing.T, s *shelf.Shelf, name, data string, expires time.Time) (shelf.Document, bool) {
	t.Helper()
	doc, created, err := s.Put(t.Context(), name, []byte(data), expires)
	if err != nil {
		t.Fatal(err)
	}
	return doc, created
}

func TestDocumentsLiveAndDie(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store onceward.Store) {
		s := shelf.New(store, "test", nil)
		if _, err := s.Get(t.Context(), "a"); !errors.Is(err, shelf.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
		if _, created := put(t, s, "a", "one", time.Time{}); !created {
			t.Fatal("not created")
		}
		if _, created := put(t, s, "a", "one", time.Time{}); created {
			t.Fatal("created twice")
		}
		doc, created := put(t, s, "a", "two", time.Time{})
		if created || string(doc.Data) != "one" {
			t.Fatalf("a second Put: created %v, %q", created, doc.Data)
		}
		if err := s.Replace(t.Context(), doc, []byte("three")); err != nil {
			t.Fatal(err)
		}
		if doc, _ = put(t, s, "a", "four", time.Time{}); string(doc.Data) != "three" {
			t.Fatalf("after Replace: %q", doc.Data)
		}
		if err := s.Remove(t.Context(), doc); err != nil {
			t.Fatal(err)
		}
		for _, err := range []error{s.Remove(t.Context(), doc), s.Replace(t.Context(), doc, []byte("x"))} {
			if !errors.Is(err, shelf.ErrChanged) {
				t.Fatalf("after Remove: %v", err)
			}
		}
		if doc, created = put(t, s, "a", "five", time.Time{}); !created || string(doc.Data) != "five" {
			t.Fatalf("after Remove: created %v, %q", created, doc.Data)
		}
	})
}

// TestNobodyTouchesDocuments: to an engine they are not there, years later and
// under every policy.
func TestNobodyTouchesDocuments(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store onceward.Store) {
		later := func() time.Time { return time.Now().AddDate(50, 0, 0) }
		s := shelf.New(store, "test", nil)
		put(t, s, "a", "one", time.Time{})
		eng, err := onceward.New(store, onceward.Config{Now: later})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := eng.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := eng.Recover(t.Context()); err != nil || got != (onceward.Recovered{}) {
			t.Fatalf("recovered %+v, %v", got, err)
		}
		if doc, err := shelf.New(store, "test", later).Get(t.Context(), "a"); err != nil || string(doc.Data) != "one" {
			t.Fatalf("got %q, %v", doc.Data, err)
		}
	})
}

func TestDocumentsExpire(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store onceward.Store) {
		now := time.Now()
		s := shelf.New(store, "test", func() time.Time { return now })
		put(t, s, "a", "one", now.Add(time.Hour))
		now = now.Add(time.Hour)
		if _, err := s.Get(t.Context(), "a"); !errors.Is(err, shelf.ErrNotFound) {
			t.Fatalf("got %v", err)
		}
	})
}

// TestOnePutWins: whoever comes first, all get to know the same document.
func TestOnePutWins(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store onceward.Store) {
		const racers = 16
		var mu sync.Mutex
		winners, seen := 0, map[string]bool{}
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				doc, created, err := shelf.New(store, "test", nil).Put(t.Context(), "a", fmt.Appendf(nil, "%d", i), time.Time{})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if seen[string(doc.Data)] = true; created {
					winners++
				}
			})
		}
		wg.Wait()
		if winners != 1 || len(seen) != 1 {
			t.Fatalf("%d winners, documents %v", winners, seen)
		}
	})
}

func TestDocumentsAreListed(t *testing.T) {
	t.Parallel()
	onStores(t, func(t *testing.T, store onceward.Store) {
		s := shelf.New(store, "test", nil)
		put(t, shelf.New(store, "other", nil), "x", "x", time.Time{})
		for _, name := range []string{"a", "b", "c"} {
			put(t, s, name, "data of "+name, time.Time{})
		}
		var got []string
		for cursor := ""; ; {
			docs, next, err := s.List(t.Context(), cursor, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range docs {
				got = append(got, string(d.Data))
			}
			if cursor = next; cursor == "" {
				break
			}
		}
		if fmt.Sprint(got) != "[data of c data of b data of a]" {
			t.Fatalf("got %v", got)
		}
	})
}

func TestDocumentsAreBounded(t *testing.T) {
	t.Parallel()
	s := shelf.New(memstore.New(), "test", nil)
	for _, size := range []int{0, shelf.MaxBytes + 1} {
		if _, _, err := s.Put(t.Context(), "a", make([]byte, size), time.Time{}); err == nil {
			t.Errorf("%d bytes were accepted", size)
		}
	}
	if _, err := storage.Create(t.Context(), "redis://user:hunter2@host"); err == nil || !strings.Contains(err.Error(), `no store "redis"`) || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}
