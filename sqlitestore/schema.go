package sqlitestore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// SchemaVersion is the version of the tables that this package needs.
const SchemaVersion = 1

// Schema returns the SQL that Open runs on an empty database.
func Schema() string {
	var b strings.Builder
	b.WriteString(statement("version"))
	for v := 1; v <= SchemaVersion; v++ {
		b.WriteString("\n" + migration(v))
	}
	fmt.Fprintf(&b, "\n%s (1, %d);\n", setVersion, SchemaVersion)
	return b.String()
}

// tryToWrite changes nothing, and fails in a read-only database, in which BEGIN
// IMMEDIATE does not.
const tryToWrite = "UPDATE onceward_floor SET token = token WHERE one <> 1"

const setVersion = "INSERT OR REPLACE INTO onceward_schema (one, version) VALUES"

// migration returns what leads from version v-1 to v. A published one is never
// changed.
func migration(v int) string { return statement(fmt.Sprintf("schema_%d", v)) }

// migrate brings the tables up to date, in one transaction that other
// processes wait for. It runs on the writer's connection, before its
// statements are prepared.
func (w *writer) migrate(ctx context.Context) error {
	if err := w.retryBusy(ctx, func() error { return w.exec("BEGIN IMMEDIATE") }); err != nil { //nolint:contextcheck // a transaction that has begun is ended, whoever has gone
		return explain("locking the schema", err)
	}
	version, err := w.schemaVersion(ctx)
	if err == nil && version < SchemaVersion {
		err = w.upgrade(version) //nolint:contextcheck // a transaction that has begun is ended, whoever has gone
	}
	if err == nil {
		err = w.exec(tryToWrite) //nolint:contextcheck // a transaction that has begun is ended, whoever has gone
	}
	if err == nil {
		err = w.exec("COMMIT") //nolint:contextcheck // a transaction that has begun is ended, whoever has gone
	}
	if err != nil {
		return errors.Join(explain("preparing the tables", err), w.drop())
	}
	return nil
}

func (w *writer) upgrade(from int) error {
	if w.cfg.CheckMigrated {
		return fmt.Errorf("%w: it has version %d and needs %d; open it once without Config.CheckMigrated to upgrade it",
			ErrSchema, from, SchemaVersion)
	}
	var script strings.Builder
	script.WriteString(statement("version"))
	for v := from + 1; v <= SchemaVersion; v++ {
		script.WriteString(migration(v))
	}
	fmt.Fprintf(&script, "%s (1, %d);", setVersion, SchemaVersion)
	return w.exec(script.String())
}

// schemaVersion returns 0 for a database without the tables.
func (w *writer) schemaVersion(ctx context.Context) (int, error) {
	const exists = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'onceward_schema'"
	var tables, version int
	if err := w.conn.QueryRowContext(ctx, exists).Scan(&tables); err != nil || tables == 0 {
		return 0, err
	}
	err := w.conn.QueryRowContext(ctx, "SELECT version FROM onceward_schema").Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return 0, fmt.Errorf("%w: the table onceward_schema is empty; restore it from a backup", ErrSchema)
	case err != nil:
		return 0, err
	case version > SchemaVersion:
		return 0, fmt.Errorf("%w: it has version %d and this program knows versions up to %d; run the newer program",
			ErrSchema, version, SchemaVersion)
	}
	return version, nil
}
