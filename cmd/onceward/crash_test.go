package main_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"
)

// Kills of the campaign; ONCEWARD_CRASHES sets more for a longer one.
const defaultCrashes = 100

func TestCrashInTheMiddleOfAMint(t *testing.T) {
	t.Parallel()
	for name, retried := range map[string]bool{"retried": true, "nobody comes back": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startDev(t, "--ledger-interval=1s", "--lease=1s")
			ctx, cancel := context.WithCancel(t.Context())
			var lost sync.WaitGroup
			lost.Go(func() {
				_, _ = s.call(ctx, http.MethodPost, "/v1/rewards", reward("a", 9), "Idempotency-Key", `"k"`)
			})
			eventually(t, "the transaction is signed", func() bool {
				attempts, _ := s.get("/v1/operations?key=k").field(t, "attempts").([]any)
				return len(attempts) > 0
			})
			s.kill()
			lost.Wait()
			cancel()
			s.start()
			if retried {
				var a answer
				eventually(t, "the retry gets an answer", func() bool {
					a = s.post("/v1/rewards", "k", reward("a", 9))
					return a.status == http.StatusOK
				})
			}
			eventually(t, "the operation is finished", func() bool {
				return s.get("/v1/operations?key=k").field(t, "status") == "SUCCEEDED"
			})
			var final answer // the outcome is stored a moment before the record
			eventually(t, "the key is completed", func() bool {
				final = s.post("/v1/rewards", "k", reward("a", 9))
				return final.status == http.StatusOK
			})
			if final.field(t, "tx_hash") != s.get("/v1/operations?key=k").field(t, "tx_hash") {
				t.Errorf("answer %s", final.body)
			}
			if got := mints(t, s.rpc); got[account("a")] != 1 {
				t.Errorf("mints: %v", got)
			}
		})
	}
}

// TestCrashCampaign kills the process again and again at random moments while
// clients mint, retry and give up. Every accepted key must have exactly one
// mint, and every answer that a key ever got must be the same one.
//
// The chain runs in the test, so that it goes on while the process is dead:
// a transaction may be applied whose sender never learned of it.
func TestCrashCampaign(t *testing.T) {
	t.Parallel()
	crashes := defaultCrashes
	if s := os.Getenv("ONCEWARD_CRASHES"); s != "" {
		var err error
		if crashes, err = strconv.Atoi(s); err != nil {
			t.Fatalf("ONCEWARD_CRASHES=%q is not a number", s)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))

	url := startChain(t, 50*time.Millisecond)
	s := startDev(t, "--rpc-url="+url, "--ledger-interval=50ms", "--lease=500ms", "--wait=5s")
	c := &campaign{t: t, s: s, answers: make(map[string]string)}
	for i := range crashes {
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for j := range 4 {
			key := fmt.Sprintf("crash-%d-%d", i, j)
			clients.Go(func() { c.mint(ctx, key) })
		}
		// Some of the keys of earlier rounds are asked for again.
		if i > 0 {
			old := fmt.Sprintf("crash-%d-%d", random.IntN(i), random.IntN(4))
			clients.Go(func() { c.mint(ctx, old) })
		}
		<-time.After(time.Duration(random.Int64N(int64(300 * time.Millisecond))))
		s.kill()
		cancel()
		clients.Wait()
		s.start()
	}
	c.settle()
	minted := mints(t, url)
	for key := range c.answers {
		if n := minted[account(key)]; n != 1 {
			t.Errorf("seed %d: key %s was minted %d times", seed, key, n)
		}
	}
	for to, n := range minted {
		if n != 1 {
			t.Errorf("seed %d: %d mints to %s", seed, n, to)
		}
	}
	t.Logf("%d kills, %d keys, %d mints", crashes, len(c.answers), len(minted))
}

// campaign is what the clients know.
type campaign struct {
	t *testing.T
	s *server

	mu      sync.Mutex
	answers map[string]string // the answer that each key got, "" while none
}

// mint asks once for one key and remembers the answer.
func (c *campaign) mint(ctx context.Context, key string) bool {
	a, err := c.s.call(ctx, http.MethodPost, "/v1/rewards", reward(key, 1), "Idempotency-Key", `"`+key+`"`)
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.answers[key]
	c.answers[key] = before
	switch {
	case err != nil: // killed, or not listening yet
		return false
	case a.status == http.StatusOK && before == "":
		c.answers[key] = a.body
	case a.status == http.StatusOK && before != a.body:
		c.t.Errorf("key %s had the answer %s and now got %s", key, before, a.body)
	case a.status == http.StatusOK:
	case a.status == http.StatusConflict, a.status == http.StatusServiceUnavailable, a.status == http.StatusAccepted:
		if a.field(c.t, "code") == "outcome-unknown" {
			c.t.Errorf("key %s is held: %s", key, a.body)
		}
		return false
	default:
		c.t.Errorf("key %s: %d %s", key, a.status, a.body)
	}
	return true
}

// settle asks for every key until it has its answer.
func (c *campaign) settle() {
	c.t.Helper()
	keys := make(map[string]bool)
	for key := range c.answers {
		keys[key] = true
	}
	var clients sync.WaitGroup
	gate := make(chan struct{}, 8)
	for key := range keys {
		clients.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			for range 100 {
				if c.mint(c.t.Context(), key) {
					return
				}
			}
			c.t.Errorf("key %s never got an answer", key)
		})
	}
	clients.Wait()
}
