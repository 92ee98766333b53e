package main_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// read returns a file's text.
func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// hangup asks the process to read its configuration again, and waits until it
// has said count times what it made of that.
func (s *server) hangup(says string, count int) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, says, func() bool { return strings.Count(s.log.String(), says) >= count })
}

const extraRoute = `
  - match: POST /v1/gifts
    contract: CONTRACT
    function: mint
    args: {to: body.to, amount: "has(body.amount) ? body.amount : '7'"}
    signer: minter
`

func TestReloadDropsNothing(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path := configFile(t, rpc)
	text := read(t, path)
	contract := text[strings.LastIndex(text, "contract: ")+len("contract: "):]
	contract, _, _ = strings.Cut(contract, "\n")
	withGifts := text + strings.Replace(extraRoute, "CONTRACT", contract, 1)
	s := startServe(t, path)

	// Clients that never rest; each of their requests must be answered.
	ctx, cancel := context.WithCancel(t.Context())
	var clients sync.WaitGroup
	var answered atomic.Int64
	for i := range 4 {
		clients.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				key := fmt.Sprintf("reload-%d-%d", i, n)
				a, err := s.call(t.Context(), http.MethodPost, "/v1/rewards", reward("r", 1), "Idempotency-Key", key) //nolint:contextcheck // a request that was begun is waited for
				if err != nil || a.status != http.StatusOK {
					t.Errorf("%s: %d %s %v", key, a.status, a.body, err)
					return
				}
				answered.Add(1)
			}
		})
	}
	eventually(t, "clients are answered", func() bool { return answered.Load() > 4 })
	good, bad := 0, 0
	for range 3 {
		writeFile(t, path, withGifts)
		good++
		s.hangup("configuration reloaded", good)
		writeFile(t, path, withGifts+"nonsense: 1\n")
		bad++
		s.hangup("the old one stays in force", bad)
		if a := s.post("/v1/gifts", fmt.Sprintf("gift-%d", good), fmt.Sprintf(`{"to":%q}`, account("gift"))); a.status != http.StatusOK {
			t.Errorf("the new route, after a bad file: %d %s", a.status, a.body)
		}
		// Another submitter: the chain section changes, too.
		writeFile(t, path, strings.Replace(text, "poll_interval: 25ms", fmt.Sprintf("poll_interval: %dms", 25+good), 1))
		good++
		s.hangup("configuration reloaded", good)
		if a := s.post("/v1/gifts", "gift", `{}`); a.status != http.StatusNotFound {
			t.Errorf("the route that is gone: %d %s", a.status, a.body)
		}
	}
	writeFile(t, path, strings.Replace(text, "lease: 1s", "lease: 2s", 1))
	s.hangup("operations cannot change while the process runs", 1)
	cancel()
	clients.Wait()
	if got := mints(t, rpc); got[account("r")] != int(answered.Load()) || got[account("gift")] != 3 {
		t.Errorf("%d answers, mints %v", answered.Load(), got)
	}
}

