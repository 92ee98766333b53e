package pgtest

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
)

// Bouncer starts a PgBouncer in transaction mode in front of the server of dsn
// and returns the connection string that leads through it. It has few server
// connections, so that its clients really do share them: two more than there are
// parallel tests, each of which may migrate, and then holds one connection while
// it needs another.
func Bouncer(t testing.TB, dsn string) string {
	t.Helper()
	target, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	through, stop, err := startBouncer(t.Context(), target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return through
}

const bouncerConfig = `[databases]
* = host=%s port=%d user=%s
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = %d
max_client_conn = 500
server_lifetime = 60
logfile =
`

func startBouncer(ctx context.Context, target *pgx.ConnConfig) (dsn string, stop func() error, err error) {
	bin, err := Binary("pgbouncer")
	if err != nil {
		return "", nil, err
	}
	as, err := findAccount()
	if err != nil {
		return "", nil, err
	}
	dir, err := as.directory()
	if err != nil {
		return "", nil, err
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	// auth_type any sends every client on as the one user that is named here.
	config := fmt.Sprintf(bouncerConfig, target.Host, target.Port, target.User, port, runtime.GOMAXPROCS(0)+2)
	ini := filepath.Join(dir, "pgbouncer.ini")
	if err := os.WriteFile(ini, []byte(config), 0o644); err != nil { //nolint:gosec // no secret; the other account reads it
		return "", nil, err
	}
	proc, err := launch(as.command(bin, ini), filepath.Join(dir, "log"), syscall.SIGKILL)
	if err != nil {
		return "", nil, err
	}
	dsn = fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", target.User, port, target.Database)
	stop = func() error {
		defer os.RemoveAll(dir)
		return proc.signal(syscall.SIGTERM)
	}
	err = proc.until(ctx, func(ctx context.Context) error {
		cfg, err := pgx.ParseConfig(dsn + "&default_query_exec_mode=exec")
		if err != nil {
			return err
		}
		conn, err := pgx.ConnectConfig(ctx, cfg)
		if err != nil {
			return err
		}
		defer conn.Close(ctx)
		return conn.Ping(ctx)
	})
	if err != nil {
		_ = stop() // the first error says more
		return "", nil, err
	}
	return dsn, stop, nil
}
