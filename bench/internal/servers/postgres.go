package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// Postgres starts a PostgreSQL server that waits for the disk before it
// acknowledges, and returns its address.
func Postgres(ctx context.Context) (p *Process, url string, err error) {
	bin, err := postgresBin()
	if err != nil {
		return nil, "", err
	}
	who, err := unprivileged()
	if err != nil {
		return nil, "", err
	}
	dir, remove, err := tempDir("onceward-bench-pg-", who.uid, who.gid)
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil && p == nil {
			err = errors.Join(err, remove())
		}
	}()
	data := filepath.Join(dir, "data")
	initdb := exec.CommandContext(ctx, filepath.Join(bin, "initdb"), //nolint:gosec // a program of the system
		"-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
	initdb.Dir, initdb.SysProcAttr = dir, who.attr()
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, "", fmt.Errorf("initdb: %w: %s", err, out)
	}
	port, err := freePort(ctx)
	if err != nil {
		return nil, "", err
	}
	cmd := exec.Command(filepath.Join(bin, "postgres"), "-D", data, //nolint:gosec,noctx // a program of the system, ended by Stop
		"-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "max_connections=200",
		"-c", "shared_buffers=256MB", "-c", "max_wal_size=4GB")
	cmd.Dir, cmd.SysProcAttr = dir, who.attr()
	if p, err = start(cmd, syscall.SIGINT); err != nil { // a fast shutdown
		return nil, "", err
	}
	p.remove = remove
	ready := func(ctx context.Context) error {
		return exec.CommandContext(ctx, filepath.Join(bin, "pg_isready"), "-q", "-h", "127.0.0.1", "-p", port).Run() //nolint:gosec // a program of the system
	}
	if err := p.await(ctx, ready); err != nil {
		return p, "", p.giveUp(err)
	}
	return p, "postgres://bench@127.0.0.1:" + port + "/postgres?sslmode=disable", nil
}

// postgresBin finds the directory of the server's programs, which Debian keeps
// off PATH.
func postgresBin() (string, error) {
	if path, err := exec.LookPath("initdb"); err == nil {
		if path, err = filepath.EvalSymlinks(path); err == nil {
			return filepath.Dir(path), nil
		}
	}
	for _, pattern := range []string{"/usr/lib/postgresql/*/bin/initdb", "/usr/pgsql-*/bin/initdb"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			slices.Sort(found)
			return filepath.Dir(found[len(found)-1]), nil
		}
	}
	return "", errors.New("no PostgreSQL server found: install the package postgresql (14 or newer), or put its bin directory on PATH")
}

// account runs a server.
type account struct{ uid, gid int }

// unprivileged returns ourselves, or, since PostgreSQL refuses to be root, an
// account of the system.
func unprivileged() (account, error) {
	if os.Geteuid() != 0 {
		return account{os.Geteuid(), os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.Atoi(u.Uid)
		gid, gidErr := strconv.Atoi(u.Gid)
		if uidErr == nil && gidErr == nil {
			return account{uid, gid}, nil
		}
	}
	return account{}, errors.New("PostgreSQL refuses to run as root, and there is no account postgres or nobody: run this as another user")
}

func (a account) attr() *syscall.SysProcAttr {
	if a.uid == os.Geteuid() {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}} //nolint:gosec // ids of accounts
}
