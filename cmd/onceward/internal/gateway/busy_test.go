package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/postgres"
	"github.com/onceward/onceward/postgres/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }

// logged collects log lines.
type logged struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String returns what was written.
func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// stuck keeps everybody from the table of keys, until it is lifted.
func stuck(t *testing.T, pool *pgxpool.Pool) (lift func()) {
	t.Helper()
	tx, err := pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "LOCK TABLE onceward_keys IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	return sync.OnceFunc(func() {
		if err := tx.Rollback(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
}

// until polls for what another goroutine or process brings about.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for tick := time.NewTicker(5 * time.Millisecond); ; <-tick.C {
		if cond() {
			tick.Stop()
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// The database is stuck and its queue is full. A client is told when to come
// again, nothing is done for it meanwhile, and its retry is served.
func TestAFullQueueOfTheStoreIsAnswered503(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	if err := postgres.Migrate(t.Context(), pool, postgres.MigrateConfig{Buckets: 1}); err != nil {
		t.Fatal(err)
	}
	store, err := postgres.Open(t.Context(), pool, postgres.Config{Writers: 1, MaxPending: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	var log logged
	srv, eng := gatewayWith(t, store, onceward.Config{StoreTimeout: 2 * time.Second}, slog.New(slog.NewTextHandler(&log, nil)))
	served := func(key string) func() bool {
		return func() bool { status, _, _ := post(t, srv, key, 5); return status == http.StatusOK }
	}
	until(t, "a first request is served", served("first"))

	lift := stuck(t, pool)
	defer lift()
	filler := make(chan error, 1)
	go func() {
		_, err := store.Claim(context.WithoutCancel(t.Context()), onceward.ClaimRequest{
			Key: onceward.Key{Value: "filler"}, Owner: onceward.NewOwner(), Now: time.Now(), LeaseUntil: time.Now().Add(time.Hour),
			ExpiresAt: time.Now().Add(time.Hour),
		})
		filler <- err
	}()
	until(t, "it waits for the table", func() bool {
		var waits bool
		err := pool.QueryRow(t.Context(), "SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'").Scan(&waits)
		if err != nil {
			t.Fatal(err)
		}
		return waits
	})
	status, body, header := post(t, srv, "late", 5)
	var p struct {
		Code      string
		Status    int
		Retryable bool
		Key       string `json:"idempotency_key"`
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%d %s: %v", status, body, err)
	}
	if status != http.StatusServiceUnavailable || p.Status != status || p.Code != "store-unavailable" || !p.Retryable || p.Key != "late" ||
		header.Get("Retry-After") == "" || header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", status, header, body)
	}
	if !strings.Contains(log.String(), postgres.ErrBusy.Error()) {
		t.Errorf("it was not the queue:\n%s", &log)
	}
	lift()
	if err := <-filler; err != nil {
		t.Errorf("what had a place in the queue: %v", err)
	}
	for key, want := range map[string]error{"first": nil, "late": onceward.ErrNotFound} {
		if rec, err := eng.Get(t.Context(), onceward.Key{Scope: gateway.Anonymous, Value: key}); !errors.Is(err, want) {
			t.Errorf("%s left %+v, %v", key, rec, err)
		}
	}
	until(t, "the retry is served", served("late"))
}
