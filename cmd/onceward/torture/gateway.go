package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/dev"
)

// build compiles the gateway with crash points and protections that can be
// taken away.
func build(ctx context.Context, dir string, race bool) (string, error) {
	out := filepath.Join(dir, "onceward")
	args := []string{"build", "-tags", "torture", "-o", out}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "github.com/onceward/onceward/cmd/onceward")...) //nolint:gosec // our own arguments
	if text, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building the gateway: %w\n%s", err, text)
	}
	return out, nil
}

// gateway is one process, which is killed and started again, and the chain as
// that process reaches it.
type gateway struct {
	c     *campaign
	index int
	front *front
	rpc   net.Listener
	serve *http.Server

	mu      sync.Mutex
	cmd     *exec.Cmd
	api     string
	log     *tail
	life    life
	killed  bool          // from here
	done    chan struct{} // closed when the process has ended
	halting sync.Mutex    // held while the database is exchanged
}

// life is how one process is started.
type life struct {
	crashAt string
	seldom  bool // processes come by there seldom
	skew    time.Duration
}

// boundary is where it is to die.
func (l life) boundary() string {
	name, _, _ := strings.Cut(l.crashAt, "=")
	return name
}

func newGateway(c *campaign, index int) (*gateway, error) {
	g := &gateway{c: c, index: index, front: &front{c: c, next: c.chain.Handler()}, done: make(chan struct{})}
	close(g.done) // not running
	var err error
	if g.rpc, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	g.serve = &http.Server{Handler: g.front, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = g.serve.Serve(g.rpc) }() // ends with close
	return g, g.configure()
}

// configure writes the file of "onceward dev", with the process's own ways to
// the chain and to the database.
func (g *gateway) configure() error {
	cfg := dev.Config{
		Listen: "127.0.0.1:0", AdminListen: "127.0.0.1:0", Data: g.c.data, LedgerInterval: g.c.cfg.interval,
		Lease: time.Second, Wait: 2 * time.Second, Channels: g.c.cfg.channels, WebhookURL: g.c.inbox.url(),
	}
	file, err := cfg.File("http://"+g.rpc.Addr().String(), g.c.chain.Passphrase())
	if err != nil {
		return err
	}
	file = bytes.Replace(file, []byte("\nstore: "), []byte("\nstore: "+strconv.Quote(g.c.db.dsn(g.index))+" # not "), 1)
	return os.WriteFile(g.file(), file, 0o600)
}

func (g *gateway) file() string {
	return filepath.Join(g.c.data, fmt.Sprintf("gateway-%d.yaml", g.index))
}

// command is the binary under test.
func (g *gateway) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.c.cfg.binary, args...) //nolint:gosec // our own arguments
	cmd.Env = append(os.Environ(), g.c.secrets...)
	return cmd
}

// migrate makes the tables.
func (g *gateway) migrate(ctx context.Context) error {
	if out, err := g.command(ctx, "migrate", "-c", g.file()).CombinedOutput(); err != nil {
		return fmt.Errorf("making the tables: %w: %s", err, out)
	}
	return nil
}

func (g *gateway) close() {
	g.kill()
	_ = g.serve.Close() // its connections are ours
}

// address is where the process last listened.
func (g *gateway) address() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.api
}

// startTries outlast every fault of the database.
const startTries = 150

// start runs the process until it answers. A start that a fault of the chain
// spoils is tried again.
func (g *gateway) start(ctx context.Context, l life) error {
	var err error
	for range startTries {
		if err = g.startOnce(ctx, l); err == nil || ctx.Err() != nil {
			return err
		}
		if errors.Is(err, errKilled) { // it came by its boundary while starting
			g.c.crashed(l)
		}
		l.crashAt = ""
		pause(ctx, 200*time.Millisecond)
	}
	return err
}

// errKilled means that a process died at its boundary before it listened.
var errKilled = errors.New("killed while starting")

// crashed takes note of a process that died at its boundary.
func (c *campaign) crashed(l life) {
	c.crashes.hit(l.boundary())
	c.faults.add("SIGKILL "+l.boundary(), 1)
}

var apiLine = regexp.MustCompile(`^  API\s+(http://\S+)`)

func (g *gateway) startOnce(ctx context.Context, l life) error {
	g.front.starting.Store(true)
	defer g.front.starting.Store(false)
	cmd := g.command(context.WithoutCancel(ctx), "serve", "-c", g.file())
	cmd.Env = append(cmd.Env, "ONCEWARD_BREAK="+g.c.cfg.broken,
		"ONCEWARD_CRASH_AT="+l.crashAt, "ONCEWARD_CLOCK_SKEW="+l.skew.String())
	log := &tail{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done, api := make(chan struct{}), make(chan string, 1)
	go func() {
		scan := bufio.NewScanner(out)
		for scan.Scan() {
			if m := apiLine.FindStringSubmatch(scan.Text()); m != nil {
				api <- m[1]
			}
		}
		_ = cmd.Wait() // how it ended is not our concern
		close(done)
	}()
	select {
	case url := <-api:
		g.mu.Lock()
		g.cmd, g.api, g.log, g.life, g.killed, g.done = cmd, url, log, l, false, done
		g.mu.Unlock()
		return nil
	case <-done:
		if sigkilled(cmd) && l.crashAt != "" {
			return errKilled
		}
		return fmt.Errorf("a gateway ended before it listened: %s", log.String())
	case <-time.After(time.Minute):
		_ = cmd.Process.Kill() // it is gone either way
		<-done
		return errors.New("a gateway did not listen within a minute")
	}
}

// sigkilled reports how a process that has ended did.
func sigkilled(cmd *exec.Cmd) bool {
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// ended is closed when the process of the moment has ended.
func (g *gateway) ended() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.done
}

// kill ends the process as a power cut would, and waits for that.
func (g *gateway) kill() {
	g.mu.Lock()
	cmd, done := g.cmd, g.done
	g.killed = true
	g.mu.Unlock()
	if cmd != nil {
		_ = cmd.Process.Kill() // it may have ended already
	}
	<-done
	g.learn()
}

// learn reads what the dead process said.
func (g *gateway) learn() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.log == nil {
		return
	}
	text := g.log.String()
	g.log = nil
	g.c.faults.add("seen: channel quarantined", strings.Count(text, "channel in quarantine"))
	if strings.Contains(text, "DATA RACE") {
		g.c.history.violate(0, "data race:\n%s", last(text))
	}
	if strings.Contains(text, "panic:") {
		g.c.history.violate(0, "panic:\n%s", last(text))
	}
	if g.c.cfg.log != nil {
		g.c.cfg.log(g.index, text)
	}
}

// last is the end of a long text.
func last(text string) string { return text[max(0, len(text)-2000):] }

// tail keeps the end of what is written to it.
type tail struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

const maxTail = 1 << 20

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.buf.Len() > maxTail {
		t.buf.Next(maxTail / 2)
	}
	return t.buf.Write(p)
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.buf.String()
}
