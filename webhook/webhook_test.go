package webhook_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/webhook"
)

const secret = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=" //nolint:gosec // of these tests alone

// receiver is the other system, without a network.
type receiver struct {
	mu      sync.Mutex
	got     []*http.Request
	bodies  []string
	answer  func(n int) (status int, header http.Header)
	failing error
}

func (r *receiver) RoundTrip(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got, r.bodies = append(r.got, req), append(r.bodies, string(body))
	if r.failing != nil {
		return nil, r.failing
	}
	rec := httptest.NewRecorder()
	status := http.StatusNoContent
	if r.answer != nil {
		var header http.Header
		if status, header = r.answer(len(r.got)); header != nil {
			rec.Header()["Retry-After"] = header["Retry-After"]
			rec.Header()["Location"] = header["Location"]
		}
	}
	rec.WriteHeader(status)
	return rec.Result(), nil
}

func (r *receiver) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.got)
}

func outbox(t testing.TB, store webhook.Store, r http.RoundTripper, tweaks ...func(*webhook.Config)) *webhook.Outbox {
	t.Helper()
	cfg := webhook.Config{Name: "test", URL: "https://receiver.test/hook", Secrets: []string{secret}}
	if r != nil {
		cfg.Transport = r
	}
	for _, f := range tweaks {
		f(&cfg)
	}
	b, err := webhook.New(store, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func event(id string) webhook.Event {
	return webhook.Event{ID: id, Type: webhook.TypeSucceeded, At: time.Unix(1_800_000_000, 0), Data: json.RawMessage(`{"n":1}`)}
}

func enqueue(t testing.TB, b *webhook.Outbox, ids ...string) {
	t.Helper()
	for _, id := range ids {
		if err := b.Enqueue(t.Context(), event(id)); err != nil {
			t.Fatal(err)
		}
	}
}

func pass(t testing.TB, b *webhook.Outbox, want webhook.Delivered) {
	t.Helper()
	got, err := b.Deliver(t.Context())
	if err != nil || got != want {
		t.Fatalf("delivered %+v (%v), want %+v", got, err, want)
	}
}

// One message for an id, signed, and the same at every attempt.
func TestDelivered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{answer: func(n int) (int, http.Header) {
			if n == 1 {
				return http.StatusServiceUnavailable, nil
			}
			return http.StatusOK, nil
		}}
		b := outbox(t, memstore.New(), r)
		enqueue(t, b, "msg_1", "msg_1")
		pass(t, b, webhook.Delivered{Failed: 1})
		pass(t, b, webhook.Delivered{}) // not due
		<-time.After(10 * time.Second)
		enqueue(t, b, "msg_1")
		pass(t, b, webhook.Delivered{Sent: 1})
		enqueue(t, b, "msg_1") // told already
		<-time.After(time.Hour)
		pass(t, b, webhook.Delivered{})
		if len(r.got) != 2 || r.bodies[0] != r.bodies[1] {
			t.Fatalf("%d attempts: %q", len(r.got), r.bodies)
		}
		if want := `{"type":"operation.succeeded","timestamp":"2027-01-15T08:00:00Z","data":{"n":1}}`; r.bodies[0] != want {
			t.Errorf("body %s", r.bodies[0])
		}
		for i, req := range r.got {
			verify(t, req, r.bodies[i], secret)
			if req.Header.Get("Webhook-Id") != "msg_1" {
				t.Errorf("id %q", req.Header.Get("Webhook-Id"))
			}
		}
		if r.got[0].Header.Get("Webhook-Timestamp") == r.got[1].Header.Get("Webhook-Timestamp") {
			t.Error("the timestamp is not that of the attempt")
		}
	})
}

// verify computes the signature as the specification says.
func verify(t testing.TB, req *http.Request, body, secret string) {
	t.Helper()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	mac := hmac.New(sha256.New, key)
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", req.Header.Get("Webhook-Id"), req.Header.Get("Webhook-Timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	if !strings.Contains(" "+req.Header.Get("Webhook-Signature")+" ", " "+want+" ") {
		t.Errorf("signature %q, want %q", req.Header.Get("Webhook-Signature"), want)
	}
}

func TestTwoSecrets(t *testing.T) {
	t.Parallel()
	next := "whsec_" + base64.StdEncoding.EncodeToString([]byte("another secret of 24 bytes or more"))
	r := &receiver{}
	b := outbox(t, memstore.New(), r, func(c *webhook.Config) { c.Secrets = append(c.Secrets, next) })
	enqueue(t, b, "msg_1")
	pass(t, b, webhook.Delivered{Sent: 1})
	verify(t, r.got[0], r.bodies[0], secret)
	verify(t, r.got[0], r.bodies[0], next)
}

