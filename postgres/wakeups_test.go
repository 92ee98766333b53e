package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
)

func woken(t *testing.T, wake <-chan struct{}, by string) {
	t.Helper()
	select {
	case <-wake:
	case <-time.After(60 * time.Second):
		t.Fatalf("not woken up by %s", by)
	}
}

const listener = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"

func TestAnotherProcessWakesUp(t *testing.T) {
	t.Parallel()
	pool := database(t)
	here, there := open(t, pool, postgres.Config{}), open(t, pool, postgres.Config{})
	rec := win(t, there, claimOf("k"))
	other := win(t, there, claimOf("other"))
	wake, stop := here.Watch(rec.Key)
	defer stop()
	woken(t, wake, "beginning to listen")
	if err := there.Complete(t.Context(), completionOf(rec.Claim())); err != nil {
		t.Fatal(err)
	}
	woken(t, wake, "a completion")
	// The connection is made again when it breaks.
	wake, stopOther := here.Watch(other.Key)
	defer stopOther()
	execSQL(t, pool, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'")
	await(t, pool, listener)
	woken(t, wake, "listening again")
	if err := there.Release(t.Context(), onceward.ReleaseRequest{Claim: other.Claim(), Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	woken(t, wake, "a release")
}

// TestWaitAcrossProcesses: the request that waits here gets the answer of the one
// that runs there.
func TestWaitAcrossProcesses(t *testing.T) {
	t.Parallel()
	pool := database(t)
	here, there := engine(t, open(t, pool, postgres.Config{})), engine(t, open(t, pool, postgres.Config{}))
	req := onceward.Request{Key: onceward.Key{Value: "k"}, Fingerprint: []byte("f"), Wait: 60 * time.Second}
	begun, finish, done := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := there.Do(t.Context(), req, func(context.Context, *onceward.Operation) (onceward.Response, error) {
			close(begun)
			<-finish
			return onceward.Response{Status: 201, Body: []byte("made there")}, nil
		})
		done <- err
	}()
	<-begun
	waited := make(chan error, 1)
	go func() {
		out, err := here.Do(t.Context(), req, nil)
		if err == nil && (!out.Replayed || string(out.Response.Body) != "made there") {
			err = fmt.Errorf("answered %+v", out)
		}
		waited <- err
	}()
	await(t, pool, listener)
	close(finish)
	if err := errors.Join(<-waited, <-done); err != nil {
		t.Error(err)
	}
}

func TestWithoutWakeups(t *testing.T) {
	t.Parallel()
	pool := database(t)
	s := open(t, pool, postgres.Config{NoWakeups: true})
	wake, stop := s.Watch(onceward.Key{Value: "k"})
	defer stop()
	if wake != nil {
		t.Error("a channel that nobody serves")
	}
	works(t, s)
}
