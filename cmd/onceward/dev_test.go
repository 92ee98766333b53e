package main_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestARetryGetsTheOriginalAnswer(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	before := supply(t, s.rpc)
	first := s.post("/v1/rewards", "k1", reward("a", 100))
	if first.status != http.StatusOK || first.field(t, "status") != "SUCCEEDED" {
		t.Fatalf("first: %d %s", first.status, first.body)
	}
	if first.header.Get("Idempotent-Replayed") != "" || first.header.Get("Idempotency-Key-Expires") == "" {
		t.Errorf("first answer's headers: %v", first.header)
	}
	second := s.post("/v1/rewards", "k1", reward("a", 100))
	if second.status != first.status || second.body != first.body {
		t.Errorf("the retry got %d %s, the original was %s", second.status, second.body, first.body)
	}
	if second.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the replay's headers: %v", second.header)
	}
	unquoted := s.post("/v1/rewards", "", reward("a", 100), "Idempotency-Key", "k1")
	if unquoted.body != first.body {
		t.Errorf("the raw form of the key got %s", unquoted.body)
	}
	if got := mints(t, s.rpc); len(got) != 1 || got[account("a")] != 1 {
		t.Errorf("mints on the chain: %v", got)
	}
	if rose := supply(t, s.rpc) - before; rose != 100 {
		t.Errorf("the supply rose by %d", rose)
	}
	t.Run("lookup", func(t *testing.T) {
		byKey := s.get("/v1/operations?key=k1")
		id, _ := byKey.field(t, "operation_id").(string)
		if byKey.status != http.StatusOK || id != first.field(t, "operation_id") || byKey.field(t, "tx_hash") != first.field(t, "tx_hash") {
			t.Fatalf("by key: %d %s", byKey.status, byKey.body)
		}
		if byID := s.get("/v1/operations/" + id); byID.body != byKey.body {
			t.Errorf("by id: %s", byID.body)
		}
		for _, path := range []string{"/v1/operations/" + id, "/v1/operations?key=k1"} {
			if other := s.get(path, "Authorization", "Bearer somebody-else"); other.status != http.StatusNotFound {
				t.Errorf("another principal sees %s: %d %s", path, other.status, other.body)
			}
		}
	})
}

func TestKeysAndPayloads(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	first := s.post("/v1/rewards", "k", reward("a", 100))
	other := s.post("/v1/rewards", "k", reward("a", 987654321))
	if other.status != http.StatusUnprocessableEntity || other.field(t, "code") != "key-reused" || !strings.Contains(other.body, `"/amount"`) {
		t.Errorf("another amount: %d %s", other.status, other.body)
	}
	if strings.Contains(other.body, "987654321") {
		t.Errorf("the problem repeats a value: %s", other.body)
	}
	if none := s.post("/v1/rewards", "", reward("a", 100)); none.status != http.StatusBadRequest || none.field(t, "code") != "key-missing" {
		t.Errorf("no key: %d %s", none.status, none.body)
	}
	tenant := s.post("/v1/rewards", "k", reward("a", 100), "Authorization", "Bearer tenant-2")
	if tenant.status != http.StatusOK || tenant.field(t, "tx_hash") == first.field(t, "tx_hash") {
		t.Errorf("the same key of another principal: %d %s", tenant.status, tenant.body)
	}
	if got := mints(t, s.rpc)[account("a")]; got != 2 {
		t.Errorf("%d mints, one for each principal expected", got)
	}
}

func TestNaturalKey(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	vote := `{"voter":"` + account("voter") + `","proposal_id":"7","support":true}`
	first := s.post("/v1/votes", "v1", vote)
	if first.status != http.StatusOK {
		t.Fatalf("first vote: %d %s", first.status, first.body)
	}
	again := s.post("/v1/votes", "v2", vote)
	if again.status != http.StatusOK || again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the same vote with a new key: %d %v %s", again.status, again.header, again.body)
	}
	changed := s.post("/v1/votes", "v3", strings.Replace(vote, "true", "false", 1))
	if changed.status != http.StatusUnprocessableEntity || !strings.Contains(changed.body, "/support") {
		t.Errorf("another vote of the same voter: %d %s", changed.status, changed.body)
	}
	elsewhere := s.post("/v1/votes", "v4", strings.Replace(vote, `"7"`, `"8"`, 1))
	if elsewhere.status != http.StatusOK || elsewhere.body == first.body {
		t.Errorf("another proposal: %d %s", elsewhere.status, elsewhere.body)
	}
}

