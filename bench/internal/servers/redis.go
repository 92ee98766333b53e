package servers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
)

// Redis starts a Redis server with the settings it is usually run with as a
// store of idempotency keys, nothing on the disk, and returns its address.
func Redis(ctx context.Context) (*Process, string, error) {
	bin, err := exec.LookPath("redis-server")
	if err != nil {
		if bin, err = exec.LookPath("valkey-server"); err != nil {
			return nil, "", errors.New("no redis-server found: install the package redis-server")
		}
	}
	dir, err := os.MkdirTemp("", "onceward-bench-redis-")
	if err != nil {
		return nil, "", err
	}
	remove := func() error { return os.RemoveAll(dir) }
	port, err := freePort(ctx)
	if err != nil {
		return nil, "", errors.Join(err, remove())
	}
	cmd := exec.Command(bin, "--port", port, "--bind", "127.0.0.1", "--dir", dir, //nolint:gosec,noctx // a program of the system, ended by Close
		"--save", "", "--appendonly", "no", "--daemonize", "no")
	p, err := start(cmd, syscall.SIGTERM)
	if err != nil {
		return nil, "", errors.Join(err, remove())
	}
	p.remove = remove
	if err := p.await(ctx, func(ctx context.Context) error { return ping(ctx, "127.0.0.1:"+port) }); err != nil {
		return nil, "", p.giveUp(err)
	}
	return p, "redis://127.0.0.1:" + port, nil
}

func ping(ctx context.Context, address string) error {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	defer conn.Close()
	if _, err := fmt.Fprint(conn, "PING\r\n"); err != nil {
		return err
	}
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil {
		return err
	}
	if !strings.HasPrefix(line, "+PONG") {
		return fmt.Errorf("it answers %q", line)
	}
	return nil
}
