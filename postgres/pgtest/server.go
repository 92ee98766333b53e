package pgtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5"
)

// User is the superuser of every server; it needs no password.
const User = "postgres"

// Options of a server. The zero value is a fast one.
type Options struct {
	// Settings go into postgresql.conf, for instance
	// "synchronous_standby_names": "ANY 1 (s1, s2)". They override the defaults
	// of this package: fsync off, 300 connections, wal_level replica.
	Settings map[string]string
}

// Server is one running, or stopped, PostgreSQL. Use Start.
type Server struct {
	// Port on 127.0.0.1; it stays when the server is stopped and started again.
	Port int
	// Data is the data directory.
	Data string

	dir  string
	as   account
	bin  string // postgres
	proc *process
}

// Start makes a new cluster and runs it. Call Close when it is not needed any
// more; the server also ends with this process.
func Start(ctx context.Context, opts Options) (*Server, error) {
	s, err := prepare()
	if err != nil {
		return nil, err
	}
	if err := s.initdb(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.begin(ctx, opts.Settings); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// begin runs a new server, on another port if somebody else takes the one that
// was free a moment before.
func (s *Server) begin(ctx context.Context, settings map[string]string) (err error) {
	for range portTries {
		if s.Port, err = freePort(); err != nil {
			return err
		}
		if err = s.configure(settings); err != nil {
			return err
		}
		if err = s.Run(ctx); err == nil || !strings.Contains(s.Log(), "Address already in use") {
			return err
		}
	}
	return err
}

// prepare finds the binaries, an account and a directory.
func prepare() (*Server, error) {
	bin, err := Binary("postgres")
	if err != nil {
		return nil, err
	}
	as, err := findAccount()
	if err != nil {
		return nil, err
	}
	dir, err := as.directory()
	if err != nil {
		return nil, err
	}
	return &Server{Data: filepath.Join(dir, "data"), dir: dir, as: as, bin: bin}, nil
}

const (
	// The ports from firstPort on, below those that Linux gives to outgoing
	// connections and to listeners that name none: a server keeps its port while
	// it is down, and nobody takes it by chance.
	firstPort, ports = 20_000, 12_000
	portTries        = 20
)

// freePort returns a port that nobody listens on.
func freePort() (port int, err error) {
	for range portTries {
		port = firstPort + rand.IntN(ports) //nolint:gosec // no secret
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil { //nolint:noctx // does not wait
			return port, l.Close()
		}
	}
	return 0, fmt.Errorf("pgtest: no free port was found: %w", err)
}

func (s *Server) initdb() error {
	bin, err := Binary("initdb")
	if err != nil {
		return err
	}
	cmd := s.as.command(bin, "-D", s.Data, "-U", User, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w: %s", err, out)
	}
	return nil
}

var defaults = map[string]string{
	"fsync":                        "off",
	"full_page_writes":             "off",
	"max_connections":              "300",
	"shared_buffers":               "64MB",
	"wal_level":                    "replica",
	"max_wal_senders":              "8",
	"autovacuum_naptime":           "5s",
	"log_min_messages":             "warning",
	"log_statement":                "none",
	"unix_socket_directories":      "",
	"listen_addresses":             "127.0.0.1",
	"timezone":                     "UTC",
	"jit":                          "off",
	"max_prepared_transactions":    "0",
	"deadlock_timeout":             "100ms",
	"synchronous_commit":           "on",
	"hot_standby":                  "on",
	"restart_after_crash":          "on",
	"max_replication_slots":        "8",
	"wal_receiver_status_interval": "1s",
}

// configure appends settings; in postgresql.conf the last one counts.
func (s *Server) configure(settings map[string]string) error {
	merged := maps.Clone(defaults)
	maps.Copy(merged, settings)
	merged["port"] = fmt.Sprint(s.Port)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(merged)) {
		fmt.Fprintf(&b, "%s = '%s'\n", name, strings.ReplaceAll(merged[name], "'", "''"))
	}
	f, err := os.OpenFile(filepath.Join(s.Data, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString(b.String())
	return errors.Join(err, f.Close())
}

// Run starts a stopped server and waits until it answers.
func (s *Server) Run(ctx context.Context) error {
	cmd := s.as.command(s.bin, "-D", s.Data)
	proc, err := launch(cmd, filepath.Join(s.dir, "log"), syscall.SIGQUIT)
	if err != nil {
		return err
	}
	s.proc = proc
	return proc.until(ctx, func(ctx context.Context) error {
		conn, err := pgx.Connect(ctx, s.DSN("postgres"))
		if err != nil {
			return err
		}
		return conn.Close(ctx)
	})
}

// Stop ends the server in order, aborting what runs.
func (s *Server) Stop() error { return s.end(syscall.SIGINT) }

func (s *Server) end(sig syscall.Signal) error {
	if s.proc == nil {
		return nil
	}
	err := s.proc.signal(sig)
	s.proc = nil
	return err
}

// Close ends the server and deletes everything it wrote.
func (s *Server) Close() error { return errors.Join(s.end(syscall.SIGQUIT), os.RemoveAll(s.dir)) }

// DSN returns the connection string of a database of this server.
func (s *Server) DSN(database string) string { return s.dsn(User, database) }

func (s *Server) dsn(user, database string) string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/%s?sslmode=disable", user, s.Port, database)
}

// Exec runs SQL as the superuser.
func (s *Server) Exec(ctx context.Context, database, sql string) error {
	conn, err := pgx.Connect(ctx, s.DSN(database))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, sql)
	return err
}

// Log returns the end of the server's log.
func (s *Server) Log() string { return tail(filepath.Join(s.dir, "log")) }
