package seal_test

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onceward/onceward/cmd/onceward/internal/seal"
	"github.com/onceward/onceward/cmd/onceward/internal/secret"
)

func TestKeyringFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyring.json")
	k := newKeyring(t)
	if err := k.WriteFile(path, false); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	if err := newKeyring(t).WriteFile(path, false); err == nil {
		t.Fatal("a keyring was overwritten")
	}
	next, id, err := k.Add()
	if err != nil {
		t.Fatal(err)
	}
	if err := next.WriteFile(path, true); err != nil {
		t.Fatal(err)
	}
	read, err := seal.ReadKeyring(path)
	if err != nil || read.Primary() != k.Primary() || len(read.Keys()) != 2 || read.Keys()[1].ID != id {
		t.Fatalf("read %v, %v", read, err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), ".keyring-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	for _, bad := range []string{"{}", "nonsense", `{"primaryKeyId":1,"key":[]}`} {
		if _, err := seal.ParseKeyring(secret.New(bad)); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	if _, err := read.Remove(read.Primary()); err == nil {
		t.Error("the primary key was removed")
	}
	if _, err := read.Promote(7); err == nil {
		t.Error("a key that is not there was promoted")
	}
}

// TestKeyringsDoNotShowTheirKeys, nor does anything made of them.
func TestKeyringsDoNotShowTheirKeys(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyring.json")
	k := newKeyring(t)
	if err := k.WriteFile(path, false); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Key []struct{ KeyData struct{ Value string } }
	}
	if err := json.Unmarshal(data, &file); err != nil || len(file.Key) != 1 {
		t.Fatal(err, string(data))
	}
	material := file.Key[0].KeyData.Value
	s := open(t, openSQLite(t), k, seal.Config{})
	var log strings.Builder
	logger := slog.New(slog.NewJSONHandler(&log, nil))
	logger.Info("keyring", "keyring", k, "store", s)
	_, broken := seal.ParseKeyring(secret.New(string(data[:len(data)-3])))
	for _, shown := range []string{
		log.String(), fmt.Sprint(k), fmt.Sprintf("%+v %#v", k, k), fmt.Sprintf("%+v", s), fmt.Sprint(broken),
	} {
		if strings.Contains(shown, material) || strings.Contains(shown, material[4:20]) {
			t.Errorf("key material in %s", shown)
		}
	}
}
