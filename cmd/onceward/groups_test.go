package main_test

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/postgres/pgtest"
)

// A gateway on two databases: keys live in both, and operators see one store.
func TestServeOnTwoDatabases(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path, a, b := configFile(t, rpc), pgtest.Database(t), pgtest.Database(t)
	dir := t.TempDir()
	writeFile(t, filepath.Join(dir, "a.dsn"), a)
	writeFile(t, filepath.Join(dir, "b.dsn"), b)
	setStore(t, path, fmt.Sprintf("{groups: [{dsn_file: %s/a.dsn, slots: 0-31}, {dsn_file: %s/b.dsn, slots: 32-63}]}", dir, dir))
	if out, stderr, code := execute(t, "migrate", "--print", "-c", path); code != 0 || strings.Count(out, "CREATE TABLE \"public\".onceward_keys (") != 2 {
		t.Errorf("migrate --print: %d %s\n%s", code, stderr, out)
	}
	s := startServe(t, path)
	const keys = 8
	for i := range keys {
		key, to := fmt.Sprintf("group-key-%d", i), fmt.Sprint("g", i)
		first := s.post("/v1/rewards", key, reward(to, 7))
		second := s.post("/v1/rewards", key, reward(to, 7))
		if first.status != http.StatusOK || second.body != first.body || second.header.Get("Idempotent-Replayed") != "true" {
			t.Fatalf("%d %s, again %d %s", first.status, first.body, second.status, second.body)
		}
	}
	if ready := s.get("/readyz"); ready.status != http.StatusOK {
		t.Errorf("/readyz: %d %s", ready.status, ready.body)
	}
	both := a + " " + b // the databases know what they keep
	var page keyPage
	done(t, &page, "keys", "list", "--store", both, "-o", "json", "--limit=1000")
	if len(page.Keys) != keys {
		t.Errorf("%d keys are listed", len(page.Keys))
	}
	for _, k := range page.Keys {
		if shown := done(t, nil, "keys", "show", "--store", both, k.OperationID); !strings.Contains(shown, "COMPLETED") {
			t.Errorf("got %s", shown)
		}
	}
	done(t, nil, "sweep", "--store", both, "--reason=disk space")
	done(t, nil, "audit", "verify", "--store", both)
	for _, dsn := range []string{a, b} {
		fails(t, 1, "no database keeps the slots", "keys", "list", "--store", dsn)
	}
	if got := mints(t, rpc); len(got) != keys {
		t.Errorf("mints: %v", got)
	}
	swapped := storage.WithSlots(b, "0-31") + " " + storage.WithSlots(a, "32-63")
	fails(t, 1, "slots cannot be moved", "keys", "list", "--store", swapped)
}
