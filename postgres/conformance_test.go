package postgres_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/onceward/onceward/postgres/pgtest"
)

// TestConformanceScript: what `make conformance DSN=…` runs against somebody's
// server works, says what it did, and leaves nothing behind. A part of the cases
// will do.
func TestConformanceScript(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	cmd := exec.CommandContext(t.Context(), "bash", "../scripts/conformance.sh")
	cmd.Env = append(os.Environ(), "DSN="+dsn, "TESTFLAGS=-race -run ^TestContract$/^p/^Token")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, mode := range []string{"plain", "partitioned"} {
		if !strings.Contains(string(out), "--- PASS: TestContract/"+mode+"/Token/") {
			t.Errorf("the cases did not run on %s tables:\n%s", mode, out)
		}
	}
	if left := query[string](t, connect(t, dsn), "SELECT nspname::text FROM pg_namespace WHERE nspname ~ '^s[0-9a-f]{32}$'"); len(left) > 0 {
		t.Errorf("schemas were left behind: %v", left)
	}
	without := exec.CommandContext(t.Context(), "bash", "../scripts/conformance.sh")
	without.Env = append(os.Environ(), "DSN=")
	if out, err := without.CombinedOutput(); err == nil || !strings.Contains(string(out), "say where") {
		t.Errorf("without a DSN: %v\n%s", err, out)
	}
}
