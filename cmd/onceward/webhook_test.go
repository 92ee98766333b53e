package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// inbox is a receiver that checks signatures with the official library. It
// refuses every third request, and forgets nothing.
type inbox struct {
	t      testing.TB
	verify *standardwebhooks.Webhook

	mu       sync.Mutex
	requests int
	ids      map[string][]string // by operation
	types    map[string]string   // by operation
}

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err == nil {
		err = in.verify.Verify(body, r.Header)
	}
	var msg struct {
		Type string `json:"type"`
		Data struct {
			Operation string `json:"operation_id"`
			Answer    struct {
				Operation string `json:"operation_id"`
			} `json:"answer"`
		} `json:"data"`
	}
	if err == nil {
		err = json.Unmarshal(body, &msg)
	}
	if err != nil || msg.Data.Operation == "" || msg.Data.Answer.Operation != msg.Data.Operation {
		in.t.Errorf("a message that cannot be accepted: %v\n%s", err, body)
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.requests++
	op, id := msg.Data.Operation, r.Header.Get("Webhook-Id")
	if !slices.Contains(in.ids[op], id) {
		in.ids[op] = append(in.ids[op], id)
	}
	in.types[op] = msg.Type
	if in.requests%3 == 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (in *inbox) operations() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.ids)
}

const webhookSecret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" //nolint:gosec // of this test alone

// TestCrashWebhooks kills the process again and again while rewards are minted.
// Invariant 13: every operation is told at least once, under one id.
func TestCrashWebhooks(t *testing.T) {
	t.Parallel()
	verify, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	in := &inbox{t: t, verify: verify, ids: map[string][]string{}, types: map[string]string{}}
	receiver := httptest.NewServer(in)
	defer receiver.Close()
	s := startDev(t, "--ledger-interval=500ms", "--lease=1s", "--webhook-url="+receiver.URL, "--webhook-secret="+webhookSecret)
	const operations = 24
	mint := func(i int) (answer, error) {
		return s.call(t.Context(), http.MethodPost, "/v1/rewards", reward(fmt.Sprint("hook", i), 1), "Idempotency-Key", fmt.Sprintf(`"hook-%d"`, i))
	}
	for round := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for i := round * 8; i < round*8+8; i++ {
			clients.Go(func() { _, _ = mint(i) })
		}
		// Between the first signature and the last completion.
		eventually(t, "an operation is signed", func() bool {
			a, err := s.call(ctx, http.MethodGet, fmt.Sprintf("/v1/operations?key=hook-%d", round*8), "")
			if err != nil || a.status != http.StatusOK {
				return false
			}
			attempts, _ := a.field(t, "attempts").([]any)
			return len(attempts) > 0
		})
		s.kill()
		clients.Wait()
		cancel()
		s.start()
	}
	for i := range operations {
		eventually(t, fmt.Sprintf("operation %d is finished", i), func() bool {
			a, err := mint(i)
			return err == nil && a.status == http.StatusOK
		})
	}
	eventually(t, "every operation is told", func() bool { return in.operations() == operations })
	in.mu.Lock()
	defer in.mu.Unlock()
	for op, ids := range in.ids {
		if len(ids) != 1 || in.types[op] != "operation.succeeded" {
			t.Errorf("operation %s was told under %v as %s", op, ids, in.types[op])
		}
	}
}
