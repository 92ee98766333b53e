package devchain_test

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/txnbuild"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

func logFile(dir string) string { return filepath.Join(dir, "ledgers.log") }

// history makes a chain with transactions, events, a nonce and empty ledgers in dir, and returns what to look for.
func history(t *testing.T, dir string) (minted string, latest uint32, channel *keypair.Full) {
	t.Helper()
	n := start(t, devchain.Config{Dir: dir})
	channel = n.account()
	n.closeMany(2)
	op := n.mint(channel.Address(), channel.Address(), 42, 77, n.chain.LatestLedger()+1000)
	got := n.run(channel, op)
	want(t, "mint", got.Status, "SUCCESS")
	n.send(n.bump(n.payment(channel, txnbuild.Preconditions{}), n.account(), 1000))
	n.closeMany(2)
	latest = n.chain.LatestLedger()
	before := must(n.chain.Digest())(t)
	if err := n.chain.Close(); err != nil {
		t.Fatal(err)
	}
	again := must(devchain.Open(devchain.Config{Dir: dir}))(t)
	want(t, "entries after a restart", must(again.Digest())(t), before)
	if err := again.Close(); err != nil {
		t.Fatal(err)
	}
	return got.TransactionHash, latest, channel
}

func (n *node) remembers(minted string, latest uint32, channel *keypair.Full) {
	n.Helper()
	want(n, "latest ledger", n.chain.LatestLedger(), latest)
	want(n, "transaction", n.get(minted).Status, "SUCCESS")
	want(n, "supply", n.supply(), 42)
	if nonceEntry(n, n.admin.Address(), 77) == nil {
		n.Error("the nonce entry is lost")
	}
	want(n, "next", n.run(channel, pay(channel.Address())).Status, "SUCCESS")
}

func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	minted, latest, channel := history(t, dir)
	n := start(t, devchain.Config{Dir: dir})
	n.remembers(minted, latest, channel)
	header, digest := must(n.rpc.GetLatestLedger(t.Context()))(t), must(n.chain.Digest())(t)
	if err := n.chain.Close(); err != nil {
		t.Fatal(err)
	}
	again := start(t, devchain.Config{Dir: dir})
	want(t, "entries", must(again.chain.Digest())(t), digest)
	want(t, "ledger hash", must(again.rpc.GetLatestLedger(t.Context()))(t).Hash, header.Hash)
	want(t, "header", must(again.rpc.GetLatestLedger(t.Context()))(t).LedgerHeader, header.LedgerHeader)
}

// Whatever byte the log is cut at, the chain opens with the ledgers that are whole, or says that it cannot.
func TestTornLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, latest, _ := history(t, dir)
	whole := must(os.ReadFile(logFile(dir)))(t)
	previous, opened := uint32(0), 0
	for cut := len(whole); cut > 0; cut -= 23 {
		torn := t.TempDir()
		if err := os.WriteFile(logFile(torn), whole[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		chain, err := devchain.Open(devchain.Config{Dir: torn})
		if err != nil {
			if opened == 0 {
				t.Fatalf("cut at %d of %d: %v", cut, len(whole), err)
			}
			continue // cut within the first ledgers: nothing was ever visible
		}
		opened++
		got := chain.LatestLedger()
		if got > latest || previous > 0 && got > previous {
			t.Fatalf("cut at %d: ledger %d after %d", cut, got, previous)
		}
		previous = got
		if seq, err := chain.CloseLedger(); err != nil || seq != got+1 {
			t.Fatalf("cut at %d: closing: %d, %v", cut, seq, err)
		}
		if err := chain.Close(); err != nil {
			t.Fatal(err)
		}
		if chain, err = devchain.Open(devchain.Config{Dir: torn}); err != nil || chain.LatestLedger() != got+1 {
			t.Fatalf("cut at %d: reopening: %v", cut, err)
		}
		_ = chain.Close()
	}
	if opened < 50 {
		t.Errorf("only %d cuts opened", opened)
	}
}

// A log with a tail of zeros (the file grew, the data did not arrive) is torn; a changed byte before the end is not.
func TestDamagedLog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	minted, latest, channel := history(t, dir)
	whole := must(os.ReadFile(logFile(dir)))(t)
	if err := os.WriteFile(logFile(dir), append(slices.Clip(whole), make([]byte, 100)...), 0o600); err != nil {
		t.Fatal(err)
	}
	n := start(t, devchain.Config{Dir: dir})
	n.remembers(minted, latest, channel)
	for at := 0; at < len(whole)-200; at += 61 {
		damaged := t.TempDir()
		bytes := append([]byte(nil), whole...)
		bytes[at] ^= 0x40
		if err := os.WriteFile(logFile(damaged), bytes, 0o600); err != nil {
			t.Fatal(err)
		}
		if chain, err := devchain.Open(devchain.Config{Dir: damaged}); !errors.Is(err, devchain.ErrCorrupt) {
			if err == nil {
				_ = chain.Close()
			}
			t.Fatalf("byte %d of %d changed: %v", at, len(whole), err)
		}
	}
}

func TestDirectoryBelongsToOneChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, devchain.Config{Dir: dir, Passphrase: "one"})
	if _, err := devchain.Open(devchain.Config{Dir: dir}); err == nil {
		t.Error("two chains opened one directory")
	}
	if err := n.chain.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := devchain.Open(devchain.Config{Dir: dir, Passphrase: "two"}); err == nil {
		t.Error("another passphrase was accepted")
	}
	other := must(keypair.Random())(t).Address()
	if _, err := devchain.Open(devchain.Config{Dir: dir, Admin: other}); err == nil {
		t.Error("another admin was accepted")
	}
	chain := must(devchain.Open(devchain.Config{Dir: dir}))(t)
	want(t, "passphrase", chain.Passphrase(), "one")
	if err := chain.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := chain.CloseLedger(); err == nil {
		t.Error("a closed chain closed a ledger")
	}
}

// Nothing of a ledger that could not be written is visible, and no other follows it.
func TestUnwritableLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	n := start(t, devchain.Config{Dir: dir})
	a := n.account()
	tx := n.payment(a, txnbuild.Preconditions{})
	n.sendTx(tx)
	latest := n.chain.LatestLedger()
	n.chain.BreakLog()
	for range 2 {
		if _, err := n.chain.CloseLedger(); err == nil {
			t.Fatal("the ledger closed")
		}
	}
	want(t, "latest", n.chain.LatestLedger(), latest)
	want(t, "transaction", n.get(n.hash(tx)).Status, "NOT_FOUND")
	want(t, "sequence", n.seq(a.Address()), tx.SequenceNumber()-1)
	if _, err := n.rpc.GetHealth(t.Context()); err == nil {
		t.Error("the node calls itself healthy")
	}
}

// Compaction keeps entries, transactions and hashes, and makes the log smaller.
func TestCompaction(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	minted, latest, channel := history(t, dir)
	n := start(t, devchain.Config{Dir: dir, Retention: 5})
	before, digest := must(n.rpc.GetLatestLedger(t.Context()))(t), must(n.chain.Digest())(t)
	if err := n.chain.Compact(); err != nil {
		t.Fatal(err)
	}
	if err := n.chain.Close(); err != nil {
		t.Fatal(err)
	}
	n = start(t, devchain.Config{Dir: dir, Retention: 5})
	want(t, "ledger hash", must(n.rpc.GetLatestLedger(t.Context()))(t).Hash, before.Hash)
	want(t, "entries", must(n.chain.Digest())(t), digest)
	want(t, "oldest", n.get(minted).OldestLedger, latest-4)
	n.remembers(minted, latest, channel)
	want(t, "balance", host.BigI128(n.read("reward", "balance", addr(n, channel.Address()))).Int64(), 42)
}
