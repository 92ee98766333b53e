package conformance_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncetest"
	"github.com/onceward/onceward/sqlitestore"
)

func TestSQLite(t *testing.T) {
	t.Parallel()
	oncetest.Run(t, func(t *testing.T) onceward.Store { return openSQLite(t, sqlitestore.Config{}) },
		append(oncetest.Abilities(), oncetest.Transactor, oncetest.Recaller)...)
}

// openSQLite returns a store in a new file, on the driver that the binary uses.
func openSQLite(t *testing.T, cfg sqlitestore.Config) *sqlitestore.Store {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(t.TempDir(), "once.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s, err := sqlitestore.Open(t.Context(), db, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return s
}