// Pauses grow, the receiver's wish counts, and at the end a person decides.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &receiver{failing: errors.New("connection refused")}
		store := memstore.New()
		b := outbox(t, store, r, func(c *webhook.Config) { c.MaxAttempts, c.MaxRetry = 4, 15*time.Second })
		enqueue(t, b, "msg_1")
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.Run(ctx) }()
		began := time.Now()
		for r.count() < 4 {
			<-time.After(time.Second)
		}
		if took := time.Since(began); took < 5*time.Second+10*time.Second+15*time.Second || took > time.Minute {
			t.Errorf("four attempts took %v", took)
		}
		<-time.After(time.Hour)
		dead, _, err := b.List(t.Context(), onceward.StatusHeld, "", 10)
		if err != nil || len(dead) != 1 || dead[0].ID != "msg_1" || dead[0].Attempts != 4 || !strings.Contains(dead[0].Reason, "refused") {
			t.Fatalf("%+v, %v", dead, err)
		}
		if err := b.Redeliver(t.Context(), "msg_2"); !errors.Is(err, onceward.ErrNotFound) {
			t.Errorf("unknown: %v", err)
		}
		r.mu.Lock()
		r.failing = nil
		r.mu.Unlock()
		if err := b.Redeliver(t.Context(), "msg_1"); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Minute)
		if err := b.Redeliver(t.Context(), "msg_1"); !errors.Is(err, onceward.ErrNotHeld) {
			t.Errorf("delivered already: %v", err)
		}
		all, _, err := b.List(t.Context(), "", "", 10)
		if err != nil || len(all) != 1 || all[0].Status != onceward.StatusCompleted || all[0].Attempts != 6 {
			t.Fatalf("%+v, %v", all, err)
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestAnswers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, tc := range []struct {
			status int
			header http.Header
			want   webhook.Delivered
			pause  time.Duration // at least
		}{
			{http.StatusOK, nil, webhook.Delivered{Sent: 1}, 0},
			{http.StatusFound, http.Header{"Location": {"http://127.0.0.1/"}}, webhook.Delivered{Failed: 1}, 5 * time.Second},
			{http.StatusBadRequest, nil, webhook.Delivered{Failed: 1}, 5 * time.Second},
			{http.StatusTooManyRequests, http.Header{"Retry-After": {"600"}}, webhook.Delivered{Failed: 1}, 600 * time.Second},
			{http.StatusServiceUnavailable, http.Header{"Retry-After": {"99999999999999999999"}}, webhook.Delivered{Failed: 1}, 5 * time.Second},
			{http.StatusGone, nil, webhook.Delivered{Held: 1}, 0},
		} {
			r := &receiver{answer: func(int) (int, http.Header) { return tc.status, tc.header }}
			b := outbox(t, memstore.New(), r)
			enqueue(t, b, "msg_1")
			pass(t, b, tc.want)
			all, _, err := b.List(t.Context(), "", "", 1)
			if err != nil || len(r.got) != 1 {
				t.Fatalf("%d: %v, %d requests", tc.status, err, len(r.got))
			}
			if pause := time.Until(all[0].Next); tc.pause > 0 && (pause < tc.pause || pause > time.Hour+20*time.Minute) {
				t.Errorf("%d: next in %v", tc.status, pause)
			}
		}
	})
}

// mortal is a store that can die with its process.
type mortal struct {
	webhook.Store
	onceward.Lister
	dead func(call string) bool
}

var errDead = errors.New("the process is dead")

func (m mortal) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	if m.dead("claim") {
		return onceward.ClaimResult{}, errDead
	}
	return m.Store.Claim(ctx, req)
}

func (m mortal) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	if m.dead("complete") {
		return errDead
	}
	return m.Store.Complete(ctx, req)
}

// A process that dies after the receiver's answer and before its record: the
// next one delivers again, under the same id.
func TestCrashAfterDelivery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store, r := memstore.New(), &receiver{}
		dying := mortal{store, store, func(call string) bool { return call == "complete" }}
		enqueue(t, outbox(t, store, r), "msg_1")
		pass(t, outbox(t, dying, r), webhook.Delivered{Failed: 1})
		next := outbox(t, store, r)
		pass(t, next, webhook.Delivered{}) // the dead one's lease
		<-time.After(2 * time.Minute)
		pass(t, next, webhook.Delivered{Sent: 1})
		if len(r.got) != 2 || r.got[0].Header.Get("Webhook-Id") != r.got[1].Header.Get("Webhook-Id") {
			t.Errorf("%d attempts", len(r.got))
		}
		// What is not stored is not acknowledged.
		deaf := mortal{store, store, func(call string) bool { return call == "claim" }}
		if err := outbox(t, deaf, r).Enqueue(t.Context(), event("msg_2")); !errors.Is(err, errDead) {
			t.Errorf("enqueued: %v", err)
		}
	})
}

