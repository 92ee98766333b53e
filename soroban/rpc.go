package soroban

import (
	"context"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
)

// RPC is what the submitter asks of a Stellar RPC server. Client implements it;
// so does the SDK's own rpcclient.
//
// Nothing an implementation answers is trusted further than a proof needs: it
// may be stale, load-balanced over servers that disagree, repeat itself, fail
// at any call, or fail after having done what was asked. Only lies about what
// a ledger contains are beyond the submitter's defence.
type RPC interface {
	Ledgers
	Simulator
	Sender
	History
}

// Ledgers reads the current state.
type Ledgers interface {
	GetNetwork(ctx context.Context) (protocol.GetNetworkResponse, error)
	// GetLedgerEntries answers for up to 200 keys from one ledger, the one it
	// names. Every proof of absence rests on that.
	GetLedgerEntries(ctx context.Context, req protocol.GetLedgerEntriesRequest) (protocol.GetLedgerEntriesResponse, error)
}

// Simulator tries a transaction without applying it.
type Simulator interface {
	SimulateTransaction(ctx context.Context, req protocol.SimulateTransactionRequest) (protocol.SimulateTransactionResponse, error)
}

// Sender offers an envelope to the network.
type Sender interface {
	SendTransaction(ctx context.Context, req protocol.SendTransactionRequest) (protocol.SendTransactionResponse, error)
}

// History finds transactions that ledgers contain.
type History interface {
	GetTransaction(ctx context.Context, req protocol.GetTransactionRequest) (protocol.GetTransactionResponse, error)
	GetTransactions(ctx context.Context, req protocol.GetTransactionsRequest) (protocol.GetTransactionsResponse, error)
}

// Events finds contract events. An RPC that implements it lets the submitter
// find the transaction that used a request id; see RequestID.
type Events interface {
	GetEvents(ctx context.Context, req protocol.GetEventsRequest) (protocol.GetEventsResponse, error)
}
