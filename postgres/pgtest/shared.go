package pgtest

import (
	"context"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
)

// shared is the server that the tests of one binary share.
var shared struct {
	once   sync.Once
	server *Server
	err    error
	names  atomic.Int64
}

// Main runs the tests of a binary and stops the shared server after them:
//
//	func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
func Main(m *testing.M) int {
	code := m.Run()
	if shared.server != nil {
		if err := shared.server.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return max(code, 1)
		}
	}
	return code
}

// Shared returns the server that all tests of this binary share, starting it
// for the first. Tests must not stop it.
func Shared(t testing.TB) *Server {
	t.Helper()
	shared.once.Do(func() {
		shared.server, shared.err = Start(context.WithoutCancel(t.Context()), Options{})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.server
}

// Database makes a new, empty database on the shared server and returns its
// connection string. It is dropped when the test ends, whoever is connected.
func Database(t testing.TB) string {
	t.Helper()
	return Shared(t).Database(t)
}

// Database is Database on this server.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("t%d", shared.names.Add(1))
	if err := s.Exec(t.Context(), "postgres", "CREATE DATABASE "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		if err := s.Exec(ctx, "postgres", "DROP DATABASE "+name+" WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return s.DSN(name)
}

// As returns dsn for another user, which Role may have made.
func As(t testing.TB, dsn, user string) string {
	t.Helper()
	cfg, err := pgx.ParseConfig(dsn)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("postgres://%s@%s:%d/%s?sslmode=disable", user, cfg.Host, cfg.Port, cfg.Database)
}

// Role makes a role on the shared server that may log in and nothing else, and
// returns its name. The role stays: what it owns goes with the database.
func Role(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("r%d", shared.names.Add(1))
	if err := Shared(t).Exec(t.Context(), "postgres", "CREATE ROLE "+name+" LOGIN"); err != nil {
		t.Fatal(err)
	}
	return name
}
