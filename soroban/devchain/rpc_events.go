package devchain

import (
	"fmt"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// Pages of getEvents, and how many ledgers one call looks through.
const (
	defaultEventsLimit = 100
	maxEventsLimit     = 10_000
	eventScanLedgers   = 10_000
)

func (v view) getEvents(p protocol.GetEventsRequest) (any, *rpcError) {
	if err := p.Valid(maxEventsLimit); err != nil {
		return nil, invalidParams("%v", err)
	}
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		return nil, rpcErr
	}
	start, limit := protocol.Cursor{Ledger: p.StartLedger}, uint(defaultEventsLimit)
	if p.Pagination != nil {
		if p.Pagination.Cursor != nil {
			start = *p.Pagination.Cursor
			start.Event++
		}
		if p.Pagination.Limit > 0 {
			limit = p.Pagination.Limit
		}
	}
	if start.Ledger < v.oldest || start.Ledger > v.latest.seq() {
		return nil, &rpcError{Code: codeInvalidRequest, Message: fmt.Sprintf(
			"startLedger must be within the ledger range: %d - %d", v.oldest, v.latest.seq())}
	}
	end := min(v.latest.seq()+1, start.Ledger+eventScanLedgers)
	if p.EndLedger != 0 {
		end = min(end, p.EndLedger)
	}
	out := protocol.GetEventsResponse{
		Events: []protocol.EventInfo{}, LatestLedger: v.latest.seq(), LatestLedgerCloseTime: v.latest.closeTime(),
		OldestLedger: v.oldest, OldestLedgerCloseTime: v.oldestTime(),
	}
	for seq := start.Ledger; seq < end && uint(len(out.Events)) < limit; seq++ {
		for _, tx := range v.c.ledgerAt(seq).txs {
			if rpcErr := tx.matchEvents(&p, start, limit, &out.Events); rpcErr != nil {
				return nil, rpcErr
			}
		}
	}
	if uint(len(out.Events)) == limit {
		out.Cursor = out.Events[limit-1].ID
	} else {
		last := protocol.MaxCursor
		last.Ledger = end - 1
		out.Cursor = last.String()
	}
	return out, nil
}

// matchEvents adds the transaction's events from start on that the filters let through.
func (t *storedTx) matchEvents(p *protocol.GetEventsRequest, start protocol.Cursor, limit uint, out *[]protocol.EventInfo,
) *rpcError {
	for i, e := range t.events {
		at := protocol.Cursor{Ledger: t.ledger.seq(), Tx: uint32(t.order), Event: uint32(i)} //nolint:gosec // small
		if uint(len(*out)) == limit || at.Cmp(start) < 0 ||
			!p.Matches(xdr.DiagnosticEvent{InSuccessfulContractCall: true, Event: e}) {
			continue
		}
		info := protocol.EventInfo{
			EventType: protocol.EventTypeContract, Ledger: int32(t.ledger.seq()), //nolint:gosec // cursors hold 31 bits
			LedgerClosedAt: time.Unix(t.ledger.closeTime(), 0).UTC().Format(time.RFC3339),
			ContractID:     strkey.MustEncode(strkey.VersionByteContract, e.ContractId[:]),
			ID:             at.String(), TxIndex: at.Tx, TransactionHash: t.hash.HexString(), InSuccessfulContractCall: true, //nolint:staticcheck // clients still read it
			TopicXDR: []string{},
		}
		for _, topic := range e.Body.V0.Topics {
			encoded, rpcErr := encodeXDR(topic)
			if rpcErr != nil {
				return rpcErr
			}
			info.TopicXDR = append(info.TopicXDR, encoded)
		}
		var rpcErr *rpcError
		if info.ValueXDR, rpcErr = encodeXDR(e.Body.V0.Data); rpcErr != nil {
			return rpcErr
		}
		*out = append(*out, info)
	}
	return nil
}
