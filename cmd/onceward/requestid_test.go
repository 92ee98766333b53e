package main_test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

const guardedRoute = `
  - match: POST /v1/notes
    contract: %s
    function: note
    args: {text: body.text}
    request_id: {param: %s, executed: [%s]}
`

// The database is lost, and nobody's authorization was used up: the contract
// knows the request id, and the retry gets the original transaction.
func TestServeRequestID(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path := configFile(t, rpc)
	plain := read(t, path)
	guarded := devchain.ContractID(devchain.DefaultPassphrase, "guarded")
	writeFile(t, path, plain+fmt.Sprintf(guardedRoute, guarded, "request_id", "AlreadyExecuted"))
	s := startServe(t, path)
	first := s.post("/v1/notes", "k", `{"text":"hello"}`)
	if first.status != http.StatusOK || first.field(t, "result") != "1" {
		t.Fatalf("first: %d %s", first.status, first.body)
	}
	if a := s.post("/v1/notes", "other", `{"text":"hello","request_id":"`+strings.Repeat("00", 32)+`"}`); a.status != http.StatusBadRequest {
		t.Errorf("a client's own request id: %d %s", a.status, a.body)
	}
	s.kill()

	lost, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.db*"))
	if err != nil || len(lost) == 0 {
		t.Fatalf("no database in %s: %v", filepath.Dir(path), err)
	}
	for _, file := range lost {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	s = startServe(t, path)
	again := s.post("/v1/notes", "k", `{"text":"hello"}`)
	if again.status != http.StatusOK || again.field(t, "tx_hash") != first.field(t, "tx_hash") || again.field(t, "result") != "1" {
		t.Errorf("after the loss: %d %s, before it: %s", again.status, again.body, first.body)
	}
	if a := s.post("/v1/notes", "k2", `{"text":"hello"}`); a.field(t, "result") != "2" {
		t.Errorf("another key: %d %s", a.status, a.body)
	}

	for _, wrong := range []struct{ param, executed, says string }{
		{"id", "AlreadyExecuted", "request_id.param: note has no parameter"},
		{"text", "AlreadyExecuted", "takes string, not a request id, BytesN"},
		{"request_id", "Executed", "request_id.executed: the contract declares no error"},
	} {
		writeFile(t, path, plain+fmt.Sprintf(guardedRoute, guarded, wrong.param, wrong.executed))
		s.hangup(wrong.says, 1)
	}
	writeFile(t, path, plain+fmt.Sprintf(guardedRoute, guarded, "request_id", `"1"`))
	s.hangup("configuration reloaded", 1)
	if a := s.post("/v1/notes", "k3", `{"text":"hello"}`); a.field(t, "result") != "3" {
		t.Errorf("with the error's number: %d %s", a.status, a.body)
	}
}
