package onceward_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/onceward/onceward"
)

// Ids are stored and handed to clients: how they are derived can never change.
func TestIDsNeverChange(t *testing.T) {
	t.Parallel()
	for key, want := range map[onceward.Key]string{
		{Scope: "", Value: "abc"}:             "eef038a0-d712-8d34-99e2-0efa91191e6a",
		{Scope: "a", Value: "bc"}:             "c038ae3b-c0bc-851d-9a67-b5446f000f21",
		{Scope: "ab", Value: "c"}:             "962153e6-574d-82f1-823e-2b21a9f1fdea",
		{Scope: "alice", Value: "order-1"}:    "3747cc65-c2f1-8dc7-8117-9b18028db2c6",
		{Scope: "東京", Value: "鍵"}:             "7a23ff38-fbec-85a4-83cb-fe2a3bfc39f5",
		onceward.NaturalKey("a", "vote", "7"): "10b9b2c0-9de9-8429-8420-7b021940726d",
	} {
		id := key.ID()
		if id.String() != want {
			t.Errorf("%+v has the id %s, it had %s", key, id, want)
		}
		if again, err := onceward.ParseID(want); err != nil || again != id {
			t.Errorf("ParseID(%s) = %v, %v", want, again, err)
		}
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"", "x", "01932c07-209c-7401-b7ff-15bc0ef4ffb", "01932c07-209c-7401-b7ff-15bc0ef4ffbdd",
		"01932c07x209c-7401-b7ff-15bc0ef4ffbd", "g1932c07-209c-7401-b7ff-15bc0ef4ffbd", "01932c07-209c-7401-b7ff-15bc0ef4ff\x00d",
		"{1932c07-209c-7401-b7ff-15bc0ef4ffbd}",
	} {
		if id, err := onceward.ParseID(s); err == nil || id != (onceward.ID{}) {
			t.Errorf("ParseID(%q) = %v, %v", s, id, err)
		}
	}
}

// Natural keys meet only when every part is equal, and no client can send one.
func TestNaturalKeys(t *testing.T) {
	t.Parallel()
	seen := make(map[onceward.Key][]string)
	for _, parts := range [][]string{
		{"s", "vote"},
		{"s", "vote", ""},
		{"s", "vote", "", ""},
		{"s", "vote", "a", "bc"},
		{"s", "vote", "ab", "c"},
		{"s", "vote", "abc"},
		{"s", "mint", "abc"},
		{"t", "vote", "abc"},
		{"s", "vote", strings.Repeat("x", 300)},
		{"s", "vote", "\x00"},
	} {
		k := onceward.NaturalKey(parts[0], parts[1], parts[2:]...)
		if err := k.Validate(); err != nil {
			t.Errorf("%q: %v", parts, err)
		}
		if other, meets := seen[k]; meets {
			t.Errorf("%q and %q are one key", parts, other)
		}
		seen[k] = parts
		if !strings.Contains(k.Value, " ") {
			t.Errorf("a client could send %q in a header", k.Value)
		}
	}
}

func TestKeysThatCannotBeStored(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 127)
	for _, k := range []onceward.Key{{Value: long + "x"}, {Scope: long + "x", Value: "k"}, {Value: " "}, {Value: "鍵"}} {
		if err := k.Validate(); err != nil {
			t.Errorf("%+v: %v", k, err)
		}
	}
	for _, k := range []onceward.Key{
		{},
		{Scope: "s"},
		{Value: long + "xy"},
		{Scope: long + "xy", Value: "k"},
		{Value: "a\x00b"},
		{Value: "a\nb"},
		{Value: "\u0085"},
		{Value: "\xff"},
		{Scope: "\xff", Value: "k"},
		{Scope: "a\x7f", Value: "k"},
	} {
		if err := k.Validate(); !errors.Is(err, onceward.ErrKeyInvalid) {
			t.Errorf("%+v: %v, want ErrKeyInvalid", k, err)
		}
	}
}

func TestKeyTime(t *testing.T) {
	t.Parallel()
	made := time.Date(2026, 7, 1, 12, 0, 0, 123e6, time.UTC)
	for value, ok := range map[string]bool{
		uuidv7(made): true, strings.ToUpper(uuidv7(made)): true, ulid(made): true, strings.ToLower(ulid(made)): true,
		strings.Replace(uuidv7(made), "-7", "-4", 1):      false, // a random UUID
		"8" + ulid(made)[1:]:                              false, // out of range
		strings.Replace(ulid(made), "Z", "U", 1):          false, // no digit
		ulid(time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)): false, // older than the format
		"order-1": false, "": false,
	} {
		got, timed := onceward.Key{Value: value}.Time()
		if timed != ok || ok && !got.Equal(made) {
			t.Errorf("%s: %v, %v", value, got, timed)
		}
	}
}
