package ha_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/postgres"
)

// TestFailoverAfterACancelledCommitWait: both standbys are away, an
// administrator cancels the wait of the commit that completes an operation, and
// then the primary is lost. Its record was COMPLETED there and nowhere else:
// nobody may have been told, the operation runs once, and both its client and a
// later one get the one answer from the new primary.
func TestFailoverAfterACancelledCommitWait(t *testing.T) {
	t.Parallel()
	c := newCluster(t, quorum)
	pool := connect(t, c.dsn())
	engine := func() *onceward.Engine {
		eng, err := onceward.New(open(t, pool, postgres.Config{}), onceward.Config{
			Lease: 10 * time.Minute, StoreTimeout: time.Second, CompleteTimeout: patience,
		})
		if err != nil {
			t.Fatal(err)
		}
		return eng
	}
	first, second := engine(), engine()
	req := onceward.Request{Key: onceward.Key{Scope: "s", Value: "mint"}, Fingerprint: []byte("f")}
	var effects atomic.Int32
	told, alone := make(chan error, 1), make(chan struct{}, 1)
	go func() {
		out, err := first.Do(t.Context(), req, func(ctx context.Context, _ *onceward.Operation) (onceward.Response, error) {
			effects.Add(1)
			// The claim is safe. From now on no standby has what follows.
			err := errors.Join(c.n2.CutOff(ctx), c.n3.CutOff(ctx))
			alone <- struct{}{}
			return onceward.Response{Status: 201, Body: []byte("minted")}, err
		})
		if err == nil && (out.Replayed || string(out.Response.Body) != "minted") {
			err = errors.New("another answer: " + string(out.Response.Body))
		}
		told <- err
	}()
	select { // the claim's own wait is none to cancel
	case <-alone:
	case err := <-told:
		t.Fatalf("the handler did not run: %v", err)
	}
	const waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
	await(t, c.primary, waits)
	query[bool](t, c.primary, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
	await(t, c.primary, "SELECT status = 'COMPLETED' FROM onceward_keys WHERE key = 'mint'")
	// The store asks again, and waits for the standbys again: nobody is told.
	await(t, c.primary, waits)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	out, err := second.Do(ctx, req, nil)
	cancel()
	if err == nil {
		t.Fatalf("answered from what only the primary has: %+v", out)
	}
	select {
	case err := <-told:
		t.Fatalf("the client was answered while no standby had it: %v", err)
	default:
	}
	if err := c.primary.Kill(); err != nil {
		t.Fatal(err)
	}
	promoted := c.elect(t)
	if err := <-told; err != nil {
		t.Errorf("the client whose commit was cancelled: %v", err)
	}
	out, err = second.Do(t.Context(), req, nil)
	if err != nil || !out.Replayed || string(out.Response.Body) != "minted" {
		t.Errorf("a later client: %+v, %v", out, err)
	}
	if n := effects.Load(); n != 1 {
		t.Errorf("it ran %d times", n)
	}
	if got := query[string](t, promoted, "SELECT status || ' ' || convert_from(resp_body, 'UTF8') FROM onceward_keys WHERE key = 'mint'"); len(got) != 1 || got[0] != "COMPLETED minted" {
		t.Errorf("the new primary has %v", got)
	}
}
