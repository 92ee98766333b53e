// Package servers starts the throwaway servers that the benchmarks need:
// PostgreSQL, Redis, and the HTTP servers under test. Each runs on a free port
// of the loopback address in a temporary directory, and is gone after Close, or
// when this process dies.
package servers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/onceward/onceward/postgres/pgtest"
)

// patience is how long a server may take to start, or to stop.
const patience = 60 * time.Second

// Process is a server that runs.
type Process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	output *tail
	exited chan struct{}
	signal syscall.Signal // that asks it to stop
	remove func() error   // what it leaves behind
}

// tail keeps the end of what a process prints.
type tail struct {
	mu   sync.Mutex
	data []byte
}

const maxTail = 8 << 10

// Write implements io.Writer.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.data = append(t.data, p...)
	if extra := len(t.data) - maxTail; extra > 0 {
		t.data = append(t.data[:0], t.data[extra:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.data))
}

// start runs cmd. It is killed when this process dies.
func start(cmd *exec.Cmd, signal syscall.Signal) (*Process, error) {
	p := &Process{cmd: cmd, output: &tail{}, exited: make(chan struct{}), signal: signal, remove: func() error { return nil }}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true // an interrupt at the terminal is for us
	dieWithParent(cmd.SysProcAttr)
	cmd.Stderr = p.output
	if cmd.Stdout == nil {
		cmd.Stdout = p.output
	}
	stdin, err := cmd.StdinPipe() // its end tells servers of ours that we are gone
	if err != nil {
		return nil, err
	}
	p.stdin = stdin
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	go func() {
		_ = cmd.Wait() // its output says why
		close(p.exited)
	}()
	return p, nil
}

// CPU is the processor time that the process has used so far, with what it has
// started.
func (p *Process) CPU() (time.Duration, error) { return pgtest.CPU(p.cmd.Process.Pid) }

// Close ends the process and removes its files.
func (p *Process) Close() error {
	_ = p.stdin.Close()
	_ = p.cmd.Process.Signal(p.signal)
	select {
	case <-p.exited:
	case <-time.After(patience):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	return p.remove()
}

// await repeats try until it succeeds, the process ends, or patience does.
func (p *Process) await(ctx context.Context, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("%s ended: %s", p.cmd.Path, p.output)
		case <-ctx.Done():
			return fmt.Errorf("%s does not answer: %w: %s", p.cmd.Path, err, p.output)
		}
	}
}

// giveUp stops a process that did not come up.
func (p *Process) giveUp(err error) error { return errors.Join(err, p.Close()) }

// freePort finds a port that nobody listens on. Somebody may take it before the
// server does; it then says so.
func freePort(ctx context.Context) (string, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port), nil
}