func TestAsyncAnswers(t *testing.T) {
	t.Parallel()
	chain := startPausableChain(t)
	path := configFile(t, chain.url, "    wait: 0s", "    sync_timeout: 500ms")
	s := startServe(t, path)
	chain.pause() // no request can be answered in time
	early := map[string]string{"preferred": "respond-async", "too-long": ""}
	first := make(map[string]answer)
	for key, prefer := range early {
		a := s.post("/v1/rewards", key, reward(key, 1), preference(prefer)...)
		id, _ := a.field(t, "operation_id").(string)
		if a.status != http.StatusAccepted || a.header.Get("Location") != "/v1/operations/"+id || a.field(t, "status") != "PENDING" {
			t.Fatalf("%s: %d %v %s", key, a.status, a.header, a.body)
		}
		if got := a.header.Get("Preference-Applied"); got != prefer {
			t.Errorf("%s: Preference-Applied: %q", key, got)
		}
		first[key] = a
		if retry := s.post("/v1/rewards", key, reward(key, 1)); retry.status != http.StatusAccepted || retry.body != a.body {
			t.Errorf("%s: the retry, with no preference: %d %s", key, retry.status, retry.body)
		}
		if other := s.post("/v1/rewards", key, reward(key, 2)); other.status != http.StatusUnprocessableEntity {
			t.Errorf("%s: another amount: %d %s", key, other.status, other.body)
		}
	}
	chain.resume()
	for key, prefer := range early {
		eventually(t, "the operation succeeds", func() bool {
			return s.get(first[key].header.Get("Location")).field(t, "status") == "SUCCEEDED"
		})
		var final answer
		eventually(t, "the final answer is replayed", func() bool {
			final = s.post("/v1/rewards", key, reward(key, 1), preference(prefer)...)
			return final.status == http.StatusOK
		})
		if final.field(t, "operation_id") != first[key].field(t, "operation_id") || final.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s, final: %v %s", key, final.header, final.body)
		}
	}
	content := fmt.Sprintf(`{"author":%q,"content_hash":%q,"uri":"https://example.org/1"}`, account("a"), strings.Repeat("ef", 32))
	eventually(t, "the content is registered", func() bool {
		return s.post("/v1/content", "original", content).status == http.StatusOK
	})
	// Nobody is told 202 for what the contract refuses at once.
	a := s.post("/v1/content", "copy", content, "Prefer", "respond-async")
	if a.status != http.StatusUnprocessableEntity || a.field(t, "contract_error.name") != "AlreadySubmitted" {
		t.Errorf("%d %s", a.status, a.body)
	}
}

// preference is the header for a Prefer of that value, if any.
func preference(value string) []string {
	if value == "" {
		return nil
	}
	return []string{"Prefer", value}
}

// What an instance has in hand when its time is up is parked, and another one
// finishes it.
func TestDrainParksForAnother(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 5*time.Second)
	path := configFile(t, rpc)
	writeFile(t, path, read(t, path)+"\nlimits: {drain_timeout: 0s}\n")
	one, two := startServe(t, path), startServe(t, path)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var client sync.WaitGroup
	client.Go(func() {
		// It is cut off, or told that the operation goes on elsewhere.
		if a, err := one.call(ctx, http.MethodPost, "/v1/rewards", reward("a", 1), "Idempotency-Key", "k"); err == nil &&
			a.status != http.StatusServiceUnavailable && a.status != http.StatusOK {
			t.Errorf("cut off with %d %s", a.status, a.body)
		}
	})
	eventually(t, "the transaction is signed", func() bool {
		attempts, _ := two.get("/v1/operations?key=k").field(t, "attempts").([]any)
		return len(attempts) > 0
	})
	if code := one.terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	client.Wait()
	eventually(t, "the other instance finishes it", func() bool {
		return two.get("/v1/operations?key=k").field(t, "status") == "SUCCEEDED"
	})
	var a answer
	eventually(t, "the other instance answers", func() bool {
		a = two.post("/v1/rewards", "k", reward("a", 1))
		return a.status == http.StatusOK
	})
	if got := mints(t, rpc)[account("a")]; got != 1 {
		t.Errorf("%d mints", got)
	}
}

func TestReadinessWhileDraining(t *testing.T) {
	t.Parallel()
	path := configFile(t, startChain(t, 100*time.Millisecond))
	writeFile(t, path, read(t, path)+"\nlimits: {drain_delay: 30s}\n")
	s := startServe(t, path)
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it says that it is not ready", func() bool {
		a := s.get("/readyz")
		return a.status == http.StatusServiceUnavailable && a.field(t, "process") == "unavailable"
	})
	if a := s.post("/v1/rewards", "late", reward("late", 1)); a.status != http.StatusOK {
		t.Errorf("a request before the listener closes: %d %s", a.status, a.body)
	}
}
