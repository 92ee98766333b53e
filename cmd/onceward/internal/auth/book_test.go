package auth_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/auth"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/memstore"
)

func newBook(t testing.TB, store onceward.Store, cfg auth.BookConfig) *auth.Book {
	t.Helper()
	b, err := auth.NewBook(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func createKey(t testing.TB, b *auth.Book, n auth.NewKey) (string, auth.APIKey) {
	t.Helper()
	token, key, err := b.Create(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return string(token.Reveal()), key
}

func TestAPIKeysAreSharedByGateways(t *testing.T) {
	t.Parallel()
	path := "sqlite:" + filepath.Join(t.TempDir(), "once.db")
	var books []*auth.Book
	for range 2 { // as two processes on one database
		h, err := storage.Create(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
				t.Error(err)
			}
		})
		books = append(books, newBook(t, h.Store, auth.BookConfig{}))
	}
	token, key := createKey(t, books[0], auth.NewKey{Principal: "acme", Note: "till 7"})
	accepted(t, books[1], request(t.Context(), token), "key:acme")
	own := request(t.Context(), "")
	own.Header.Set("X-Api-Key", token)
	accepted(t, books[1], own, "key:acme")
	if _, err := books[0].Revoke(t.Context(), key.ID); err != nil {
		t.Fatal(err)
	}
	refused(t, books[0], request(t.Context(), token))
	refused(t, newBook(t, storeOf(t, path), auth.BookConfig{}), request(t.Context(), token))
	keys, next, err := books[1].List(t.Context(), "", 10)
	if err != nil || next != "" || len(keys) != 1 || keys[0].Note != "till 7" || keys[0].RevokedAt.IsZero() {
		t.Fatalf("got %+v, %q, %v", keys, next, err)
	}
}

func storeOf(t *testing.T, dsn string) onceward.Store {
	t.Helper()
	h, err := storage.Create(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return h.Store
}

// TestRevocationReachesOthersInTime: they remember a key for CacheTTL.
func TestRevocationReachesOthersInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		here, there := newBook(t, store, auth.BookConfig{}), newBook(t, store, auth.BookConfig{})
		token, key := createKey(t, here, auth.NewKey{Principal: "acme", TTL: time.Hour})
		time.Sleep(time.Minute)
		accepted(t, there, request(t.Context(), token), "key:acme")
		if _, err := here.Revoke(t.Context(), key.ID); err != nil {
			t.Fatal(err)
		}
		refused(t, here, request(t.Context(), token))
		accepted(t, there, request(t.Context(), token), "key:acme")
		time.Sleep(10*time.Second + time.Millisecond)
		refused(t, there, request(t.Context(), token))

		token, _ = createKey(t, here, auth.NewKey{Principal: "acme", TTL: time.Second})
		accepted(t, there, request(t.Context(), token), "key:acme")
		time.Sleep(time.Second)
		refused(t, there, request(t.Context(), token)) // although it remembers it
		time.Sleep(time.Minute)
		refused(t, there, request(t.Context(), token))
	})
}

// counting counts the reads of a store.
type counting struct {
	onceward.Store
	gets int
	err  error
}

func (c *counting) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	c.gets++
	if c.err != nil {
		return onceward.Record{}, c.err
	}
	return c.Store.Get(ctx, req)
}

func TestAPIKeysCostTheStoreLittle(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &counting{Store: memstore.New()}
		b := newBook(t, store, auth.BookConfig{LookupsPerSecond: 20, CacheSize: 10})
		token, _ := createKey(t, b, auth.NewKey{Principal: "acme"})
		for range 100 {
			accepted(t, b, request(t.Context(), token), "key:acme")
		}
		if store.gets != 1 {
			t.Fatalf("%d reads for one key", store.gets)
		}
		// Well-formed keys that nobody made, each another one.
		elsewhere := newBook(t, memstore.New(), auth.BookConfig{})
		unavailable := 0
		for range 200 {
			stranger, _ := createKey(t, elsewhere, auth.NewKey{Principal: "x"})
			_, err := b.Authenticate(request(t.Context(), stranger))
			if _, ok := errors.AsType[*auth.UnavailableError](err); ok {
				unavailable++
			}
		}
		if store.gets > 20 || unavailable < 180 {
			t.Fatalf("%d reads, %d put off", store.gets, unavailable)
		}
		// Malformed ones never reach the store.
		time.Sleep(time.Second)
		gets := store.gets
		for _, bad := range []string{token[:len(token)-1], token + "a", token[:30] + "2" + token[31:], "owk_"} {
			refused(t, b, request(t.Context(), bad))
		}
		if store.gets != gets {
			t.Fatalf("%d reads for malformed keys", store.gets-gets)
		}
		store.err = errors.New("disk I/O error")
		stranger, _ := createKey(t, elsewhere, auth.NewKey{Principal: "x"})
		undecided(t, b, request(t.Context(), stranger))
	})
}

// TestAPIKeysAreNotStored: neither the token nor its secret is in the records.
func TestAPIKeysAreNotStored(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	b := newBook(t, store, auth.BookConfig{})
	token, key, err := b.Create(t.Context(), auth.NewKey{Principal: "acme"})
	if err != nil {
		t.Fatal(err)
	}
	text := string(token.Reveal())
	if !strings.HasPrefix(text, "owk_"+key.ID+"_") {
		t.Fatalf("the token does not carry its id: %d characters", len(text))
	}
	rec, err := store.Get(t.Context(), onceward.GetRequest{
		Key: onceward.Key{Scope: onceward.ReservedScope + "apikeys", Value: key.ID}, Now: time.Now(),
	})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("created", "token", token, "key", key)
	for _, seen := range []string{fmt.Sprintf("%+v", rec), string(rec.Detail), log.String(), fmt.Sprint(token), fmt.Sprintf("%+v", key)} {
		if strings.Contains(seen, text[21:60]) {
			t.Fatalf("the secret is in %s", seen)
		}
	}
}

func TestAPIKeysAreChecked(t *testing.T) {
	t.Parallel()
	b := newBook(t, memstore.New(), auth.BookConfig{})
	for _, n := range []auth.NewKey{
		{},
		{Principal: strings.Repeat("x", 201)},
		{Principal: "a\nb"},
		{Principal: "\xff"},
		{Principal: "a", TTL: -1},
		{Principal: "a", Note: strings.Repeat("x", 501)},
	} {
		if _, _, err := b.Create(t.Context(), n); err == nil {
			t.Errorf("%+v was accepted", n)
		}
	}
	for _, id := range []string{"", "x", strings.Repeat("a", 16), "../../etc"} {
		if _, err := b.Revoke(t.Context(), id); !errors.Is(err, auth.ErrNoKey) {
			t.Errorf("revoking %q: %v", id, err)
		}
	}
	if _, err := b.Authenticate(request(t.Context(), "a.b.c")); !errors.Is(err, auth.ErrNone) {
		t.Errorf("another bearer token: %v", err)
	}
	twice := request(t.Context(), "")
	twice.Header["X-Api-Key"] = []string{"a", "b"}
	refused(t, b, twice)
	if _, err := auth.NewBook(memstore.New(), auth.BookConfig{CacheTTL: -1}); err == nil {
		t.Error("a negative time was accepted")
	}
}
