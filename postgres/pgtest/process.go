package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// startTimeout is generous: an overloaded machine is slow, not broken.
const startTimeout = 60 * time.Second

// process is a running program whose output goes to a file.
type process struct {
	cmd  *exec.Cmd
	log  string
	done chan struct{} // closed when it has ended
}

// launch starts cmd. The kernel signals it when the thread that started it
// ends, so that thread is kept until the process has ended.
func launch(cmd *exec.Cmd, log string, onDeath syscall.Signal) (*process, error) {
	out, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // in our own directory
	if err != nil {
		return nil, err
	}
	cmd.Stdout, cmd.Stderr = out, out
	dieWithParent(cmd.SysProcAttr, onDeath)
	p := &process{cmd: cmd, log: log, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		defer out.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is in its log
		}
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("pgtest: starting %s: %w", cmd.Path, err)
	}
	return p, nil
}

// signal sends a signal and waits for the end.
func (p *process) signal(sig syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(startTimeout):
		return fmt.Errorf("pgtest: %s does not end on %v; its log: %s", p.cmd.Path, sig, tail(p.log))
	}
}

// until asks ready again and again. It gives up when the process has ended.
func (p *process) until(ctx context.Context, ready func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("pgtest: %s has ended: %s", p.cmd.Path, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("pgtest: %s does not become ready: %w; its log: %s", p.cmd.Path, err, tail(p.log))
		}
	}
}

// tail returns the end of a log.
func tail(log string) string {
	b, err := os.ReadFile(log) //nolint:gosec // in our own directory
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-2000):])
}