// Several processes deliver each message once, as long as none dies.
func TestManyProcesses(t *testing.T) {
	t.Parallel()
	store, r := memstore.New(), &receiver{}
	var ids []string
	for i := range 200 {
		ids = append(ids, fmt.Sprint("msg_", i))
	}
	var wg sync.WaitGroup
	for range 4 {
		b := outbox(t, store, r)
		wg.Go(func() {
			for _, id := range ids {
				if err := b.Enqueue(t.Context(), event(id)); err != nil {
					t.Error(err)
				}
			}
			if _, err := b.Deliver(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if _, err := outbox(t, store, r).Deliver(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen := map[string]int{}
	for _, req := range r.got {
		seen[req.Header.Get("Webhook-Id")]++
	}
	if len(seen) != len(ids) || len(r.got) != len(ids) {
		t.Errorf("%d messages in %d requests", len(seen), len(r.got))
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]func(*webhook.Config){
		"Name":          func(c *webhook.Config) { c.Name = "a/b" },
		"https":         func(c *webhook.Config) { c.URL = "http://receiver.test/" },
		"URL":           func(c *webhook.Config) { c.URL = "://" },
		"password":      func(c *webhook.Config) { c.URL = "https://a:b@receiver.test/" },
		"Secrets needs": func(c *webhook.Config) { c.Secrets = nil },
		"Secrets[0]":    func(c *webhook.Config) { c.Secrets = []string{"hunter2hunter2"} },
		"Timeout":       func(c *webhook.Config) { c.Timeout = time.Hour },
		"MaxAttempts":   func(c *webhook.Config) { c.MaxAttempts = -1 },
		"FirstRetry":    func(c *webhook.Config) { c.FirstRetry = 2 * time.Hour },
		"Parallel":      func(c *webhook.Config) { c.Parallel = -1 },
		"Retention":     func(c *webhook.Config) { c.Retention = -1 },
	} {
		cfg := webhook.Config{Name: "test", URL: "https://receiver.test/hook", Secrets: []string{secret}}
		f(&cfg)
		if _, err := webhook.New(memstore.New(), cfg); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", name, err)
		}
	}
	b := outbox(t, memstore.New(), &receiver{})
	for _, e := range []webhook.Event{{Type: "x"}, {ID: "a b", Type: "x"}, {ID: strings.Repeat("a", 65), Type: "x"}, {ID: "a"}} {
		if err := b.Enqueue(t.Context(), e); err == nil {
			t.Errorf("%+v is accepted", e)
		}
	}
}

// The default transport leads out, whatever a name resolves to.
func TestNoWayIn(t *testing.T) {
	t.Parallel()
	hit := false
	inside := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer inside.Close()
	for _, url := range []string{inside.URL, strings.Replace(inside.URL, "127.0.0.1", "localhost", 1)} {
		b := outbox(t, memstore.New(), nil, func(c *webhook.Config) { c.URL, c.Transport, c.MaxAttempts = url, nil, 1 })
		enqueue(t, b, "msg_1")
		pass(t, b, webhook.Delivered{Held: 1})
		dead, _, err := b.List(t.Context(), onceward.StatusHeld, "", 1)
		if err != nil || len(dead) != 1 || !strings.Contains(dead[0].Reason, "not a public address") {
			t.Errorf("%s: %+v, %v", url, dead, err)
		}
	}
	if hit {
		t.Error("it was reached")
	}
}

// A body that is too large is announced without it.
func TestLargeData(t *testing.T) {
	t.Parallel()
	r := &receiver{}
	b := outbox(t, memstore.New(), r)
	e := event("msg_1")
	e.Data = json.RawMessage(`"` + strings.Repeat("x", 70_000) + `"`)
	if err := b.Enqueue(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	pass(t, b, webhook.Delivered{Sent: 1})
	if !strings.Contains(r.bodies[0], `"data_omitted":true`) || len(r.bodies[0]) > 200 {
		t.Errorf("%d bytes", len(r.bodies[0]))
	}
}
