package devchain

import (
	"crypto/sha256"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// Compact rewrites the log whatever its size.
func (c *Chain) Compact() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.rewriteLog()
}

// BreakLog makes every write to the log fail.
func (c *Chain) BreakLog() {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.log.file.Close()
}

// ArchiveAll ends the lives of all persistent entries with the latest ledger.
func (c *Chain) ArchiveAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	l := state.NewLayer(c.store, c.head().seq())
	for k, e := range c.store.All {
		if e.Data.Type == xdr.LedgerEntryTypeContractData || e.Data.Type == xdr.LedgerEntryTypeContractCode {
			setTTL(l, k, c.head().seq())
		}
	}
	c.store.Load(l.Writes())
}

// Waiting counts the transactions in the queue.
func (c *Chain) Waiting() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return len(c.classic.bySource) + len(c.soroban.bySource)
}

// Coins sums up all balances and the fee pool.
func (c *Chain) Coins() int64 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	total := int64(c.head().header.FeePool)
	for _, e := range c.store.All {
		if e.Data.Account != nil {
			total += int64(e.Data.Account.Balance)
		}
	}
	return total
}

// Entries counts the live entries, TTL entries included.
func (c *Chain) Entries() int {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.store.Len()
}

// Digest is a hash over all live entries.
func (c *Chain) Digest() ([32]byte, error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	h := sha256.New()
	for _, e := range c.store.All {
		raw, err := e.MarshalBinary()
		if err != nil {
			return [32]byte{}, err
		}
		h.Write(raw)
	}
	return [32]byte(h.Sum(nil)), nil
}
