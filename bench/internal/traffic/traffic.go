// Package traffic is what a guarded write asks of a store.
package traffic

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/onceward/onceward"
)

const lease = 30 * time.Second

var fingerprint = make([]byte, 32)

// Response returns an answer with a body of n bytes.
func Response(n int) *onceward.Response {
	return &onceward.Response{
		Status: 200, Header: map[string][]string{"Content-Type": {"application/json"}}, Body: make([]byte, n),
	}
}

// Key returns the n-th key of a scope. Its text does not grow with n, as that of
// a UUID does not.
func Key(scope string, n int64) onceward.Key {
	// Multiplying by an odd number scatters the keys, as random ones are.
	scattered := strconv.FormatUint(uint64(n)*0x9e3779b97f4a7c15, 16) //nolint:gosec // bits
	const shape = "7d1f0c52-93aa-4b1e-0000000000000000"
	return onceward.Key{Scope: scope, Value: shape[:len(shape)-len(scattered)] + scattered}
}

// Claim asks for a key with what the engine passes.
func Claim(ctx context.Context, s onceward.Store, key onceward.Key, retention time.Duration) (onceward.ClaimResult, error) {
	now := time.Now()
	res, err := s.Claim(ctx, onceward.ClaimRequest{
		Key: key, Owner: onceward.NewOwner(), Token: now.UnixMicro(), Policy: onceward.Hold,
		Fingerprint: fingerprint, Retention: retention,
		Now: now, LeaseUntil: now.Add(lease), ExpiresAt: onceward.Never,
	})
	if err != nil {
		return res, fmt.Errorf("claiming: %w", err)
	}
	return res, nil
}

// Write is one request with a new key: a claim that is durable, and then a
// completion that is durable and expires at a moment.
func Write(ctx context.Context, s onceward.Store, key onceward.Key, resp *onceward.Response, expires time.Time) error {
	res, err := Claim(ctx, s, key, time.Until(expires))
	if err != nil {
		return err
	}
	if !res.Won {
		return fmt.Errorf("the new key %q was taken: the store was not empty", key.Value)
	}
	err = s.Complete(ctx, onceward.CompleteRequest{
		Claim: res.Record.Claim(), Now: time.Now(), Status: onceward.StatusCompleted, Response: resp, ExpiresAt: expires,
	})
	if err != nil {
		return fmt.Errorf("completing: %w", err)
	}
	return nil
}

// Record is what such a request leaves behind, when it came at a moment.
func Record(key onceward.Key, resp *onceward.Response, made, expires time.Time) onceward.Record {
	return onceward.Record{
		Key: key, Status: onceward.StatusCompleted, Token: made.UnixMicro(), Owner: onceward.NewOwner(), Attempt: 1,
		Policy: onceward.Hold, Retention: expires.Sub(made), Fingerprint: fingerprint,
		ClaimedAt: made, LeaseUntil: made.Add(lease), CompletedAt: made, ExpiresAt: expires, Response: resp,
	}
}
