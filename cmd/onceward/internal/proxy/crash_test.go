package proxy_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the pure-Go driver

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/proxy"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/sqlitestore"
)

// childEnv makes the test binary a gateway process: its value is a child.
const childEnv = "ONCEWARD_PROXY_TEST_GATEWAY"

type child struct {
	DB, Backend string
	Policy      onceward.CrashPolicy
}

func TestMain(m *testing.M) {
	if arg := os.Getenv(childEnv); arg != "" {
		if err := serveChild(arg); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// serveChild is the gateway process. It ends with its standard input, so that
// it cannot outlive the test.
func serveChild(arg string) error {
	var c child
	if err := json.Unmarshal([]byte(arg), &c); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	db, err := sql.Open("sqlite", c.DB)
	if err != nil {
		return err
	}
	store, err := sqlitestore.Open(ctx, db, sqlitestore.Config{})
	if err != nil {
		return err
	}
	eng, err := onceward.New(store, onceward.Config{Lease: time.Second, RecoverInterval: 100 * time.Millisecond})
	if err != nil {
		return err
	}
	cfg := proxy.Config{
		Engine: eng, Backend: c.Backend,
		Keys: oncehttp.Options{Scope: oncehttp.SingleTenant, Kind: "api", Policy: c.Policy},
	}
	if c.Policy == onceward.Reconcile {
		cfg.StatusURL = c.Backend + "/status/{id}"
	}
	p, err := proxy.New(cfg)
	if err != nil {
		return err
	}
	if c.Policy == onceward.Reconcile {
		if err := eng.Register("api", p.Reconcile); err != nil {
			return err
		}
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go func() { _ = eng.Run(ctx) }()
	srv := &http.Server{Handler: p, ReadHeaderTimeout: patience}
	context.AfterFunc(ctx, func() { _ = srv.Close() })
	fmt.Printf("listening http://%s\n", l.Addr())
	_ = srv.Serve(l)
	return nil
}

// process is a program that says where it listens.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	url  string
	done chan struct{}
}

// start runs a program until the test ends, or kill.
func start(t *testing.T, env []string, name string, args ...string) *process {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%v: this test runs real backends; install %s (make deps does)", err, name)
	}
	p := &process{t: t, cmd: exec.CommandContext(t.Context(), path, args...), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), env...)
	p.cmd.Stderr = t.Output()
	if _, err := p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	go func() {
		_ = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(p.kill)
	var ok bool
	if p.url, ok = strings.CutPrefix(strings.TrimSpace(line), "listening "); !ok {
		p.kill()
		t.Fatalf("%s said %q, %v", name, line, err)
	}
	return p
}

// kill is kill -9.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.done
}

// call makes one request; key is optional.
func (p *process) call(ctx context.Context, method, path, body, key string) (answer, error) {
	req, err := http.NewRequestWithContext(ctx, method, p.url+path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	data, err := io.ReadAll(res.Body)
	return answer{res.StatusCode, res.Header, string(data)}, err
}

// acts is what a backend says it has done for one operation.
type acts struct {
	Op       string   `json:"op"`
	Acts     int      `json:"acts"`
	Tokens   []string `json:"tokens"`
	Attempts []string `json:"attempts"`
}

// seen asks the backend itself what it has done.
func (p *process) seen() []acts {
	p.t.Helper()
	a, err := p.call(p.t.Context(), http.MethodGet, "/seen", "", "")
	if err != nil {
		p.t.Fatal(err)
	}
	var out []acts
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		p.t.Fatalf("%s: %v", a.body, err)
	}
	return out
}

func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !cond(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// The gateway is killed after the backend has acted and before it has
// answered. The backend's own counter must show what the policy promises.
func TestCrashInTheMiddleOfARequest(t *testing.T) {
	t.Parallel()
	backends := map[string][]string{"node": {"node", "testdata/backend.mjs"}, "python": {"python3", "testdata/backend.py"}}
	for language, command := range backends {
		for _, tc := range []struct {
			policy onceward.CrashPolicy
			status int
			want   string
			acts   int
		}{
			{onceward.Hold, 409, "outcome-unknown", 1},
			{onceward.Rerun, 201, "done pay 2", 2},
			{onceward.Reconcile, 201, "done pay 1", 1},
		} {
			t.Run(language+" "+string(tc.policy), func(t *testing.T) {
				t.Parallel()
				b := start(t, nil, command[0], command[1:]...)
				arg, err := json.Marshal(child{DB: filepath.Join(t.TempDir(), "once.db"), Backend: b.url, Policy: tc.policy})
				if err != nil {
					t.Fatal(err)
				}
				gateway := func() *process { return start(t, []string{childEnv + "=" + string(arg)}, os.Args[0]) }
				g := gateway()
				lost := make(chan error, 1)
				go func() {
					_, err := g.call(t.Context(), http.MethodPost, "/act-then-wait", "pay", "k")
					lost <- err
				}()
				eventually(t, "the backend acts", func() bool { return len(b.seen()) == 1 })
				g.kill()
				if err := <-lost; err == nil {
					t.Fatal("the client got an answer from a dead gateway")
				}
				g = gateway()
				var a answer
				eventually(t, "the retry is answered", func() bool {
					if a, err = g.call(t.Context(), http.MethodPost, "/act-then-wait", "pay", "k"); err != nil {
						t.Fatal(err)
					}
					return !strings.Contains(a.body, "in-progress")
				})
				a.is(t, tc.status, tc.want)
				again, err := g.call(t.Context(), http.MethodPost, "/act-then-wait", "pay", "k")
				if err != nil {
					t.Fatal(err)
				}
				again.is(t, tc.status, tc.want)
				checkActs(t, b.seen(), tc.acts)
			})
		}
	}
}

func checkActs(t *testing.T, seen []acts, want int) {
	t.Helper()
	if len(seen) != 1 || seen[0].Acts != want {
		t.Fatalf("the backend counted %+v, want one operation and %d acts", seen, want)
	}
	s := seen[0]
	if s.Op != (onceward.Key{Value: "k"}).ID().String() {
		t.Errorf("operation id %s", s.Op)
	}
	if want == 2 && (s.Attempts[0] != "1" || s.Attempts[1] != "2" || s.Tokens[0] >= s.Tokens[1]) {
		t.Errorf("attempts %v, tokens %v", s.Attempts, s.Tokens)
	}
}
