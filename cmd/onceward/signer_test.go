package main_test

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/remotesigner"
)

// TestSignerDaemon runs the daemon and signs through it, within its limits.
func TestSignerDaemon(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "s") //nolint:usetesting // a socket's path must be short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	key := keypair.MustRandom()
	seed, socket := filepath.Join(dir, "seed"), filepath.Join(dir, "sock")
	if err := os.WriteFile(seed, []byte(key.Seed()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), binary, "signer", "--listen=unix:"+socket, "--seed-file="+seed, "--per-day=2")
	log := &lockedBuffer{}
	cmd.Stderr = log
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := false
	t.Cleanup(func() {
		if !ended {
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || !strings.Contains(line, socket) {
		t.Fatalf("%q, %v\n%s", line, err, log)
	}
	c, err := remotesigner.New(remotesigner.Config{Socket: socket, Address: key.Address(), Timeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		hash := [32]byte{byte(i)}
		sig, err := c.Sign(t.Context(), hash)
		if i < 2 && (err != nil || key.Verify(hash[:], sig) != nil) {
			t.Errorf("signature %d: %v", i, err)
		}
		if _, limited := errors.AsType[*soroban.LimitError](err); i == 2 && !limited {
			t.Errorf("the limit is not kept: %v", err)
		}
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	ended = true
	if err != nil || strings.Contains(log.String(), key.Seed()) {
		t.Errorf("%v\n%s", err, log)
	}
}

func TestSignerDaemonRefuses(t *testing.T) {
	t.Parallel()
	open := filepath.Join(t.TempDir(), "seed")
	if err := os.WriteFile(open, []byte(keypair.MustRandom().Seed()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil { //nolint:gosec // that is the mistake
		t.Fatal(err)
	}
	for _, tc := range []struct {
		args    []string
		problem string
	}{
		{[]string{"--listen=127.0.0.1:1"}, "unix:"},
		{[]string{"--listen=unix:x"}, "--seed-file"},
		{[]string{"--listen=unix:x", "--seed-file=" + open}, "chmod 600"},
		{[]string{"--listen=unix:x", "--seed-env=ONCEWARD_TEST_NO_SUCH"}, "not set"},
	} {
		out, err := exec.CommandContext(t.Context(), binary, append([]string{"signer"}, tc.args...)...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), tc.problem) {
			t.Errorf("%v: %v, %s", tc.args, err, out)
		}
	}
}
