package storage_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// second starts another server: a group of its own.
func second(t *testing.T) *pgtest.Server {
	t.Helper()
	s, err := pgtest.Start(t.Context(), pgtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func open(t *testing.T, dsn string) *storage.Handle {
	t.Helper()
	h, err := storage.Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
		defer cancel()
		if err := h.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return h
}

// run makes one operation that ends, or whose process dies.
func run(t *testing.T, h *storage.Handle, value string, dies bool) error {
	t.Helper()
	now := time.Now()
	req := onceward.ClaimRequest{
		Key: onceward.Key{Scope: "s", Value: value}, Owner: onceward.NewOwner(), Token: now.UnixMicro(), Kind: "order",
		Policy: onceward.Rerun, Fingerprint: []byte("f"), Retention: time.Hour, Now: now, LeaseUntil: now, ExpiresAt: onceward.Never,
	}
	res, err := h.Store.Claim(t.Context(), req)
	if err != nil || dies {
		return err
	}
	return h.Store.Complete(t.Context(), onceward.CompleteRequest{
		Claim: res.Record.Claim(), Now: now, Status: onceward.StatusCompleted, ExpiresAt: now.Add(time.Minute),
		Response: &onceward.Response{Status: 201},
	})
}

func slotOf(value string) int { return postgres.Slot(onceward.Key{Scope: "s", Value: value}.ID()) }

// Two servers are one store: recovery, listings and sweeps see both, and one
// that is down takes its own slots along and no others.
func TestTwoServers(t *testing.T) {
	t.Parallel()
	other := second(t)
	a := storage.WithSlots(pgtest.Database(t), "0-15,48-63")
	b := storage.WithSlots(other.DSN("postgres"), "16-47")
	both := a + " " + b
	if _, err := storage.Open(t.Context(), both); err == nil || !strings.Contains(err.Error(), "onceward migrate") {
		t.Fatalf("without tables: %v", err)
	}
	driver, err := storage.Lookup(both)
	if err != nil {
		t.Fatal(err)
	}
	done, err := driver.Migrate(t.Context(), both, storage.MigrateOptions{Partition: true, Buckets: 2})
	if err != nil || strings.Count(done, "schema version") != 2 || !strings.Contains(done, "group 2 of 2, slots 16-47") {
		t.Fatalf("%q, %v", done, err)
	}
	h := open(t, both)
	const keys = 40
	for i := range keys {
		if err := run(t, h, fmt.Sprint(i), i%2 == 0); err != nil {
			t.Fatal(err)
		}
	}
	seesAll(t, h, keys)
	if err := other.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := h.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "database 2 of 2") {
		t.Errorf("ready while a group is down: %v", err)
	}
	up, down := 0, 0
	for i := 0; up == 0 || down == 0; i++ {
		value := fmt.Sprint("later-", i)
		kept := slotOf(value) < 16 || slotOf(value) >= 48
		if err := run(t, h, value, false); (err == nil) != kept {
			t.Errorf("slot %d: %v", slotOf(value), err)
		}
		if kept {
			up++
		} else {
			down++
		}
	}
	if err := other.Run(t.Context()); err != nil { // so that closing need not wait
		t.Fatal(err)
	}
}

// seesAll looks at a store on which every other key's owner has died.
func seesAll(t *testing.T, h *storage.Handle, keys int) {
	t.Helper()
	now := time.Now()
	perGroup := map[bool]int{}
	lapsed, err := h.Store.(onceward.LapsedLister).Lapsed(t.Context(), onceward.LapsedRequest{Now: now, Policy: onceward.Rerun, Limit: 1000})
	if err != nil || len(lapsed) != keys/2 {
		t.Errorf("%d of %d lapsed operations, %v", len(lapsed), keys/2, err)
	}
	for _, r := range lapsed {
		slot := slotOf(r.Key.Value)
		perGroup[slot >= 16 && slot < 48]++
	}
	if len(perGroup) != 2 {
		t.Errorf("all lapsed operations are in one group: %v", perGroup)
	}
	seen := 0
	for req := (onceward.ListRequest{Now: now, Limit: 7}); ; {
		page, err := h.Store.(onceward.Lister).List(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		seen += len(page.Records)
		if req.Cursor = page.Next; req.Cursor == "" {
			break
		}
	}
	if seen != keys {
		t.Errorf("%d of %d records are listed", seen, keys)
	}
	swept := 0
	for more := true; more; {
		res, err := h.Store.(onceward.Sweeper).Sweep(t.Context(), onceward.SweepRequest{Now: now.Add(time.Hour), Limit: 9})
		if err != nil {
			t.Fatal(err)
		}
		swept, more = swept+res.Deleted, res.More
	}
	if swept != keys/2 {
		t.Errorf("%d of %d completed records are swept", swept, keys/2)
	}
}

func TestDSNsThatCannotBeMeant(t *testing.T) {
	t.Parallel()
	const host = "postgres://user:hunter2@127.0.0.1:1/db" //nolint:gosec // nobody's
	for dsn, says := range map[string]string{
		"nothing":                    "no scheme",
		"redis://host":               `no store "redis"`,
		host + " sqlite:x.db":        "each is postgres",
		host + " " + host:            "does not say which slots",
		host + "?onceward_slots=5-3": "lower one first",
		host + "?pool_max_conns=x":   "the store's DSN",
	} {
		d, err := storage.Lookup(dsn)
		if err == nil {
			_, err = d.Migrate(t.Context(), dsn, storage.MigrateOptions{})
		}
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v; want something about %q and no password", dsn, err, says)
		}
	}
	sqlite, err := storage.Lookup("sqlite:x")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sqlite.Migrate(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), storage.MigrateOptions{Partition: true}); err == nil {
		t.Error("SQLite took a flag of PostgreSQL's")
	}
}
