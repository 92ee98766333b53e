package devchain

import (
	"cmp"
	"encoding/hex"
	"strconv"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/toid"
	"github.com/stellar/go-stellar-sdk/xdr"
)

type sendParams = protocol.SendTransactionRequest

// sendTransaction offers an envelope to the queue. The reported latest ledger is the RPC's, the judgement the core's.
func (c *Chain) sendTransaction(p sendParams, fx effects) (any, *rpcError) {
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		return nil, rpcErr
	}
	f, err := decodeFrame(p.Transaction, c.cfg.Passphrase)
	if err != nil {
		return nil, invalidParams("invalid_xdr: %v", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	what := fate{drop: fx.has(DropTransaction), evict: fx.has(EvictTransaction), late: fx.has(IncludeLate), minFee: fx[SurgePricing]}
	if fx.has(StaleReplica) {
		old := c.back(fx.ledgers(StaleReplica))
		what.judge, what.at = c.store.At(old.seq()), c.moment()
		what.at.ledger = old.seq() + 1
	}
	res := c.submit(f, what)
	v := c.viewOf(fx)
	out := protocol.SendTransactionResponse{
		Status: res.status, Hash: f.hash.HexString(),
		LatestLedger: v.latest.seq(), LatestLedgerCloseTime: v.latest.closeTime(),
	}
	if res.result != nil {
		var rpcErr *rpcError
		if out.ErrorResultXDR, rpcErr = encodeXDR(*res.result); rpcErr != nil {
			return nil, rpcErr
		}
	}
	return out, nil
}

func (v view) getTransaction(p protocol.GetTransactionRequest) (any, *rpcError) {
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		return nil, rpcErr
	}
	raw, err := hex.DecodeString(p.Hash)
	if err != nil || len(raw) != len(xdr.Hash{}) {
		return nil, invalidParams("the hash must be 64 hexadecimal digits")
	}
	out := protocol.GetTransactionResponse{
		LatestLedger: v.latest.seq(), LatestLedgerCloseTime: v.latest.closeTime(),
		OldestLedger: v.oldest, OldestLedgerCloseTime: v.oldestTime(),
		TransactionDetails: protocol.TransactionDetails{
			TransactionHash: p.Hash, Status: protocol.TransactionStatusNotFound,
		},
	}
	tx := v.c.txs[[32]byte(raw)]
	if tx == nil || tx.ledger.seq() > v.searched || tx.ledger.seq() < v.oldest {
		return out, nil
	}
	details, rpcErr := tx.details()
	if rpcErr != nil {
		return nil, rpcErr
	}
	details.TransactionHash = p.Hash
	out.TransactionDetails, out.LedgerCloseTime = details, tx.ledger.closeTime()
	return out, nil
}

func (t *storedTx) details() (protocol.TransactionDetails, *rpcError) {
	out := protocol.TransactionDetails{
		Status: protocol.TransactionStatusFailed, TransactionHash: t.hash.HexString(),
		ApplicationOrder: t.order, FeeBump: t.feeBump(), Ledger: t.ledger.seq(),
		EnvelopeXDR: base64s(t.envelope), ResultXDR: base64s(t.result), ResultMetaXDR: base64s(t.meta),
	}
	if t.success {
		out.Status = protocol.TransactionStatusSuccess
	}
	if t.soroban {
		events := make([]string, len(t.events))
		for i, e := range t.events {
			var rpcErr *rpcError
			if events[i], rpcErr = encodeXDR(e); rpcErr != nil {
				return out, rpcErr
			}
		}
		out.Events.ContractEventsXDR = [][]string{events}
	}
	for _, e := range t.diagnostics {
		encoded, rpcErr := encodeXDR(e)
		if rpcErr != nil {
			return out, rpcErr
		}
		out.DiagnosticEventsXDR = append(out.DiagnosticEventsXDR, encoded)
	}
	return out, nil
}

// Pages of getTransactions.
const (
	defaultTransactionsLimit = 50
	maxTransactionsLimit     = 200
)

func (v view) getTransactions(p protocol.GetTransactionsRequest) (any, *rpcError) {
	known := protocol.LedgerSeqRange{FirstLedger: v.oldest, LastLedger: v.latest.seq()}
	if err := p.IsValid(maxTransactionsLimit, known); err != nil {
		return nil, &rpcError{Code: codeInvalidRequest, Message: err.Error()}
	}
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		return nil, rpcErr
	}
	ledgerSeq, order, limit := p.StartLedger, int32(1), uint(defaultTransactionsLimit)
	if p.Pagination != nil {
		limit = cmp.Or(p.Pagination.Limit, limit)
		if p.Pagination.Cursor != "" {
			n, err := strconv.ParseInt(p.Pagination.Cursor, 10, 64)
			if err != nil || n < 0 {
				return nil, invalidParams("invalid cursor %.40q", p.Pagination.Cursor)
			}
			at := toid.Parse(n)
			ledgerSeq, order = uint32(at.LedgerSequence), at.TransactionOrder+1 //nolint:gosec // not negative
			if !protocol.IsLedgerWithinRange(ledgerSeq, known) {
				return nil, invalidParams("database does not contain metadata for ledger: %d", ledgerSeq)
			}
		}
	}
	out := protocol.GetTransactionsResponse{
		Transactions: []protocol.TransactionInfo{},
		LatestLedger: v.latest.seq(), LatestLedgerCloseTime: v.latest.closeTime(),
		OldestLedger: v.oldest, OldestLedgerCloseTime: v.oldestTime(),
	}
	cursor := toid.New(0, 0, 0)
	for ; ledgerSeq <= v.latest.seq() && uint(len(out.Transactions)) < limit; ledgerSeq++ {
		cursor = toid.New(int32(ledgerSeq), 0, 1) //nolint:gosec // toid holds 31 bits
		for _, tx := range v.c.ledgerAt(ledgerSeq).txs {
			if tx.order < order || uint(len(out.Transactions)) == limit {
				continue
			}
			details, rpcErr := tx.details()
			if rpcErr != nil {
				return nil, rpcErr
			}
			out.Transactions = append(out.Transactions, protocol.TransactionInfo{
				TransactionDetails: details, LedgerCloseTime: tx.ledger.closeTime(),
			})
			cursor.TransactionOrder = tx.order
		}
		order = 1
	}
	out.Cursor = cursor.String()
	return out, nil
}
