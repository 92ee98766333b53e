package soroban_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban"
)

func TestSignerFromFile(t *testing.T) {
	t.Parallel()
	key := keypair.Master("of a file").(*keypair.Full)
	dir := t.TempDir()
	write := func(name, content string, mode os.FileMode) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask is
			t.Fatal(err)
		}
		return path
	}
	for _, mode := range []os.FileMode{0o600, 0o400} {
		s, err := soroban.NewSignerFromFile(write(fmt.Sprint("good", mode), key.Seed()+"\n", mode))
		if err != nil || s.Address() != key.Address() {
			t.Fatalf("mode %v: %v, %v", mode, s, err)
		}
		for _, format := range []string{"%v", "%+v", "%s", "%#v"} {
			if strings.Contains(fmt.Sprintf(format, s), key.Seed()) {
				t.Errorf("%s shows the secret", format)
			}
		}
	}
	for name, tc := range map[string]struct{ path, problem string }{
		"absent":           {filepath.Join(dir, "none"), "none"},
		"readable by all":  {write("open", key.Seed(), 0o644), "chmod 600"},
		"readable by some": {write("group", key.Seed(), 0o640), "chmod 600"},
		"a folder":         {dir, "not a regular file"},
		"empty":            {write("empty", "", 0o600), "secret key"},
		"two keys":         {write("two", key.Seed()+"\n"+key.Seed(), 0o600), "secret key"},
		"a public key":     {write("public", key.Address(), 0o600), "secret key"},
		"damaged":          {write("damaged", key.Seed()[:55], 0o600), "secret key"},
	} {
		_, err := soroban.NewSignerFromFile(tc.path)
		if err == nil || !strings.Contains(err.Error(), tc.problem) {
			t.Errorf("%s: %v", name, err)
		} else if strings.Contains(err.Error(), key.Seed()[:20]) {
			t.Errorf("%s: the error repeats the secret", name)
		}
	}
}

func TestSignerFromEnv(t *testing.T) {
	key := keypair.Master("of the environment").(*keypair.Full)
	t.Setenv("ONCEWARD_TEST_SEED", " "+key.Seed()+"\n")
	s, err := soroban.NewSignerFromEnv("ONCEWARD_TEST_SEED")
	if err != nil || s.Address() != key.Address() {
		t.Fatalf("%v, %v", s, err)
	}
	t.Setenv("ONCEWARD_TEST_SEED", key.Seed()[:50])
	_, err = soroban.NewSignerFromEnv("ONCEWARD_TEST_SEED")
	if err == nil || strings.Contains(err.Error(), key.Seed()[:20]) || !strings.Contains(err.Error(), "ONCEWARD_TEST_SEED") {
		t.Errorf("damaged: %v", err)
	}
	if _, err = soroban.NewSignerFromEnv("ONCEWARD_TEST_ABSENT"); err == nil || !strings.Contains(err.Error(), "not set") {
		t.Errorf("absent: %v", err)
	}
}
