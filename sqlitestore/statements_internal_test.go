package sqlitestore

import (
	"strings"
	"testing"
)

// A driver parses a statement once only if it is alone: the SQLite driver that
// the binary uses takes a trailing line break for the rest of a script.
func TestPreparedStatementsStandAlone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		sqlClaim, sqlRenew, sqlCheckpoint, sqlComplete, sqlCompleted, sqlRelease, sqlSweep, sqlFloor,
		sqlGet, sqlLapsed, sqlList, sqlListHeld,
	} {
		if _, rest, found := strings.Cut(single(name), ";\n"); found || !strings.HasSuffix(single(name), ";") {
			t.Errorf("%s.sql is not one statement up to its semicolon: %q follows", name, rest)
		}
	}
}
