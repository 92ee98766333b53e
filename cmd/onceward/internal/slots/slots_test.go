package slots_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/slots"
	"github.com/onceward/onceward/postgres"
)

func TestSlots(t *testing.T) {
	t.Parallel()
	if slots.Count != postgres.Slots {
		t.Errorf("%d slots here, %d in the store", slots.Count, postgres.Slots)
	}
	for text, want := range map[string][]int{
		"0": {0}, "63": {63}, "0-2": {0, 1, 2}, "0-1,5,7-8": {0, 1, 5, 7, 8},
	} {
		got, err := slots.Parse(text)
		if err != nil || !slices.Equal(got, want) || slots.Format(got) != text {
			t.Errorf("%s: %v, %v, again %s", text, got, err, slots.Format(got))
		}
	}
	if all, err := slots.Parse("0-63"); err != nil || len(all) != slots.Count {
		t.Errorf("%v, %v", all, err)
	}
	for text, says := range map[string]string{
		"": "no list", "64": "0 to 63", "5-3": "lower one first", "0-64": "0 to 63", "1,1": "twice", "0-5,3": "twice",
		"a": "no list", "-1": "no list", "1,": "no list", "1 2": "no list", "100": "no list",
	} {
		if _, err := slots.Parse(text); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v; want something about %q", text, err, says)
		}
	}
}
