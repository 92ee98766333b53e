package server

import (
	"os"
	"strings"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/observe"
	"github.com/onceward/onceward/oncehttp"
)

// Every code that is counted by its name is in the manual, so that whoever
// reads onceward_problems_total finds out what it means.
func TestCodesAreDocumented(t *testing.T) {
	t.Parallel()
	var manual strings.Builder
	for _, page := range []string{"http-api.md", "semantics.md", "relay.md", "auth.md", "proxy.md"} {
		text, err := os.ReadFile("../../../../docs/" + page)
		if err != nil {
			t.Fatal(err)
		}
		manual.Write(text)
	}
	all := codes()
	if _, err := observe.New(observe.Config{Codes: all}); err != nil || len(all) < 20 {
		t.Fatalf("%d codes, %v", len(all), err)
	}
	for _, p := range oncehttp.Problems() {
		all = append(all, p.Code)
	}
	for _, code := range all {
		if !strings.Contains(manual.String(), "`"+string(code)+"`") {
			t.Errorf("%s is not in the manual", code)
		}
	}
}
