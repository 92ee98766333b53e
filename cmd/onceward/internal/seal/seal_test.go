package seal_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/oncetest"
)

// TestConformance: to its users a sealed store is a store like any other.
func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		oncetest.Run(t, func(t *testing.T) onceward.Store {
			return open(t, memstore.New(), newKeyring(t), seal.Config{})
		}, oncetest.Abilities()...)
	})
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		oncetest.Run(t, func(t *testing.T) onceward.Store {
			return open(t, openSQLite(t), newKeyring(t), seal.Config{})
		}, oncetest.Abilities()...)
	})
}

// TestNothingIsLegibleOnDisk looks for the sealed values in the bytes of the
// database, its journal included.
func TestNothingIsLegibleOnDisk(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h, err := storage.Create(t.Context(), "sqlite:"+filepath.Join(dir, "once.db"))
	if err != nil {
		t.Fatal(err)
	}
	look := func(present bool) {
		t.Helper()
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		var all []byte
		for _, f := range files {
			b, err := os.ReadFile(filepath.Join(dir, f.Name()))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b...)
		}
		for _, value := range []string{"iban", "/orders/77", "signed bytes", "envelope-1", detail} {
			if bytes.Contains(all, []byte(value)) != present {
				t.Errorf("%q is in the files: %v, want %v", value, !present, present)
			}
		}
		if !bytes.Contains(all, []byte(alice.Value)) {
			t.Error("the record is not in the files, so this test proves nothing")
		}
	}
	s := open(t, h.Store, newKeyring(t), seal.Config{})
	complete(t, s, begin(t, s, alice))
	intact(t, s, alice)
	look(false)
	plain := onceward.Key{Scope: "bob", Value: "order-2"}
	complete(t, h.Store, begin(t, h.Store, plain))
	look(true) // the control: without the wrapper they are there
	if err := h.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestRotation: keys come and go, and every record stays readable, also to a
