package devchain

import (
	"crypto/sha256"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// ledger is a closed ledger as the RPC keeps it: the header decoded, the transactions as the bytes that are answered.
type ledger struct {
	header  xdr.LedgerHeader
	hash    xdr.Hash
	evicted []xdr.LedgerKey
	txs     []*storedTx
}

func (l *ledger) seq() uint32      { return uint32(l.header.LedgerSeq) }
func (l *ledger) closeTime() int64 { return int64(l.header.ScpValue.CloseTime) } //nolint:gosec // seconds since 1970

// storedTx is one applied transaction.
type storedTx struct {
	hash, inner            xdr.Hash
	ledger                 *ledger
	order                  int32 // from 1
	success                bool
	envelope, result, meta []byte // XDR
	feeChanges             []byte // XDR
	inclusionFee           uint64 // charged, per operation
	soroban                bool
	events                 []xdr.ContractEvent
	diagnostics            []xdr.DiagnosticEvent
}

func (t *storedTx) feeBump() bool { return t.hash != t.inner }

// ingest turns a ledger's metadata, just made or read from the log, into what the RPC answers from.
func ingest(meta xdr.LedgerCloseMetaV2, passphrase string) (*ledger, error) {
	out := &ledger{
		header: meta.LedgerHeader.Header, hash: meta.LedgerHeader.Hash, evicted: meta.EvictedKeys,
	}
	envelopes := map[xdr.Hash]*frame{}
	for _, env := range setEnvelopes(meta.TxSet) {
		f, err := newFrame(env, passphrase)
		if err != nil {
			return nil, fmt.Errorf("ledger %d: %w", out.seq(), err)
		}
		envelopes[f.hash] = f
	}
	for i, p := range meta.TxProcessing {
		f := envelopes[p.Result.TransactionHash]
		if f == nil || p.TxApplyProcessing.V4 == nil {
			return nil, fmt.Errorf("ledger %d: transaction %d has no envelope or metadata", out.seq(), i+1)
		}
		tx := &storedTx{
			hash: f.hash, inner: f.inner, ledger: out, order: int32(i + 1),
			success: p.Result.Result.Successful(), soroban: f.isSoroban(),
			inclusionFee: uint64(max(0, int64(p.Result.Result.FeeCharged)-f.resourceFee()) / f.feeOps()), //nolint:gosec // not negative
			diagnostics:  p.TxApplyProcessing.V4.DiagnosticEvents,
		}
		for _, op := range p.TxApplyProcessing.V4.Operations {
			tx.events = append(tx.events, op.Events...)
		}
		var err error
		for _, part := range []struct {
			into *[]byte
			from interface{ MarshalBinary() ([]byte, error) }
		}{
			{&tx.envelope, f.env},
			{&tx.result, p.Result.Result},
			{&tx.meta, p.TxApplyProcessing},
			{&tx.feeChanges, p.FeeProcessing},
		} {
			if *part.into, err = part.from.MarshalBinary(); err != nil {
				return nil, fmt.Errorf("ledger %d: transaction %d: %w", out.seq(), i+1, err)
			}
		}
		out.txs = append(out.txs, tx)
	}
	return out, nil
}

// closeMeta rebuilds the ledger's metadata.
func (l *ledger) closeMeta() (xdr.LedgerCloseMetaV2, error) {
	meta := xdr.LedgerCloseMetaV2{
		LedgerHeader: xdr.LedgerHeaderHistoryEntry{Hash: l.hash, Header: l.header}, EvictedKeys: l.evicted,
	}
	envelopes := make([]xdr.TransactionEnvelope, len(l.txs))
	for i, tx := range l.txs {
		p := xdr.TransactionResultMetaV1{Result: xdr.TransactionResultPair{TransactionHash: tx.hash}}
		for _, part := range []struct {
			raw  []byte
			into any
		}{
			{tx.envelope, &envelopes[i]},
			{tx.result, &p.Result.Result},
			{tx.meta, &p.TxApplyProcessing},
			{tx.feeChanges, &p.FeeProcessing},
		} {
			if err := xdr.SafeUnmarshal(part.raw, part.into); err != nil {
				return meta, fmt.Errorf("ledger %d: transaction %d: %w", l.seq(), i+1, err)
			}
		}
		meta.TxProcessing = append(meta.TxProcessing, p)
	}
	meta.TxSet = txSet(l.header.PreviousLedgerHash, envelopes)
	return meta, nil
}

// txSet groups a ledger's envelopes as the protocol does: classic ones in the first phase, contract ones in the second.
func txSet(previous xdr.Hash, envelopes []xdr.TransactionEnvelope) xdr.GeneralizedTransactionSet {
	var classic, contract []xdr.TransactionEnvelope
	for _, e := range envelopes {
		if ops := e.Operations(); len(ops) > 0 && isSorobanOp(ops[0].Body.Type) {
			contract = append(contract, e)
		} else {
			classic = append(classic, e)
		}
	}
	components := []xdr.TxSetComponent{}
	if len(classic) > 0 {
		components = append(components, xdr.TxSetComponent{
			Type:                  xdr.TxSetComponentTypeTxsetCompTxsMaybeDiscountedFee,
			TxsMaybeDiscountedFee: &xdr.TxSetComponentTxsMaybeDiscountedFee{Txs: classic},
		})
	}
	parallel := &xdr.ParallelTxsComponent{}
	if len(contract) > 0 {
		parallel.ExecutionStages = []xdr.ParallelTxExecutionStage{{contract}}
	}
	return xdr.GeneralizedTransactionSet{V: 1, V1TxSet: &xdr.TransactionSetV1{
		PreviousLedgerHash: previous,
		Phases:             []xdr.TransactionPhase{{V: 0, V0Components: &components}, {V: 1, ParallelTxsComponent: parallel}},
	}}
}

func setEnvelopes(set xdr.GeneralizedTransactionSet) []xdr.TransactionEnvelope {
	var out []xdr.TransactionEnvelope
	if set.V1TxSet == nil {
		return nil
	}
	for _, phase := range set.V1TxSet.Phases {
		if phase.V0Components != nil {
			for _, c := range *phase.V0Components {
				out = append(out, c.TxsMaybeDiscountedFee.Txs...)
			}
		}
		if phase.ParallelTxsComponent != nil {
			for _, stage := range phase.ParallelTxsComponent.ExecutionStages {
				for _, cluster := range stage {
					out = append(out, cluster...)
				}
			}
		}
	}
	return out
}

// seal completes the header of a ledger whose transactions are processed, and returns its hash. The field that on a
// network holds the hash of all entries holds here a chain of hashes over all changes, which no proof can be made from.
func seal(meta *xdr.LedgerCloseMetaV2, previous *ledger, fees int64) error {
	h := &meta.LedgerHeader.Header
	h.LedgerVersion, h.BaseFee, h.BaseReserve = ProtocolVersion, baseFee, baseReserve
	h.TotalCoins, h.MaxTxSetSize = totalCoins, nominalTxSetSize
	if previous != nil {
		h.PreviousLedgerHash, h.FeePool = previous.hash, previous.header.FeePool+xdr.Int64(fees)
		h.IdPool, h.BucketListHash = previous.header.IdPool, previous.header.BucketListHash
	}
	set, err := meta.TxSet.MarshalBinary()
	if err != nil {
		return fmt.Errorf("transaction set: %w", err)
	}
	h.ScpValue.TxSetHash = sha256.Sum256(set)
	results, changes := sha256.New(), sha256.New()
	for _, p := range meta.TxProcessing {
		raw, err := p.MarshalBinary()
		if err != nil {
			return fmt.Errorf("transaction metadata: %w", err)
		}
		changes.Write(raw)
		if raw, err = p.Result.MarshalBinary(); err != nil {
			return fmt.Errorf("transaction result: %w", err)
		}
		results.Write(raw)
	}
	h.TxSetResultHash = xdr.Hash(results.Sum(nil))
	if len(meta.TxProcessing) > 0 || len(meta.EvictedKeys) > 0 {
		changes.Write(h.BucketListHash[:])
		h.BucketListHash = xdr.Hash(changes.Sum(nil))
	}
	raw, err := h.MarshalBinary()
	if err != nil {
		return fmt.Errorf("ledger header: %w", err)
	}
	meta.LedgerHeader.Hash = sha256.Sum256(raw)
	return nil
}

// replay gives the writes that a ledger's metadata describes: fees first, then every transaction in order.
func replay(meta xdr.LedgerCloseMetaV2, below state.Reader) (*state.Layer, error) {
	l := state.NewLayer(below, uint32(meta.LedgerHeader.Header.LedgerSeq))
	for _, p := range meta.TxProcessing {
		if err := l.Replay(p.FeeProcessing); err != nil {
			return nil, err
		}
	}
	for _, p := range meta.TxProcessing {
		v4 := p.TxApplyProcessing.V4
		if v4 == nil {
			return nil, fmt.Errorf("transaction %x has no metadata", p.Result.TransactionHash)
		}
		if err := l.Replay(v4.TxChangesBefore); err != nil {
			return nil, err
		}
		for _, op := range v4.Operations {
			if err := l.Replay(op.Changes); err != nil {
				return nil, err
			}
		}
	}
	for _, key := range meta.EvictedKeys {
		k, err := state.KeyOf(key)
		if err != nil {
			return nil, err
		}
		l.Delete(k)
	}
	return l, nil
}
