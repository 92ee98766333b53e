package main_test

import (
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// acts is what a backend says it has done for one operation.
type acts struct {
	Acts     int      `json:"acts"`
	Attempts []string `json:"attempts"`
	Answer   string   `json:"answer"`
}

// seen asks the backend itself what it has done, by the body of the request.
func (p *program) seen() map[string]acts {
	p.t.Helper()
	s := &server{t: p.t, api: p.url}
	var list []acts
	if err := json.Unmarshal([]byte(s.get("/seen").body), &list); err != nil {
		p.t.Fatal(err)
	}
	out := make(map[string]acts)
	for _, a := range list {
		out[strings.Fields(a.Answer)[1]] = a
	}
	return out
}

// want is what a crash policy promises for one key.
type want struct {
	status int
	answer string
	acts   int
}

// The gateway is killed in mid-request, at each of the moments that matter:
//
//	unsent    before the backend got the request, its checkpoint is stored
//	acting    when the backend has acted, and has not answered
//	answered  when the backend has answered, and nothing of that is stored
//	stored    when the answer is stored, and the client has none
//
// After a restart every key gets what its policy promises, and the backend's
// own counter says the same.
func TestProxyKilledInMidRequest(t *testing.T) {
	t.Parallel()
	torture := filepath.Join(t.TempDir(), "onceward")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "torture", "-o", torture, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, language := range [][]string{{"node", "backend.mjs"}, {"python3", "backend.py"}} {
		for policy, promise := range map[string]map[string]want{
			"hold": {
				"unsent": {409, "outcome-unknown", 0}, "acting": {409, "outcome-unknown", 1},
				"answered": {409, "outcome-unknown", 1}, "stored": {201, "done stored 1", 1},
			},
			"rerun": {
				"unsent": {201, "done unsent 1", 1}, "acting": {201, "done acting 2", 2},
				"answered": {201, "done answered 2", 2}, "stored": {201, "done stored 1", 1},
			},
			"reconcile": {
				"unsent": {201, "done unsent 1", 1}, "acting": {201, "done acting 1", 1},
				"answered": {201, "done answered 1", 1}, "stored": {201, "done stored 1", 1},
			},
		} {
			t.Run(language[0]+" "+policy, func(t *testing.T) {
				t.Parallel()
				k := &killed{t: t, torture: torture, backend: startProgram(t, language[0], language[1])}
				k.start(policy)
				k.dieAt("after complete=1", "stored")
				k.dieAt("before complete=1", "answered")
				k.revive("")
				k.retry("stored", promise["stored"])
				k.retry("answered", promise["answered"])
				k.killWhileActing()
				k.dieAt("after store proxy.sending=1", "unsent")
				k.revive("")
				for key, w := range promise {
					k.retry(key, w)
					k.retry(key, w) // and for good
				}
				k.check(promise)
			})
		}
	}
}

// killed is a gateway that dies again and again.
type killed struct {
	t       *testing.T
	torture string // the gateway with crash points
	backend *program
	s       *server
}

func (k *killed) start(policy string) {
	k.t.Helper()
	status := ""
	if policy == "reconcile" {
		status = "    status_url: " + k.backend.url + "/status/{id}\n"
	}
	path := proxyFile(k.t, "routes:\n  - match: /\n    name: backend\n    proxy: "+k.backend.url+"\n    crash_policy: "+policy+"\n"+status)
	if out, stderr, code := execute(k.t, "migrate", "-c", path); code != 0 {
		k.t.Fatalf("%s%s", out, stderr)
	}
	k.s = &server{t: k.t, args: []string{"serve", "-c", path}}
	k.t.Cleanup(k.s.kill)
}

// revive starts it again; with a point at which it kills itself, the build
// that has such points.
func (k *killed) revive(point string) {
	k.t.Helper()
	k.s.kill()
	k.s.binary, k.s.env = "", nil
	if point != "" {
		k.s.binary, k.s.env = k.torture, []string{"ONCEWARD_CRASH_AT=" + point}
	}
	k.s.start()
}

// dieAt sends the request of a key to a gateway that dies on the way.
func (k *killed) dieAt(point, key string) {
	k.t.Helper()
	k.revive(point)
	a, err := k.s.call(k.t.Context(), http.MethodPost, "/act", key, "Idempotency-Key", key)
	if err == nil {
		k.t.Fatalf("%s: an answer came: %d %s", point, a.status, a.body)
	}
	<-k.s.done
}

func (k *killed) killWhileActing() {
	k.t.Helper()
	var client sync.WaitGroup
	client.Go(func() {
		if a, err := k.s.call(k.t.Context(), http.MethodPost, "/act-then-wait", "acting", "Idempotency-Key", "acting"); err == nil {
			k.t.Errorf("an answer came from a dead gateway: %d %s", a.status, a.body)
		}
	})
	eventually(k.t, "the backend acts", func() bool { return k.backend.seen()["acting"].Acts == 1 })
	k.s.kill()
	client.Wait()
}

// retry asks for a key until nobody is working on it any more.
func (k *killed) retry(key string, w want) {
	k.t.Helper()
	path := "/act"
	if key == "acting" {
		path = "/act-then-wait"
	}
	var a answer
	eventually(k.t, key+" is answered", func() bool {
		a = k.s.post(path, key, key)
		return a.codeOf(k.t) != "in-progress"
	})
	a.is(k.t, key, w.status, w.answer)
}

func (k *killed) check(promise map[string]want) {
	k.t.Helper()
	seen := k.backend.seen()
	for key, w := range promise {
		if got := seen[key]; got.Acts != w.acts {
			k.t.Errorf("%s: the backend acted %d times, want %d", key, got.Acts, w.acts)
		}
	}
	if got := seen["acting"].Attempts; len(got) == 2 && (got[0] != "1" || got[1] != "2") {
		k.t.Errorf("attempts %v", got)
	}
}
