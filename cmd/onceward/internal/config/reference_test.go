package config_test

import (
	"os"
	"strings"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/config"
)

const (
	manual = "../../../../docs/configuration.md"
	begin  = "<!-- fields: written by go test ./internal/config -update -->\n"
	end    = "<!-- end of fields -->\n"
)

// The manual lists every field as the code knows it.
func TestReference(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the fields", manual)
	}
	golden(t, manual, before+begin+"\n"+config.Reference()+end+after)
}
