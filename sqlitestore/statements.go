package sqlitestore

import (
	"embed"
	"strings"
)

//go:embed sql/*.sql
var files embed.FS

// Names of the statements in sql/, without the ending.
const (
	sqlClaim      = "claim"
	sqlRenew      = "renew"
	sqlCheckpoint = "checkpoint"
	sqlComplete   = "complete"
	sqlCompleted  = "completed"
	sqlRelease    = "release"
	sqlSweep      = "sweep"
	sqlFloor      = "floor"
	sqlGet        = "get"
	sqlLapsed     = "lapsed"
	sqlList       = "list"
	sqlListHeld   = "list_held"
)

// statement returns the text of sql/name.sql. A missing file is found by the
// first test that opens a store, since Open prepares every statement.
func statement(name string) string {
	b, err := files.ReadFile("sql/" + name + ".sql")
	if err != nil {
		return ""
	}
	return string(b)
}

// single returns a statement to be prepared, with nothing after it: where text
// follows, if only a line break, a driver may see a script, which it parses
// again at every use.
func single(name string) string { return strings.TrimSpace(statement(name)) }
