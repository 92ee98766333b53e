package devchain

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// healthyAge is how old the last ledger may be for the node to call itself healthy, unless ledgers are that slow.
const healthyAge = 30 * time.Second

func (c *Chain) getNetwork(friendbot string) any {
	return protocol.GetNetworkResponse{
		FriendbotURL: friendbot, Passphrase: c.cfg.Passphrase, ProtocolVersion: ProtocolVersion,
	}
}

// friendbotURL is friendbot's address as the caller reaches it.
func friendbotURL(r *http.Request) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	}
	return fmt.Sprintf("%s://%s/friendbot", scheme, r.Host)
}

func getVersionInfo() any {
	return protocol.GetVersionInfoResponse{
		Version: "devchain", CommitHash: "none", BuildTimestamp: "none", CaptiveCoreVersion: "none",
		ProtocolVersion: ProtocolVersion,
	}
}

func (v view) getHealth() (any, *rpcError) {
	if v.c.broken != nil {
		return nil, &rpcError{Code: codeInternal, Message: v.c.broken.Error()}
	}
	age := v.c.cfg.Now().Sub(time.Unix(v.latest.closeTime(), 0))
	if limit := max(healthyAge, 3*v.c.cfg.LedgerInterval); age > limit {
		return nil, &rpcError{Code: codeInternal, Message: fmt.Sprintf(
			"latency (%s) since last known ledger closed is too high (>%s)", age.Round(time.Second), limit)}
	}
	return protocol.GetHealthResponse{
		Status: "healthy", LatestLedger: v.latest.seq(), LatestLedgerCloseTime: v.latest.closeTime(),
		OldestLedger: v.oldest, OldestLedgerCloseTime: v.oldestTime(),
		LedgerRetentionWindow: uint32(min(v.c.cfg.Retention, 1<<31)), //nolint:gosec // bounded
	}, nil
}

// ledgerXDR is a ledger's header, in the form that the caller's method has, and its metadata, both in base64.
func ledgerXDR(l *ledger, header any) (headerXDR, metaXDR string, rpcErr *rpcError) {
	if headerXDR, rpcErr = encodeXDR(header); rpcErr != nil {
		return "", "", rpcErr
	}
	v2, err := l.closeMeta()
	if err != nil {
		return "", "", &rpcError{Code: codeInternal, Message: err.Error()}
	}
	metaXDR, rpcErr = encodeXDR(xdr.LedgerCloseMeta{V: 2, V2: &v2})
	return headerXDR, metaXDR, rpcErr
}

func (v view) getLatestLedger() (any, *rpcError) {
	header, meta, rpcErr := ledgerXDR(v.latest, v.latest.header)
	if rpcErr != nil {
		return nil, rpcErr
	}
	return protocol.GetLatestLedgerResponse{
		Hash: v.latest.hash.HexString(), ProtocolVersion: ProtocolVersion, Sequence: v.latest.seq(),
		LedgerCloseTime: v.latest.closeTime(), LedgerHeader: header, LedgerMetadata: meta,
	}, nil
}

// Pages of getLedgers.
const (
	defaultLedgersLimit = 5
	maxLedgersLimit     = 200
)

func (v view) getLedgers(p protocol.GetLedgersRequest) (any, *rpcError) {
	if err := p.Validate(maxLedgersLimit, protocol.LedgerSeqRange{FirstLedger: v.oldest, LastLedger: v.latest.seq()}); err != nil {
		return nil, &rpcError{Code: codeInvalidRequest, Message: err.Error()}
	}
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		return nil, rpcErr
	}
	start, limit := p.StartLedger, uint(defaultLedgersLimit)
	if p.Pagination != nil {
		limit = cmp.Or(p.Pagination.Limit, limit)
		if p.Pagination.Cursor != "" {
			if _, err := fmt.Sscanf(p.Pagination.Cursor, "%d", &start); err != nil {
				return nil, invalidParams("invalid cursor %.40q", p.Pagination.Cursor)
			}
			start++
		}
	}
	out := protocol.GetLedgersResponse{
		Ledgers: []protocol.LedgerInfo{}, LatestLedger: v.latest.seq(), LatestLedgerCloseTime: v.latest.closeTime(),
		OldestLedger: v.oldest, OldestLedgerCloseTime: v.oldestTime(),
	}
	for seq := max(start, v.oldest); seq <= v.latest.seq() && uint(len(out.Ledgers)) < limit; seq++ {
		l := v.c.ledgerAt(seq)
		header, meta, rpcErr := ledgerXDR(l, xdr.LedgerHeaderHistoryEntry{Hash: l.hash, Header: l.header})
		if rpcErr != nil {
			return nil, rpcErr
		}
		out.Ledgers = append(out.Ledgers, protocol.LedgerInfo{
			Hash: l.hash.HexString(), Sequence: seq, LedgerCloseTime: l.closeTime(),
			LedgerHeader: header, LedgerMetadata: meta,
		})
		out.Cursor = fmt.Sprint(seq)
	}
	return out, nil
}

// onlyBase64 refuses the JSON form of XDR, which the development chain does not render.
func onlyBase64(format string) *rpcError {
	if err := protocol.IsValidFormat(format); err != nil {
		return invalidParams("%v", err)
	}
	if format == protocol.FormatJSON {
		return invalidParams("the development chain answers XDR in base64 only")
	}
	return nil
}

// feeWindow is how many ledgers the fee statistics cover.
const feeWindow = 50

func (v view) getFeeStats() any {
	var classic, contract []uint64
	first := max(v.oldest, v.latest.seq()-min(v.latest.seq()-1, feeWindow-1))
	for seq := first; seq <= v.latest.seq(); seq++ {
		for _, tx := range v.c.ledgerAt(seq).txs {
			if tx.soroban {
				contract = append(contract, tx.inclusionFee)
			} else {
				classic = append(classic, tx.inclusionFee)
			}
		}
	}
	ledgers := v.latest.seq() - first + 1
	return protocol.GetFeeStatsResponse{
		SorobanInclusionFee: distribution(contract, ledgers), InclusionFee: distribution(classic, ledgers),
		LatestLedger: v.latest.seq(),
	}
}

func distribution(fees []uint64, ledgers uint32) protocol.FeeDistribution {
	out := protocol.FeeDistribution{LedgerCount: ledgers, TransactionCount: uint32(len(fees))} //nolint:gosec // bounded
	if len(fees) == 0 {
		return out
	}
	slices.Sort(fees)
	rank := func(p int) uint64 { return fees[(len(fees)*p+99)/100-1] }
	out.Min, out.Max, out.Mode = fees[0], fees[len(fees)-1], mode(fees)
	out.P10, out.P20, out.P30, out.P40, out.P50 = rank(10), rank(20), rank(30), rank(40), rank(50)
	out.P60, out.P70, out.P80, out.P90, out.P95, out.P99 = rank(60), rank(70), rank(80), rank(90), rank(95), rank(99)
	return out
}

// mode is the most frequent value of a sorted, non-empty list.
func mode(sorted []uint64) uint64 {
	best, bestRun, run := sorted[0], 0, 0
	for i, fee := range sorted {
		if i > 0 && fee != sorted[i-1] {
			run = 0
		}
		if run++; run > bestRun {
			best, bestRun = fee, run
		}
	}
	return best
}

func base64s(raw []byte) string { return base64.StdEncoding.EncodeToString(raw) }
