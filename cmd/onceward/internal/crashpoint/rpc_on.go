//go:build torture

package crashpoint

import (
	"context"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"

	"github.com/onceward/onceward/soroban"
)

// RPC returns r with crash points around its calls.
func RPC(r soroban.RPC) soroban.RPC { return &rpc{r} }

type rpc struct{ soroban.RPC }

func (r *rpc) GetLedgerEntries(ctx context.Context, req protocol.GetLedgerEntriesRequest) (protocol.GetLedgerEntriesResponse, error) {
	return around("look", func() (protocol.GetLedgerEntriesResponse, error) { return r.RPC.GetLedgerEntries(ctx, req) })
}

func (r *rpc) SimulateTransaction(ctx context.Context, req protocol.SimulateTransactionRequest) (protocol.SimulateTransactionResponse, error) {
	return around("simulate", func() (protocol.SimulateTransactionResponse, error) { return r.RPC.SimulateTransaction(ctx, req) })
}

func (r *rpc) SendTransaction(ctx context.Context, req protocol.SendTransactionRequest) (protocol.SendTransactionResponse, error) {
	return around("send", func() (protocol.SendTransactionResponse, error) { return r.RPC.SendTransaction(ctx, req) })
}

func (r *rpc) GetTransaction(ctx context.Context, req protocol.GetTransactionRequest) (protocol.GetTransactionResponse, error) {
	return around("find", func() (protocol.GetTransactionResponse, error) { return r.RPC.GetTransaction(ctx, req) })
}

func (r *rpc) GetTransactions(ctx context.Context, req protocol.GetTransactionsRequest) (protocol.GetTransactionsResponse, error) {
	return around("scan", func() (protocol.GetTransactionsResponse, error) { return r.RPC.GetTransactions(ctx, req) })
}
