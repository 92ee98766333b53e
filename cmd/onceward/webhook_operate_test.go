package main_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// A receiver turns messages away for good. The operator sees that, and has one
// sent again when the receiver is repaired.
func TestOperatorRedelivers(t *testing.T) {
	t.Parallel()
	verify, err := standardwebhooks.NewWebhook(webhookSecret)
	if err != nil {
		t.Fatal(err)
	}
	var repaired atomic.Bool
	var accepted atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || verify.Verify(body, r.Header) != nil {
			t.Errorf("a message that cannot be accepted: %s", body)
		}
		if !repaired.Load() {
			w.WriteHeader(http.StatusGone)
			return
		}
		accepted.Add(1)
	}))
	defer receiver.Close()
	dir := t.TempDir()
	s := startDev(t, append(fast, "--data="+dir, "--webhook-url="+receiver.URL, "--webhook-secret="+webhookSecret)...)
	files, err := filepath.Glob(filepath.Join(dir, "*.db"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%v, %v", files, err)
	}
	dsn := "sqlite:" + files[0]
	minted := s.post("/v1/rewards", "k", reward("a", 1))

	var page struct {
		Messages []struct {
			ID, State, Type, Reason string
			Operation               string `json:"operation_id"`
			Attempts                int
		}
	}
	listed := func(state string) bool {
		done(t, &page, "webhooks", "list", "--name", "dev", "--store", dsn, "-o", "json", "--state", state)
		return len(page.Messages) == 1
	}
	eventually(t, "the message is given up", func() bool { return listed("dead") })
	m := page.Messages[0]
	if m.State != "dead" || m.Type != "operation.succeeded" || m.Operation != minted.field(t, "operation_id") || m.Attempts != 1 || !strings.Contains(m.Reason, "410") {
		t.Errorf("%+v", m)
	}
	if text := done(t, nil, "webhooks", "list", "--name", "dev", "--store", dsn); !strings.Contains(text, m.ID) || !strings.Contains(text, "dead") {
		t.Errorf("for people:\n%s", text)
	}
	if text := done(t, nil, "webhooks", "list", "--store", dsn); !strings.Contains(text, "none in outbox default") {
		t.Errorf("another outbox:\n%s", text)
	}
	operatorPage := &server{t: t, api: s.admin}
	for path, wants := range map[string][]string{
		"/": {`href="/webhooks"`}, "/webhooks": {m.ID, m.Operation, `<td class="dead">`, "410", "onceward webhooks redeliver --name dev"},
		"/webhooks?state=delivered": {"No messages are delivered"}, "/webhooks.json?state=dead": {`"id": "` + m.ID, `"attempts": 1`},
	} {
		for _, want := range wants {
			if a := operatorPage.get(path); a.status != http.StatusOK || !strings.Contains(a.body, want) {
				t.Errorf("%s lacks %q: %d %s", path, want, a.status, a.body)
			}
		}
	}

	fails(t, 2, "has no message", "webhooks", "redeliver", "--name", "dev", "--store", dsn, "msg_unknown", "--reason=it is repaired")
	fails(t, 2, "--reason", "webhooks", "redeliver", "--name", "dev", "--store", dsn, m.ID)
	repaired.Store(true)
	done(t, nil, "webhooks", "redeliver", "--name", "dev", "--store", dsn, m.ID, "--reason=the receiver is repaired", "--actor=ada")
	eventually(t, "the message is delivered", func() bool { return listed("delivered") })
	if n := accepted.Load(); n != 1 {
		t.Errorf("accepted %d times", n)
	}
	fails(t, 2, "is not dead", "webhooks", "redeliver", "--name", "dev", "--store", dsn, m.ID, "--reason=once more")
	log := done(t, nil, "audit", "list", "--store", dsn)
	if !strings.Contains(log, "webhooks redeliver") || !strings.Contains(log, "the receiver is repaired") || !strings.Contains(log, m.ID) {
		t.Errorf("the audit log:\n%s", log)
	}
}
