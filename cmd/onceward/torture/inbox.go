package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// inbox receives the webhooks of all processes. It fails now and then, and
// forgets nothing.
type inbox struct {
	c      *campaign
	verify *standardwebhooks.Webhook
	listen net.Listener
	serve  *http.Server
	calm   atomic.Bool

	mu       sync.Mutex
	messages map[string]message         // by id
	byOp     map[string]map[string]bool // ids by operation
	received int
}

// message is what one id tells.
type message struct{ operation, tx, text string }

func newInbox(c *campaign, secret string) (*inbox, error) {
	in := &inbox{c: c, messages: make(map[string]message), byOp: make(map[string]map[string]bool)}
	var err error
	if in.verify, err = standardwebhooks.NewWebhook(secret); err != nil {
		return nil, err
	}
	if in.listen, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	in.serve = &http.Server{Handler: in, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = in.serve.Serve(in.listen) }() // ends with close
	return in, nil
}

func (in *inbox) url() string  { return "http://" + in.listen.Addr().String() + "/hook" }
func (in *inbox) close() error { return in.serve.Close() }

func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxAnswer))
	if err != nil {
		return // the process is gone
	}
	if !in.calm.Load() && in.c.dice.percent(15) {
		switch in.c.dice.n(3) {
		case 0:
			in.c.faults.add("webhook refused", 1)
			http.Error(w, "injected", http.StatusInternalServerError)
			return
		case 1:
			in.c.faults.add("webhook lost", 1)
			panic(http.ErrAbortHandler)
		default:
			in.c.faults.add("webhook accepted, answer lost", 1)
			in.take(r.Header, body)
			panic(http.ErrAbortHandler)
		}
	}
	in.take(r.Header, body)
}

// take holds a message against all that came under its id. Invariant 13.
func (in *inbox) take(header http.Header, body []byte) {
	var msg struct {
		Type string `json:"type"`
		Data struct {
			Operation string `json:"operation_id"`
			Answer    struct {
				Operation string `json:"operation_id"`
				TxHash    string `json:"tx_hash"`
			} `json:"answer"`
		} `json:"data"`
	}
	err := in.verify.VerifyIgnoringTimestamp(body, header) // clocks are wrong on purpose
	if err == nil {
		err = json.Unmarshal(body, &msg)
	}
	id := header.Get("Webhook-Id")
	if err != nil || id == "" || msg.Data.Operation == "" || msg.Data.Answer.Operation != msg.Data.Operation {
		in.c.history.violate(13, "a message that cannot be accepted: %v: %s", err, body)
		return
	}
	got := message{msg.Data.Operation, msg.Data.Answer.TxHash, fmt.Sprint(msg.Type, msg.Data)}
	in.c.checks.add("13", 1)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.received++
	if before, known := in.messages[id]; known && before != got {
		in.c.history.violate(13, "id %s told %s, and later %s", id, before.text, got.text)
	}
	in.messages[id] = got
	if in.byOp[got.operation] == nil {
		in.byOp[got.operation] = make(map[string]bool)
	}
	in.byOp[got.operation][id] = true
}

// judge holds the messages about one operation against its outcome: one id
// tells of it, and no other id of the same transaction.
func (in *inbox) judge(operation, tx string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	told := 0
	for id := range in.byOp[operation] {
		if in.messages[id].tx == tx {
			told++
		}
	}
	if told != 1 {
		in.c.history.violate(13, "the outcome of operation %s, transaction %s, was told under %d ids: %v", operation, tx, told, in.byOp[operation])
	}
}
