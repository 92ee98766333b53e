package main_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/onceward/onceward/postgres/pgtest"
)

// onDatabase runs SQL past the gateway.
func onDatabase(t *testing.T, dsn, sql string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// rewind puts the table back to what it held before a request, as promoting a
// standby that has stalled does: the record is gone, and so is the count of the
// batches that it came with.
const (
	remember = `CREATE TABLE old_marks AS SELECT * FROM onceward_marks; CREATE TABLE old_keys AS SELECT * FROM onceward_keys`
	rewind   = `DELETE FROM onceward_keys; INSERT INTO onceward_keys SELECT * FROM old_keys;
		DELETE FROM onceward_marks; INSERT INTO onceward_marks SELECT * FROM old_marks`
)

type lossPage struct {
	Losses []struct {
		ID, Database, Detail string
		Detected             time.Time  `json:"detected_at"`
		Acknowledged         *time.Time `json:"acknowledged_at"`
	}
}

// The database goes back behind what it has acknowledged. The gateway writes
// nothing, is not ready and says what is lost, until an operator acknowledges it
// and the audit log has the reason.
func TestLostWritesStopTheGateway(t *testing.T) {
	t.Parallel()
	rpc := startChain(t, 100*time.Millisecond)
	path, dsn := configFile(t, rpc), pgtest.Database(t)
	setStore(t, path, dsn)
	s := startServe(t, path)
	if a := s.post("/v1/rewards", "kept", reward("a", 7)); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	onDatabase(t, dsn, remember)
	first := s.post("/v1/rewards", "lost", reward("b", 7))
	if first.status != http.StatusOK {
		t.Fatalf("%d %s", first.status, first.body)
	}
	onDatabase(t, dsn, rewind)

	// The watermark notices before the retry can run again.
	if a := s.post("/v1/rewards", "lost", reward("b", 7)); a.status == http.StatusOK && a.header.Get("Idempotent-Replayed") == "" {
		t.Fatalf("what was lost ran again: %d %s", a.status, a.body)
	}
	refused := s.post("/v1/rewards", "new", reward("c", 7))
	if refused.status != http.StatusServiceUnavailable || !strings.Contains(refused.body, "store-unavailable") || refused.header.Get("Retry-After") == "" {
		t.Fatalf("a new key: %d %s", refused.status, refused.body)
	}
	ready := s.get("/readyz")
	if ready.status != http.StatusServiceUnavailable {
		t.Fatalf("/readyz: %d %s", ready.status, ready.body)
	}
	for _, want := range []string{"batches", "are gone", "operations acknowledged from", "onceward losses list"} {
		if !strings.Contains(ready.body, want) || !strings.Contains(s.log.String(), want) {
			t.Errorf("/readyz or the log do not say %q:\n%s\n%s", want, ready.body, s.log)
		}
	}
	acknowledge(t, dsn)
	eventually(t, "the gateway is ready again", func() bool { return s.get("/readyz").status == http.StatusOK })
	if a := s.post("/v1/rewards", "new", reward("c", 7)); a.status != http.StatusOK {
		t.Errorf("after the acknowledgement: %d %s", a.status, a.body)
	}
	// What the database has forgotten, the chain remembers.
	if a := s.post("/v1/rewards", "lost", reward("b", 8)); a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, `"key-reused"`) {
		t.Errorf("the lost key with another amount: %d %s", a.status, a.body)
	}
	if a := s.post("/v1/rewards", "lost", reward("b", 7)); a.status != http.StatusOK || a.body != first.body {
		t.Errorf("the lost key again: %d %s; the first answer was %s", a.status, a.body, first.body)
	}
	if got := mints(t, rpc); got[account("a")] != 1 || got[account("b")] != 1 || got[account("c")] != 1 {
		t.Errorf("mints: %v", got)
	}
}

// acknowledge does what an operator does, and some things wrong first.
func acknowledge(t *testing.T, dsn string) {
	t.Helper()
	var page lossPage
	done(t, &page, "losses", "list", "--store", dsn, "-o", "json")
	if len(page.Losses) == 0 || page.Losses[0].Acknowledged != nil || !strings.Contains(page.Losses[0].Detail, "are gone") {
		t.Fatalf("losses: %+v", page)
	}
	id := page.Losses[0].ID
	if table := done(t, nil, "losses", "list", "--store", dsn); !strings.Contains(table, id) || !strings.Contains(table, "are gone") {
		t.Errorf("got %s", table)
	}
	fails(t, 2, "--reason", "losses", "acknowledge", "--store", dsn, id)
	fails(t, 2, "--all", "losses", "acknowledge", "--store", dsn, "--reason=r")
	fails(t, 2, "there is no loss", "losses", "acknowledge", "--store", dsn, "--reason=r", "00000000-0000-4000-8000-000000000000")
	fails(t, 1, "are gone", "sweep", "--store", dsn, "--reason=r") // no other command writes
	if out := done(t, nil, "losses", "acknowledge", "--store", dsn, "--reason=compared with the old primary", id); !strings.Contains(out, "1") {
		t.Errorf("got %s", out)
	}
	var rest struct{ Acknowledged int }
	done(t, &rest, "losses", "acknowledge", "--store", dsn, "-o", "json", "--reason=compared with the old primary", "--all")
	if rest.Acknowledged != len(page.Losses)-1 {
		t.Errorf("acknowledged %d more of %d", rest.Acknowledged, len(page.Losses))
	}
	page = lossPage{}
	done(t, &page, "losses", "list", "--store", dsn, "-o", "json")
	if page.Losses[0].Acknowledged == nil {
		t.Errorf("losses: %+v", page)
	}
	var log struct {
		Entries []struct{ Actor, Action, Phase, Target, Reason, Detail string }
	}
	done(t, &log, "audit", "list", "--store", dsn, "-o", "json")
	done(t, nil, "audit", "verify", "--store", dsn)
	for _, e := range log.Entries {
		if e.Action == "losses acknowledge" && e.Phase == "done" && strings.Contains(e.Target, id) && e.Actor == "ops@example" &&
			e.Reason == "compared with the old primary" && strings.Contains(e.Detail, "are gone") {
			return
		}
	}
	t.Errorf("the audit log has no such entry: %+v", log)
}

func TestLossesOfAStoreThatHasNone(t *testing.T) {
	t.Parallel()
	fails(t, 1, "one file", "losses", "list", "--store", newDatabase(t, nil).dsn)
}
