package main_test

import (
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
)

// The gateway dies at two moments that no backend can tell: before a byte of
// the request was sent, and when the answer is stored and the client has none.
func TestCrashPointsOfAProxy(t *testing.T) {
	t.Parallel()
	torture := filepath.Join(t.TempDir(), "onceward")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-tags", "torture", "-o", torture, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b := startProgram(t, "node", "testdata/backend.mjs")
	for _, p := range policies {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			status := ""
			if p.name == "reconcile" {
				status = ", status_url: '" + b.api + "/status/{id}'"
			}
			path := proxyFile(t, "routes: [{match: /"+p.name+"/, strip_prefix: /"+p.name+", proxy: '"+b.api+"', crash_policy: "+p.name+status+"}]\n")
			if out, stderr, code := execute(t, "migrate", "-c", path); code != 0 {
				t.Fatalf("%s%s", out, stderr)
			}
			s := &server{t: t, args: []string{"serve", "-c", path}}
			t.Cleanup(s.kill)
			for point, key := range map[string]string{
				"after store proxy.sending=1": "unsent-" + p.name, "after complete=1": "stored-" + p.name,
			} {
				s.binary, s.env = torture, []string{"ONCEWARD_CRASH_AT=" + point}
				s.start()
				if a, err := s.call(t.Context(), http.MethodPost, "/"+p.name+"/act", "pay", "Idempotency-Key", key); err == nil {
					t.Fatalf("%s: an answer came: %d %s", point, a.status, a.body)
				}
				<-s.done
				s.kill()
				s.binary, s.env = "", nil
				s.start()
				want := retried{201, "done pay 1", 1}
				if key == "unsent-"+p.name {
					want = p.unsent
				}
				c := crashing{t: t, s: s, b: b}
				c.retry(p.name, "/act", key, want)
				s.kill()
			}
		})
	}
}
