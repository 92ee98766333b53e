package devchain

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// CloseLedger closes the next ledger with what the queue offers and returns its sequence. The ledger is on disk before
// anybody can see it. After a failure to write it the chain closes no more ledgers and returns the same error again.
func (c *Chain) CloseLedger() (uint32, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closeLedger()
}

func (c *Chain) closeLedger() (uint32, error) {
	if c.broken != nil {
		return 0, c.broken
	}
	seq, at := c.head().seq()+1, c.nextCloseTime()
	picked := c.pick(seq, at)
	meta, layer, err := c.build(seq, at, picked)
	if err != nil {
		return 0, fmt.Errorf("closing ledger %d: %w", seq, err)
	}
	closed, err := ingest(meta, c.cfg.Passphrase)
	if err != nil {
		return 0, fmt.Errorf("closing ledger %d: %w", seq, err)
	}
	if err := c.log.append(meta); err != nil {
		c.broken = fmt.Errorf("writing ledger %d: %w", seq, err)
		return 0, c.broken
	}
	c.store.Apply(seq, layer.Writes())
	c.admit(closed)
	next := c.moment()
	for _, soroban := range []bool{false, true} {
		applied := slices.DeleteFunc(slices.Clone(picked), func(f *frame) bool { return f.isSoroban() != soroban })
		c.queueFor(soroban).closed(applied, c.store, next)
	}
	c.compactIfLarge()
	return seq, nil
}

// nextCloseTime never goes back. Ledgers closed within one second share it, which a network would not allow but lets
// tests close many without leaving the present.
func (c *Chain) nextCloseTime() int64 { return max(c.head().closeTime(), c.cfg.Now().Unix()) }

// pick chooses the next ledger's transactions: valid at its close, one for each source, the best bids first if there
// are too many, and then in the order of their hashes, which nobody can plan.
func (c *Chain) pick(seq uint32, at int64) []*frame {
	now := moment{ledger: seq, earliest: uint64(at), latest: uint64(at)} //nolint:gosec // seconds since 1970
	sources := map[string]bool{}
	var out []*frame
	take := func(frames []*frame) {
		slices.SortFunc(frames, func(a, b *frame) int {
			if a.cheaperThan(b) {
				return 1
			}
			return -1
		})
		room := c.cfg.LedgerCapacity
		for _, f := range frames {
			src := accountKey(f.source())
			if sources[src] || room == 0 || validate(c.store, f, now) != nil {
				continue
			}
			sources[src] = true
			room--
			out = append(out, f)
		}
	}
	take(c.arrivals(seq))
	for _, soroban := range []bool{false, true} {
		q := c.queueFor(soroban)
		q.evict()
		take(q.candidates())
	}
	slices.SortFunc(out, func(a, b *frame) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	return c.affordable(out)
}

// affordable leaves out what a payer of several transactions cannot pay for.
func (c *Chain) affordable(frames []*frame) []*frame {
	spent := map[string]int64{}
	return slices.DeleteFunc(frames, func(f *frame) bool {
		k := accountKey(f.feeSource())
		if spendable(account(c.store, f.feeSource()))-spent[k] < f.fullFee() {
			return true
		}
		spent[k] += f.fullFee()
		return false
	})
}

// build applies the transactions and describes the ledger, touching nothing that is visible.
func (c *Chain) build(seq uint32, at int64, frames []*frame) (xdr.LedgerCloseMetaV2, *state.Layer, error) {
	var meta xdr.LedgerCloseMetaV2
	layer := state.NewLayer(c.store, seq)
	a := &applier{chain: c, layer: layer, ledger: seq, closeTime: uint64(at)} //nolint:gosec // seconds since 1970
	meta.TxProcessing = make([]xdr.TransactionResultMetaV1, len(frames))
	fees, total := make([]int64, len(frames)), int64(0)
	var err error
	for i, f := range frames {
		if meta.TxProcessing[i].FeeProcessing, fees[i], err = a.takeFee(f); err != nil {
			return meta, nil, err
		}
		total += fees[i]
	}
	envelopes := make([]xdr.TransactionEnvelope, len(frames))
	for i, f := range frames {
		out, err := a.apply(f, fees[i])
		if err != nil {
			return meta, nil, err
		}
		envelopes[i] = f.env
		meta.TxProcessing[i].Result = xdr.TransactionResultPair{TransactionHash: f.hash, Result: out.result}
		meta.TxProcessing[i].TxApplyProcessing = xdr.TransactionMeta{V: 4, V4: &out.meta}
	}
	for _, k := range c.store.Expired(seq - 1) {
		if state.LiveUntil(layer, k) >= seq {
			continue
		}
		key, err := k.LedgerKey()
		if err != nil {
			return meta, nil, err
		}
		ttl, err := k.TTL().LedgerKey()
		if err != nil {
			return meta, nil, err
		}
		layer.Delete(k)
		layer.Delete(k.TTL())
		meta.EvictedKeys = append(meta.EvictedKeys, key, ttl)
	}
	meta.LedgerHeader.Header.LedgerSeq = xdr.Uint32(seq)
	meta.LedgerHeader.Header.ScpValue.CloseTime = xdr.TimePoint(at) //nolint:gosec // seconds since 1970
	meta.TxSet = txSet(c.head().hash, envelopes)
	return meta, layer, seal(&meta, c.head(), total)
}

// admit makes a closed ledger the newest one that the RPC knows, and forgets those past retention.
func (c *Chain) admit(l *ledger) {
	c.ledgers = append(c.ledgers, l)
	for _, tx := range l.txs {
		c.txs[tx.hash] = tx
		c.txs[tx.inner] = tx
	}
	for len(c.ledgers) > c.cfg.Retention {
		for _, tx := range c.ledgers[0].txs {
			delete(c.txs, tx.hash)
			delete(c.txs, tx.inner)
		}
		c.ledgers[0] = nil
		c.ledgers = c.ledgers[1:]
	}
}