func TestTheContractRefuses(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	content := func(author string) string {
		return `{"author":"` + account(author) + `","content_hash":"` + strings.Repeat("ab", 32) + `","uri":"https://example.org/1"}`
	}
	if a := s.post("/v1/content", "c1", content("a")); a.status != http.StatusOK || a.field(t, "result") != "1" {
		t.Fatalf("first: %d %s", a.status, a.body)
	}
	a := s.post("/v1/content", "c2", content("b"))
	if a.status != http.StatusUnprocessableEntity || a.field(t, "code") != "contract-rejected" || a.field(t, "contract_error.name") != "AlreadySubmitted" ||
		a.field(t, "idempotency_key") != "c2" || len(a.header["Link"]) != 1 {
		t.Errorf("the same content: %d %s", a.status, a.body)
	}
	// The key was released: it can be used for a corrected request.
	fixed := strings.Replace(content("b"), "ab", "cd", 1)
	if a := s.post("/v1/content", "c2", fixed); a.status != http.StatusOK {
		t.Errorf("corrected, with the same key: %d %s", a.status, a.body)
	}
}

func TestFiftyAtOnce(t *testing.T) {
	t.Parallel()
	const callers = 50
	for name, wait := range map[string]string{"rejecting": "0s", "waiting": "30s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startDev(t, append(fast, "--wait="+wait)...)
			answers := make([]answer, callers)
			var group sync.WaitGroup
			for i := range answers {
				group.Go(func() { answers[i] = s.post("/v1/rewards", "hot", reward("hot", 5)) })
			}
			group.Wait()
			bodies, inProgress := make(map[string]int), 0
			for _, a := range answers {
				switch {
				case a.status == http.StatusOK:
					bodies[a.body]++
				case a.status == http.StatusConflict && a.field(t, "code") == "in-progress" && a.header.Get("Retry-After") != "":
					inProgress++
				default:
					t.Errorf("%d %s", a.status, a.body)
				}
			}
			if len(bodies) != 1 {
				t.Errorf("%d different successes: %v", len(bodies), bodies)
			}
			if wait != "0s" && inProgress > 0 {
				t.Errorf("%d of the waiting were refused", inProgress)
			}
			if wait == "0s" && inProgress == 0 {
				t.Error("nobody was told that the key is in progress")
			}
			if got := mints(t, s.rpc); got[account("hot")] != 1 {
				t.Errorf("mints: %v", got)
			}
		})
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	to := account("a")
	for name, c := range map[string]struct {
		body    string
		pointer string
	}{
		"not json":           {`{"to":`, ""},
		"not an object":      {`[1]`, ""},
		"trailing data":      {`{"to":"` + to + `","amount":"1"} x`, ""},
		"unknown field":      {`{"to":"` + to + `","amount":"1","memo":"x"}`, "/memo"},
		"missing field":      {`{"to":"` + to + `"}`, "/amount"},
		"given twice":        {`{"to":"` + to + `","amount":"1","amount":"2"}`, "/amount"},
		"bad address":        {`{"to":"GABC","amount":"1"}`, "/to"},
		"float":              {`{"to":"` + to + `","amount":1.5}`, "/amount"},
		"exponent":           {`{"to":"` + to + `","amount":1e3}`, "/amount"},
		"boolean amount":     {`{"to":"` + to + `","amount":true}`, "/amount"},
		"beyond i128":        {`{"to":"` + to + `","amount":"170141183460469231731687303715884105728"}`, "/amount"},
		"reason not a text":  {`{"to":"` + to + `","amount":"1","reason":7}`, "/reason"},
		"reason is too long": {`{"to":"` + to + `","amount":"1","reason":"` + strings.Repeat("x", 300) + `"}`, "/reason"},
	} {
		a := s.post("/v1/rewards", "bad", c.body)
		if a.status != http.StatusBadRequest || a.field(t, "code") != "invalid-request" ||
			!strings.HasPrefix(a.header.Get("Content-Type"), "application/problem+json") {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
		if instance, _ := a.field(t, "instance").(string); !strings.HasPrefix(instance, "urn:uuid:") {
			t.Errorf("%s: no instance in %s", name, a.body)
		}
		if a.field(t, "idempotency_key") != "bad" || !strings.Contains(a.header.Get("Link"), `rel="describedby"`) {
			t.Errorf("%s: neither key nor policy: %v %s", name, a.header, a.body)
		}
		if c.pointer != "" && !strings.Contains(a.body, `"pointer":"`+c.pointer+`"`) {
			t.Errorf("%s: %s is not named in %s", name, c.pointer, a.body)
		}
	}
	if a := s.post("/v1/rewards", "big", `{"to":"`+strings.Repeat("x", 1<<20)+`"}`); a.status != http.StatusRequestEntityTooLarge || a.field(t, "instance") == nil {
		t.Errorf("a huge body: %d %s", a.status, a.body)
	}
	if a := s.post("/v1/rewards", "text", "hello", "Content-Type", "text/plain"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("text: %d %s", a.status, a.body)
	}
	if a := s.get("/v1/rewards"); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
		t.Errorf("GET: %d %s", a.status, a.body)
	}
	if a := s.get("/nowhere"); a.status != http.StatusNotFound || a.field(t, "code") != "not-found" {
		t.Errorf("an unknown path: %d %s", a.status, a.body)
	}
	// An integer is as good as a string, and the largest i128 fits.
	if a := s.post("/v1/rewards", "int", `{"to":"`+account("int")+`","amount":5}`); a.status != http.StatusOK {
		t.Errorf("an integer amount: %d %s", a.status, a.body)
	}
	if a := s.post("/v1/rewards", "max", `{"to":"`+account("max")+`","amount":"170141183460469231731687303715884105722"}`); a.status != http.StatusOK {
		t.Errorf("a huge amount: %d %s", a.status, a.body)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	s.post("/v1/rewards", "a-long-and-secret-key", reward("a", 1))
	for path, want := range map[string]string{
		"/healthz": `"ok"`, "/readyz": `"store":"ok"`, "/idempotency-policy": "in-progress",
	} {
		if a := s.get(path); a.status != http.StatusOK || !strings.Contains(a.body, want) {
			t.Errorf("%s: %d %s", path, a.status, a.body)
		}
	}
	s.api, s.admin = s.admin, s.api // ask the other listener
	page := s.get("/")
	if page.status != http.StatusOK || !strings.Contains(page.body, "COMPLETED") || !strings.Contains(page.body, "rewards") {
		t.Errorf("admin page: %d %s", page.status, page.body)
	}
	if strings.Contains(page.body, "a-long-and-secret-key") {
		t.Error("the admin page shows a whole key")
	}
	if list := s.get("/keys?status=COMPLETED"); list.status != http.StatusOK || !strings.Contains(list.body, `"status": "COMPLETED"`) {
		t.Errorf("admin JSON: %d %s", list.status, list.body)
	}
}

func TestStoppingLosesNothing(t *testing.T) {
	t.Parallel()
	s := startDev(t, fast...)
	first := s.post("/v1/rewards", "k1", reward("a", 100))
	// One more is under way while the process is told to stop.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	under := make(chan answer, 1)
	go func() {
		a, _ := s.call(ctx, http.MethodPost, "/v1/rewards", reward("b", 1), "Idempotency-Key", `"k2"`)
		under <- a
	}()
	eventually(t, "the second is claimed", func() bool { return s.get("/v1/operations?key=k2").status == http.StatusOK })
	if code := s.terminate(); code != 0 {
		t.Errorf("exit status %d", code)
	}
	if a := <-under; a.status != http.StatusOK {
		t.Errorf("the request under way was cut off: %d %s", a.status, a.body)
	}
	s.start()
	if again := s.post("/v1/rewards", "k1", reward("a", 100)); again.body != first.body || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("after the restart: %d %s", again.status, again.body)
	}
	if got := mints(t, s.rpc); got[account("a")] != 1 || got[account("b")] != 1 {
		t.Errorf("mints: %v", got)
	}
}
