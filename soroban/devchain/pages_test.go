package devchain_test

import (
	"testing"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/txnbuild"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// Page by page, each transaction, event and ledger comes once, in order, across ledgers with several and with none.
func TestPages(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	first := n.chain.LatestLedger()
	var expected []string
	for range 2 {
		a, b, c := n.account(), n.account(), n.account()
		n.close()
		sent := map[string]bool{}
		for i, kp := range []*txnbuild.Transaction{
			n.sign(n.build(a.Address(), params{}, n.own(a, "votes", "cast", addr(n, a.Address()), host.U64(1), host.Bool(true))), a),
			n.sign(n.build(b.Address(), params{}, n.own(b, "content", "submit", addr(n, b.Address()), hashOf(b.Address()), hostString(""))), b),
			n.payment(c, txnbuild.Preconditions{}),
		} {
			want(t, "send", n.sendTx(kp).Status, "PENDING")
			sent[n.hash(kp)] = i < 2
		}
		seq := n.close()
		n.close()
		res := must(n.rpc.GetTransactions(t.Context(), protocol.GetTransactionsRequest{StartLedger: seq}))(t)
		want(t, "in the ledger", len(res.Transactions), 3)
		for i, tx := range res.Transactions {
			want(t, "order", tx.ApplicationOrder, int32(i+1))
			if sent[tx.TransactionHash] {
				expected = append(expected, tx.TransactionHash)
			}
		}
	}

	var transactions []string
	request := protocol.GetTransactionsRequest{StartLedger: first, Pagination: &protocol.LedgerPaginationOptions{Limit: 2}}
	for {
		res := must(n.rpc.GetTransactions(t.Context(), request))(t)
		if len(res.Transactions) == 0 {
			break
		}
		for _, tx := range res.Transactions {
			transactions = append(transactions, tx.TransactionHash)
		}
		request = protocol.GetTransactionsRequest{Pagination: &protocol.LedgerPaginationOptions{Limit: 2, Cursor: res.Cursor}}
	}
	want(t, "transactions", len(transactions), 2*(3+3)) // three funded accounts and three transactions, twice

	var events []string
	more := protocol.GetEventsRequest{StartLedger: first, Pagination: &protocol.PaginationOptions{Limit: 1}}
	for {
		res := must(n.rpc.GetEvents(t.Context(), more))(t)
		if len(res.Events) == 0 {
			break
		}
		events = append(events, res.Events[0].TransactionHash)
		cursor := must(protocol.ParseCursor(res.Cursor))(t)
		more = protocol.GetEventsRequest{Pagination: &protocol.PaginationOptions{Limit: 1, Cursor: &cursor}}
	}
	want(t, "events", len(events), len(expected))
	for i := range min(len(events), len(expected)) {
		want(t, "event of", events[i], expected[i])
	}

	n.ledgerPages(first)
}

// ledgerPages reads all ledgers from first on, four at a time.
func (n *node) ledgerPages(first uint32) {
	n.Helper()
	seen, pages := first-1, protocol.GetLedgersRequest{StartLedger: first, Pagination: &protocol.LedgerPaginationOptions{Limit: 4}}
	for {
		res := must(n.rpc.GetLedgers(n.Context(), pages))(n)
		if len(res.Ledgers) == 0 {
			break
		}
		for _, l := range res.Ledgers {
			want(n, "ledger", l.Sequence, seen+1)
			seen = l.Sequence
		}
		pages = protocol.GetLedgersRequest{Pagination: &protocol.LedgerPaginationOptions{Limit: 4, Cursor: res.Cursor}}
	}
	want(n, "last ledger", seen, n.chain.LatestLedger())
}

// Ledgers past retention are forgotten, with their transactions and events; entries stay.
func TestRetention(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{Retention: 5})
	a := n.account()
	tx := n.payment(a, txnbuild.Preconditions{})
	n.sendTx(tx)
	n.close()
	n.closeMany(4)
	want(t, "kept", n.get(n.hash(tx)).Status, "SUCCESS")
	n.close()
	got := n.get(n.hash(tx))
	want(t, "forgotten", got.Status, "NOT_FOUND")
	want(t, "oldest", got.OldestLedger, n.chain.LatestLedger()-4)
	want(t, "sequence", n.seq(a.Address()), tx.SequenceNumber())
}

// Fee statistics are those of the last ledgers.
func TestFeeStats(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := n.account()
	n.run(a, n.own(a, "votes", "cast", addr(n, a.Address()), host.U64(1), host.Bool(true)))
	stats := must(n.rpc.GetFeeStats(t.Context()))(t)
	want(t, "contract transactions", stats.SorobanInclusionFee.TransactionCount, 1)
	want(t, "contract fee", stats.SorobanInclusionFee.P99, 100)
	want(t, "classic transactions", stats.InclusionFee.TransactionCount, 1)
	want(t, "classic mode", stats.InclusionFee.Mode, 100)
}
