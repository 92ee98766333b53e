package main_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	_ "modernc.org/sqlite" // the pure-Go driver

	"github.com/onceward/onceward"
)

// program is a backend in another language.
type program struct{ *server }

// startProgram runs a backend until the test ends.
func startProgram(t *testing.T, name string, args ...string) program {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: this test runs real backends; install %s (make deps does)", err, name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Stderr = t.Output()
	in, err := cmd.StdinPipe() // it ends with its input
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = in.Close()
		_ = cmd.Process.Kill() // it may have ended already
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		t.Fatalf("%s said %q, %v", name, line, err)
	}
	return program{&server{t: t, api: url}}
}

// work is what a backend says of one operation.
type work struct {
	Op       string   `json:"op"`
	Arrivals int      `json:"arrivals"`
	Acts     int      `json:"acts"`
	Answered int      `json:"answered"`
	Tokens   []string `json:"tokens"`
	Attempts []string `json:"attempts"`
}

// of asks the backend itself what it has done under a key.
func (p program) of(key string) (w work) {
	p.t.Helper()
	a := p.get("/seen")
	var all []work
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		p.t.Fatalf("%s: %v", a.body, err)
	}
	for _, w := range all {
		if w.Op == (onceward.Key{Value: key}).ID().String() {
			return w
		}
	}
	return work{}
}

// policies are what a backend's counter must show, and a retry get, when the
// gateway dies at each moment of a request.
var policies = []struct {
	name          string
	acted, unsent retried
}{
	{"hold", retried{409, "outcome-unknown", 1}, retried{409, "outcome-unknown", 0}},
	{"rerun", retried{201, "done pay 2", 2}, retried{201, "done pay 1", 1}},
	{"reconcile", retried{201, "done pay 1", 1}, retried{201, "done pay 1", 1}},
}

type retried struct {
	status int
	says   string
	acts   int
}

// The gateway is killed in the middle of requests, with real backends behind
// it: their own counters show what each crash policy promises.
func TestCrashOfAProxy(t *testing.T) {
	t.Parallel()
	for language, command := range map[string][]string{
		"node": {"node", "testdata/backend.mjs"}, "python": {"python3", "testdata/backend.py"},
	} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			b := startProgram(t, command[0], command[1:]...)
			text := "routes:\n"
			for _, p := range policies {
				text += fmt.Sprintf("  - {match: POST /%s/, proxy: %q, strip_prefix: /%[1]s, crash_policy: %[1]s", p.name, b.api)
				if p.name == "reconcile" {
					text += fmt.Sprintf(", status_url: %q", b.api+"/status/{id}")
				}
				text += "}\n"
			}
			path := proxyFile(t, text)
			c := crashing{t: t, s: startServe(t, path), b: b, file: filepath.Join(filepath.Dir(path), "once.db")}
			c.beforeItActs()
			c.afterItHasActed("acted", false)
			c.afterItHasActed("answered", true)
		})
	}
}

type crashing struct {
	t    *testing.T
	s    *server
	b    program
	file string // of the store
}

// inFlight sends one request under each policy, has ready bring about the
// moment once the backend has them, kills the gateway, and starts it again.
func (c *crashing) inFlight(moment, path string, ready func() (undo func())) {
	c.t.Helper()
	ctx, cancel := context.WithCancel(c.t.Context())
	defer cancel()
	var clients sync.WaitGroup
	for _, p := range policies {
		clients.Go(func() {
			a, err := c.s.call(ctx, http.MethodPost, "/"+p.name+path, "pay", "Idempotency-Key", moment+"-"+p.name)
			if err == nil {
				c.t.Errorf("%s: the client got %d %s from a gateway that was killed", p.name, a.status, a.body)
			}
		})
	}
	eventually(c.t, moment+": the backend has the requests", func() bool {
		for _, p := range policies {
			if c.b.of(moment+"-"+p.name).Arrivals == 0 {
				return false
			}
		}
		return true
	})
	undo := ready()
	c.s.kill()
	clients.Wait()
	undo()
	c.s.start()
}

// retry asks again, and again, until nothing is under way.
func (c *crashing) retry(policy, path, key string, want retried) {
	c.t.Helper()
	for range 2 { // the second time it is a replay
		var a answer
		eventually(c.t, key+": the retry is answered", func() bool {
			a = c.s.post("/"+policy+path, key, "pay")
			return !strings.Contains(a.body, "in-progress")
		})
		if a.status != want.status || !strings.Contains(a.body, want.says) {
			c.t.Errorf("%s: %d %s, want %d %q", key, a.status, a.body, want.status, want.says)
		}
	}
	if w := c.b.of(key); w.Acts != want.acts {
		c.t.Errorf("%s: the backend counted %+v, want %d acts", key, w, want.acts)
	}
}

// The backend has the requests and has not acted when the gateway dies. It
// acts later: where another attempt was made, the fencing token stops it.
func (c *crashing) beforeItActs() {
	c.t.Helper()
	c.inFlight("arrived", "/wait-then-act", func() func() { return func() {} })
	for _, p := range policies {
		c.retry(p.name, "/wait-then-act", "arrived-"+p.name, p.unsent)
	}
	c.b.post("/release", "", "")
	eventually(c.t, "what was held acts in the end", func() bool { return c.b.of("arrived-hold").Acts == 1 })
	for _, name := range []string{"rerun", "reconcile"} {
		if w := c.b.of("arrived-" + name); w.Acts != 1 {
			c.t.Errorf("%s: the dead gateway's request was not fenced off: %+v", name, w)
		}
	}
}

// The backend has acted when the gateway dies, and, if answered, its answer is
// on the way: the store takes no record of it.
func (c *crashing) afterItHasActed(moment string, answered bool) {
	c.t.Helper()
	c.inFlight(moment, "/act-then-wait", func() func() {
		if !answered {
			return func() {}
		}
		unlock := c.lock()
		c.b.post("/release", "", "")
		eventually(c.t, "the backend has answered", func() bool {
			for _, p := range policies {
				if c.b.of(moment+"-"+p.name).Answered == 0 {
					return false
				}
			}
			return true
		})
		return unlock
	})
	for _, p := range policies {
		key := moment + "-" + p.name
		c.retry(p.name, "/act-then-wait", key, p.acted)
		if w := c.b.of(key); p.name == "rerun" && (w.Attempts[0] != "1" || w.Attempts[1] != "2" || w.Tokens[0] >= w.Tokens[1]) {
			c.t.Errorf("attempts %v, tokens %v", w.Attempts, w.Tokens)
		}
	}
}

// lock keeps everybody else from writing to the store.
func (c *crashing) lock() (unlock func()) {
	c.t.Helper()
	db, err := sql.Open("sqlite", c.file+"?_pragma=busy_timeout(10000)&_txlock=immediate")
	if err != nil {
		c.t.Fatal(err)
	}
	tx, err := db.BeginTx(c.t.Context(), nil)
	if err != nil {
		c.t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			c.t.Error(err)
		}
		if err := db.Close(); err != nil {
			c.t.Error(err)
		}
	}
}
