package main_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward/postgres/pgtest"
)

// Two gateways share keys through one store: what one has answered the other
// replays, what one leaves behind the other finishes.
func TestGatewaysShareAStore(t *testing.T) {
	t.Parallel()
	for name, dsn := range map[string]func(*testing.T) string{
		"sqlite":   func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "shared.db") },
		"postgres": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rpc := startChain(t, 100*time.Millisecond)
			path := configFile(t, rpc)
			setStore(t, path, dsn(t))
			one, two := startServe(t, path), startServe(t, path)
			// The servers of tests run without fsync, which is worth a warning.
			if warned := strings.Contains(one.log.String(), "acknowledged writes could be lost"); warned != (name == "postgres") {
				t.Errorf("warned: %v\n%s", warned, one.log)
			}
			first := one.post("/v1/rewards", "k", reward("a", 7))
			if first.status != http.StatusOK {
				t.Fatalf("first: %d %s", first.status, first.body)
			}
			second := two.post("/v1/rewards", "k", reward("a", 7))
			if second.body != first.body || second.header.Get("Idempotent-Replayed") != "true" {
				t.Errorf("the other gateway answered %d %s", second.status, second.body)
			}
			if reused := two.post("/v1/rewards", "k", reward("a", 8)); reused.status != http.StatusUnprocessableEntity {
				t.Errorf("another payload: %d %s", reused.status, reused.body)
			}
			one.kill()
			var third answer
			eventually(t, "the other gateway goes on", func() bool {
				third = two.post("/v1/rewards", "k2", reward("b", 7))
				return third.status == http.StatusOK
			})
			if got := mints(t, rpc); got[account("a")] != 1 || got[account("b")] != 1 {
				t.Errorf("mints: %v", got)
			}
		})
	}
}

// That an operation was answered 202 is known at every gateway, and outlives
// the one that said so.
func TestAcceptedIsKnownEverywhere(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 5*time.Second)
	path := configFile(t, rpc, "    wait: 0s", "    sync_timeout: 5m")
	one, two := startServe(t, path), startServe(t, path)
	first := one.post("/v1/rewards", "k", reward("a", 1), "Prefer", "respond-async")
	if first.status != http.StatusAccepted {
		t.Fatalf("first: %d %s", first.status, first.body)
	}
	asked := func(when string) {
		t.Helper()
		at := two.get(first.header.Get("Location"))
		if s := at.field(t, "status"); at.status != http.StatusOK || s != "PENDING" && s != "SUCCEEDED" {
			t.Errorf("%s: the other gateway knows %d %s", when, at.status, at.body)
		}
		again := two.post("/v1/rewards", "k", reward("a", 1), "Prefer", "wait=1") // says nothing of respond-async
		if again.status != http.StatusOK && (again.status != http.StatusAccepted || again.body != first.body) {
			t.Errorf("%s: the other gateway answers a retry %d %s", when, again.status, again.body)
		}
	}
	asked("while it is under way")
	one.kill()
	asked("after a crash")
	var final answer
	eventually(t, "the other gateway finishes it", func() bool {
		final = two.post("/v1/rewards", "k", reward("a", 1))
		return final.status == http.StatusOK
	})
	if got := mints(t, rpc)[account("a")]; got != 1 || final.field(t, "operation_id") != first.field(t, "operation_id") {
		t.Errorf("%d mints, %s", got, final.body)
	}
}

// setStore changes the store of a configuration.
func setStore(t *testing.T, path, dsn string) {
	t.Helper()
	text := readFile(t, path)
	for line := range strings.SplitSeq(text, "\n") {
		if strings.HasPrefix(line, "store:") {
			text = strings.Replace(text, line, "store: "+dsn, 1)
		}
	}
	if !strings.Contains(text, dsn) {
		t.Fatalf("no store in\n%s", text)
	}
	writeFile(t, path, text)
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
