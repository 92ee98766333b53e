package devchain_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward/soroban/devchain"
)

const crashDir = "DEVCHAIN_CRASH_DIR"

// TestMain doubles as the process that TestKill kills.
func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := closeForever(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// closeForever prints each account that is visibly funded, with its ledger.
func closeForever(dir string) error {
	chain, err := devchain.Open(devchain.Config{Dir: dir})
	if err != nil {
		return err
	}
	for {
		kp, err := keypair.Random()
		if err != nil {
			return err
		}
		if err := chain.Fund(kp.Address(), 10*xlm); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(os.Stdout, chain.LatestLedger(), kp.Address()); err != nil {
			return err
		}
	}
}

// Whatever a process showed before it was killed is there afterwards.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	shown := map[string]bool{}
	latest := uint32(0)
	for round := range 4 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), crashDir+"="+dir)
		out := must(cmd.StdoutPipe())(t)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		kill := time.AfterFunc(time.Minute, func() { _ = cmd.Process.Kill() })
		for n := 0; lines.Scan(); n++ {
			seq, account, ok := strings.Cut(lines.Text(), " ")
			if !ok {
				break // cut off by the kill
			}
			latest = max(latest, uint32(must(strconv.ParseUint(seq, 10, 32))(t))) //nolint:gosec // 32 bits
			shown[account] = true
			if n == 5+7*round { // in the middle of whatever it does next
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed
		kill.Stop()
	}
	n := start(t, devchain.Config{Dir: dir})
	if got := n.chain.LatestLedger(); got < latest {
		t.Errorf("ledger %d was shown, %d is there", latest, got)
	}
	for account := range shown {
		if n.entry(account) == nil {
			t.Errorf("account %s was shown and is lost", account)
		}
	}
	if len(shown) < 4*5 {
		t.Errorf("only %d accounts were shown", len(shown))
	}
}
