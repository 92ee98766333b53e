package seal_test

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/memstore"
)

func newKeyring(t testing.TB) *seal.Keyring {
	t.Helper()
	k, err := seal.NewKeyring()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func open(t testing.TB, inner onceward.Store, k *seal.Keyring, cfg seal.Config) *seal.Store {
	t.Helper()
	s, err := seal.Open(t.Context(), inner, k, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func openSQLite(t testing.TB) onceward.Store {
	t.Helper()
	h, err := storage.Create(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "once.db"))
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

// forger is a store whose records change on their way out, as if somebody had
// changed the rows.
type forger struct {
	*memstore.Store
	forge func(*onceward.Record)
}

func (f *forger) change(rec onceward.Record, err error) (onceward.Record, error) {
	if f.forge != nil && err == nil && rec.Kind == "order" {
		f.forge(&rec)
	}
	return rec, err
}

func (f *forger) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	return f.change(f.Store.Get(ctx, req))
}

func (f *forger) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	return f.change(f.Store.Find(ctx, req))
}

func (f *forger) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	res, err := f.Store.Claim(ctx, req)
	res.Record, err = f.change(res.Record, err)
	return res, err
}

func (f *forger) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	recs, err := f.Store.Lapsed(ctx, req)
	for i := range recs {
		recs[i], _ = f.change(recs[i], nil)
	}
	return recs, err
}

// An operation that has left everything that can be sealed.
var (
	alice = onceward.Key{Scope: "alice", Value: "order-1"}
	cps   = []onceward.Checkpoint{
		{Name: "envelope-1", Data: []byte("signed bytes one"), At: time.Unix(1, 0)},
		{Name: "envelope-2", Data: []byte("signed bytes two"), At: time.Unix(2, 0)},
	}
	answer = onceward.Response{
		Status: 201, Body: []byte(`{"iban":"DE02"}`), Header: map[string][]string{"Location": {"/orders/77"}, "X-Odd": {"caf\xe9"}},
	}
)

const detail = "hashes of the request"

func claimRequest(key onceward.Key) onceward.ClaimRequest {
	now := time.Now()
	return onceward.ClaimRequest{
		Key: key, Owner: onceward.NewOwner(), Token: now.UnixMicro(), Kind: "order", Policy: onceward.Reconcile,
		Fingerprint: []byte("fp of " + key.Value), Detail: []byte(detail), Retention: time.Hour,
		Now: now, LeaseUntil: now.Add(time.Minute), ExpiresAt: onceward.Never,
	}
}

// begin claims the key and leaves checkpoints.
func begin(t testing.TB, s onceward.Store, key onceward.Key) onceward.Claim {
	t.Helper()
	res, err := s.Claim(t.Context(), claimRequest(key))
	if err != nil || !res.Won {
		t.Fatalf("won %v, %v", res.Won, err)
	}
	if err := s.Checkpoint(t.Context(), onceward.CheckpointRequest{Claim: res.Record.Claim(), Now: time.Now(), Checkpoints: cps}); err != nil {
		t.Fatal(err)
	}
	return res.Record.Claim()
}

func complete(t testing.TB, s onceward.Store, c onceward.Claim) {
	t.Helper()
	err := s.Complete(t.Context(), onceward.CompleteRequest{
		Claim: c, Now: time.Now(), Status: onceward.StatusCompleted, Response: &answer, ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		t.Fatal(err)
	}
}

func get(t testing.TB, s onceward.Store, key onceward.Key) (onceward.Record, error) {
	t.Helper()
	return s.Get(t.Context(), onceward.GetRequest{Key: key, Now: time.Now()})
}

// intact fails unless the whole operation can be read.
func intact(t testing.TB, s onceward.Store, key onceward.Key) {
	t.Helper()
	rec, err := get(t, s, key)
	if err != nil {
		t.Fatal(err)
	}
	if string(rec.Detail) != detail || len(rec.Checkpoints) != 2 || string(rec.Checkpoints[1].Data) != "signed bytes two" ||
		rec.Checkpoints[0].Name != "envelope-1" || rec.Response == nil || string(rec.Response.Body) != string(answer.Body) ||
		rec.Response.Header["X-Odd"][0] != "caf\xe9" || rec.Response.Tombstone {
		t.Fatalf("got %+v, response %+v", rec, rec.Response)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }
