package pgtest

import (
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

// Binary returns the path of one of PostgreSQL's programs, such as initdb, or of
// one of those around it, such as patroni; or an error that says what to
// install. It looks on PATH, and then where Debian and Red Hat put what they
// keep off it; the newest version wins.
func Binary(name string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		// Debian's postgresql-common puts wrappers of some programs there.
		if real, err := filepath.EvalSymlinks(path); err == nil && filepath.Base(real) == name {
			return real, nil
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin/", "/usr/pgsql-*/bin/", "/usr/sbin/", "/opt/homebrew/opt/postgresql*/bin/",
	} {
		found, err := filepath.Glob(pattern + name)
		if err != nil {
			return "", err
		}
		slices.SortFunc(found, func(a, b string) int { return version(b) - version(a) })
		if len(found) > 0 {
			return found[0], nil
		}
	}
	pkg := "postgresql (14 or newer)"
	switch name {
	case "pgbouncer", "patroni":
		pkg = name
	case "etcd":
		pkg = "etcd-server (3.4 or newer)"
	}
	return "", fmt.Errorf("pgtest: no %s found: run `make deps`, or install the package %s and put its programs on PATH", name, pkg)
}

// version reads the number in a path such as /usr/lib/postgresql/15/bin/initdb.
func version(path string) (v int) {
	for _, c := range path {
		if '0' <= c && c <= '9' {
			v = v*10 + int(c-'0')
		}
	}
	return v
}

// account is who runs the servers: PostgreSQL refuses to be root.
type account struct {
	uid, gid int
	switches bool // to another account than the one we have
}

func findAccount() (account, error) {
	if os.Geteuid() != 0 {
		return account{uid: os.Geteuid(), gid: os.Getegid()}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.Atoi(u.Uid)
		gid, err2 := strconv.Atoi(u.Gid)
		return account{uid: uid, gid: gid, switches: true}, errors.Join(err1, err2)
	}
	return account{}, errors.New("pgtest: PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody to run it as")
}

// command prepares a program to run as the account and to die with us.
func (a account) command(path string, args ...string) *exec.Cmd {
	cmd := exec.Command(path, args...) //nolint:gosec,noctx // our own arguments; ended by pid
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if a.switches {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)} //nolint:gosec // of a passwd entry
	}
	// Not the caller's environment: PGDATA, PGHOST and the like would leak in.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "TZ=UTC"}
	cmd.Dir = "/"
	return cmd
}

// directory makes a temporary directory that the account owns. Its path is
// short, because a Unix socket's name has at most 107 bytes.
func (a account) directory() (string, error) {
	dir, err := os.MkdirTemp("", "pgtest")
	if err != nil {
		return "", err
	}
	if a.switches {
		err = os.Chown(dir, a.uid, a.gid)
	}
	return dir, err
}