// gateway that was not told yet.
func TestRotation(t *testing.T) {
	t.Parallel()
	inner := openSQLite(t)
	first := newKeyring(t)
	s := open(t, inner, first, seal.Config{})
	complete(t, s, begin(t, s, alice))
	secret, err := s.FingerprintSecret()
	if err != nil {
		t.Fatal(err)
	}

	both, id, err := first.Add()
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := open(t, inner, both, seal.Config{})
	promoted, err := both.Promote(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetKeyring(t.Context(), newKeyring(t)); err == nil {
		t.Error("the keyring of another store was accepted")
	}
	if err := s.SetKeyring(t.Context(), promoted); err != nil {
		t.Fatal(err)
	}
	bob := onceward.Key{Scope: "bob", Value: "order-1"}
	complete(t, s, begin(t, s, bob))
	intact(t, elsewhere, bob)
	intact(t, elsewhere, alice)

	if used, err := s.InUse(t.Context()); err != nil || used[first.Primary()] != 2 || used[id] != 1 {
		t.Fatalf("in use: %v, %v; want the root and alice by the old key, bob by the new one", used, err)
	}
	if n, err := s.Rewrap(t.Context()); err != nil || n != 2 {
		t.Fatalf("rewrapped %d, %v", n, err)
	}
	if used, err := s.InUse(t.Context()); err != nil || used[first.Primary()] != 0 || used[id] != 3 {
		t.Fatalf("in use after rewrapping: %v, %v", used, err)
	}
	last, err := promoted.Remove(first.Primary())
	if err != nil {
		t.Fatal(err)
	}
	fresh := open(t, inner, last, seal.Config{})
	intact(t, fresh, alice)
	intact(t, fresh, bob)
	if again, err := fresh.FingerprintSecret(); err != nil || !again.Equal(secret) {
		t.Error("the secret of the fingerprints has changed, so retries are not recognised")
	}
	// The key that was removed is of no use any more.
	if _, err := seal.Open(t.Context(), inner, first, seal.Config{}); !errors.Is(err, seal.ErrKeyMissing) {
		t.Errorf("got %v, want ErrKeyMissing", err)
	}
}

// TestDestroy: a tenant's data key is gone, and with it what it sealed; its
// operations stay final, and others are untouched.
func TestDestroy(t *testing.T) {
	t.Parallel()
	inner := openSQLite(t)
	keyring := newKeyring(t)
	s := open(t, inner, keyring, seal.Config{})
	bob := onceward.Key{Scope: "bob", Value: "order-1"}
	complete(t, s, begin(t, s, alice))
	complete(t, s, begin(t, s, bob))
	open2 := onceward.Key{Scope: "alice", Value: "order-2"}
	begin(t, s, open2)
	if done, err := s.Destroy(t.Context(), "alice"); err != nil || !done {
		t.Fatalf("destroyed %v, %v", done, err)
	}
	if done, err := s.Destroy(t.Context(), "alice"); err != nil || done {
		t.Fatalf("destroyed again: %v, %v", done, err)
	}
	for _, s := range []*seal.Store{s, open(t, inner, keyring, seal.Config{})} {
		intact(t, s, bob)
		if _, err := get(t, s, open2); !errors.Is(err, seal.ErrDestroyed) {
			t.Errorf("an operation without its checkpoints: %v", err)
		}
		res, err := s.Claim(t.Context(), claimRequest(onceward.Key{Scope: "alice", Value: "new"}))
		if err != nil || string(res.Record.Detail) != detail {
			t.Errorf("the tenant cannot begin anew: %v", err)
		}
	}
	// A record without checkpoints has only its answer to lose.
	carol := onceward.Key{Scope: "carol", Value: "order-1"}
	res, err := s.Claim(t.Context(), claimRequest(carol))
	if err != nil {
		t.Fatal(err)
	}
	complete(t, s, res.Record.Claim())
	if _, err := s.Destroy(t.Context(), "carol"); err != nil {
		t.Fatal(err)
	}
	rec, err := get(t, s, carol)
	if err != nil || !rec.Response.Tombstone || rec.Response.Status != 201 || rec.Response.Body != nil || rec.Response.Header != nil || rec.Detail != nil {
		t.Errorf("got %+v, %v", rec.Response, err)
	}
}

// TestADestroyedAnswerIsATombstone, as a client sees it: 409, and not a run.
func TestADestroyedAnswerIsATombstone(t *testing.T) {
	t.Parallel()
	s := open(t, memstore.New(), newKeyring(t), seal.Config{})
	eng, err := onceward.New(s, onceward.Config{})
	if err != nil {
		t.Fatal(err)
	}
	runs := 0
	do := func() error {
		_, err := eng.Do(t.Context(), onceward.Request{Key: alice, Detail: []byte(detail)},
			func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
				runs++
				if err := op.Checkpoint(ctx, "sent", []byte("x")); err != nil {
					return onceward.Response{}, err
				}
				return answer, nil
			})
		return err
	}
	if err := errors.Join(do(), do()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Destroy(t.Context(), alice.Scope); err != nil {
		t.Fatal(err)
	}
	if err := do(); onceward.CodeOf(err) != onceward.CodeResponseUnavailable || runs != 1 {
		t.Errorf("got %v after %d runs", err, runs)
	}
}

// TestOneKeyForAScope: gateways that begin at once agree on the data key.
func TestOneKeyForAScope(t *testing.T) {
	t.Parallel()
	inner, keyring := openSQLite(t), newKeyring(t)
	const gateways = 8
	var stores []*seal.Store
	for range gateways {
		stores = append(stores, open(t, inner, keyring, seal.Config{}))
	}
	keys := make([]onceward.Key, gateways)
	var wg sync.WaitGroup
	for i, s := range stores {
		keys[i] = onceward.Key{Scope: "alice", Value: string(rune('a' + i))}
		wg.Go(func() {
			if res, err := s.Claim(t.Context(), claimRequest(keys[i])); err != nil || !res.Won {
				t.Errorf("won %v, %v", res.Won, err)
			}
		})
	}
	wg.Wait()
	for _, s := range stores {
		for _, key := range keys {
			if rec, err := get(t, s, key); err != nil || string(rec.Detail) != detail {
				t.Errorf("got %q, %v", rec.Detail, err)
			}
		}
	}
}

// TestPlaintext: a store in use is encrypted from now on.
func TestPlaintext(t *testing.T) {
	t.Parallel()
	inner, keyring := memstore.New(), newKeyring(t)
	if sealed, err := seal.Sealed(t.Context(), inner); err != nil || sealed {
		t.Fatalf("sealed %v, %v", sealed, err)
	}
	complete(t, inner, begin(t, inner, alice))
	strict := open(t, inner, keyring, seal.Config{})
	if sealed, err := seal.Sealed(t.Context(), inner); err != nil || !sealed {
		t.Fatalf("sealed %v, %v", sealed, err)
	}
	if _, err := get(t, strict, alice); !errors.Is(err, seal.ErrPlaintext) {
		t.Errorf("got %v, want ErrPlaintext", err)
	}
	s := open(t, inner, keyring, seal.Config{AcceptPlaintext: true})
	intact(t, s, alice)
	bob := onceward.Key{Scope: "bob", Value: "order-1"}
	complete(t, s, begin(t, s, bob))
	intact(t, strict, bob)
}

// TestBoundedKeys: what is remembered of scopes is bounded and comes back.
func TestBoundedKeys(t *testing.T) {
	t.Parallel()
	s := open(t, memstore.New(), newKeyring(t), seal.Config{MaxKeys: 3, KeyTTL: time.Hour})
	var keys []onceward.Key
	for i := range 50 {
		keys = append(keys, onceward.Key{Scope: string(rune('A' + i)), Value: "k"})
		complete(t, s, begin(t, s, keys[i]))
	}
	for _, k := range keys {
		intact(t, s, k)
	}
}

func TestOpenIsChecked(t *testing.T) {
	t.Parallel()
	if _, err := seal.Open(t.Context(), nil, newKeyring(t), seal.Config{}); err == nil {
		t.Error("no store was accepted")
	}
	if _, err := seal.Open(t.Context(), memstore.New(), nil, seal.Config{}); err == nil {
		t.Error("no keyring was accepted")
	}
	if _, err := seal.Open(t.Context(), memstore.New(), newKeyring(t), seal.Config{KeyTTL: -1}); err == nil {
		t.Error("a negative time was accepted")
	}
}
