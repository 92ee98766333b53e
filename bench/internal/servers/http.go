package servers

import (
	"bufio"
	"context"
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// HTTP starts a server that prints the address it listens on as its first line.
func HTTP(ctx context.Context, cmd *exec.Cmd) (p *Process, address string, err error) {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if p, err = start(cmd, syscall.SIGTERM); err != nil {
		return nil, "", err
	}
	first := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(stdout)
		if lines.Scan() {
			first <- lines.Text()
		}
		for lines.Scan() { // the rest is for a report of trouble
			_, _ = p.output.Write(append(lines.Bytes(), '\n'))
		}
	}()
	select {
	case line := <-first:
		if _, _, ok := strings.Cut(line, ":"); !ok {
			return nil, "", p.giveUp(fmt.Errorf("%s printed %q where its address was expected", cmd.Path, line))
		}
		return p, strings.TrimSpace(line), nil
	case <-p.exited:
		return nil, "", p.giveUp(fmt.Errorf("%s ended: %s", cmd.Path, p.output))
	case <-time.After(patience):
		return nil, "", p.giveUp(fmt.Errorf("%s does not say where it listens: %s", cmd.Path, p.output))
	case <-ctx.Done():
		return nil, "", p.giveUp(ctx.Err())
	}
}
