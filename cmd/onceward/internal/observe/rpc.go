package observe

import (
	"context"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/onceward/onceward/soroban"
)

// RPC measures and traces the calls of a Stellar RPC server.
func (o *Observer) RPC(next soroban.RPC) soroban.RPC { return &chain{o, next} }

type chain struct {
	o    *Observer
	next soroban.RPC
}

func call[Res any](ctx context.Context, o *Observer, method string, do func(context.Context) (Res, error)) (Res, error) {
	start := time.Now()
	span := trace.Span(noop.Span{})
	if trace.SpanContextFromContext(ctx).IsValid() {
		ctx, span = o.tracer.Start(ctx, "stellar."+method, trace.WithSpanKind(trace.SpanKindClient))
		defer span.End()
	}
	res, err := do(ctx)
	result := "ok"
	if err != nil {
		result = "error"
		span.SetStatus(codes.Error, "the RPC server did not answer")
	}
	o.metrics.rpcCalls.WithLabelValues(method, result).Inc()
	o.metrics.rpcDuration.WithLabelValues(method).Observe(time.Since(start).Seconds())
	return res, err
}

// GetNetwork implements soroban.Ledgers.
func (c *chain) GetNetwork(ctx context.Context) (protocol.GetNetworkResponse, error) {
	return call(ctx, c.o, "getNetwork", c.next.GetNetwork)
}

// GetLedgerEntries implements soroban.Ledgers.
func (c *chain) GetLedgerEntries(ctx context.Context, req protocol.GetLedgerEntriesRequest) (protocol.GetLedgerEntriesResponse, error) {
	return call(ctx, c.o, "getLedgerEntries", func(ctx context.Context) (protocol.GetLedgerEntriesResponse, error) {
		return c.next.GetLedgerEntries(ctx, req)
	})
}

// SimulateTransaction implements soroban.Simulator.
func (c *chain) SimulateTransaction(ctx context.Context, req protocol.SimulateTransactionRequest) (protocol.SimulateTransactionResponse, error) {
	return call(ctx, c.o, "simulateTransaction", func(ctx context.Context) (protocol.SimulateTransactionResponse, error) {
		return c.next.SimulateTransaction(ctx, req)
	})
}

// SendTransaction implements soroban.Sender.
func (c *chain) SendTransaction(ctx context.Context, req protocol.SendTransactionRequest) (protocol.SendTransactionResponse, error) {
	return call(ctx, c.o, "sendTransaction", func(ctx context.Context) (protocol.SendTransactionResponse, error) {
		return c.next.SendTransaction(ctx, req)
	})
}

// GetTransaction implements soroban.History.
func (c *chain) GetTransaction(ctx context.Context, req protocol.GetTransactionRequest) (protocol.GetTransactionResponse, error) {
	return call(ctx, c.o, "getTransaction", func(ctx context.Context) (protocol.GetTransactionResponse, error) {
		return c.next.GetTransaction(ctx, req)
	})
}

// GetTransactions implements soroban.History.
func (c *chain) GetTransactions(ctx context.Context, req protocol.GetTransactionsRequest) (protocol.GetTransactionsResponse, error) {
	return call(ctx, c.o, "getTransactions", func(ctx context.Context) (protocol.GetTransactionsResponse, error) {
		return c.next.GetTransactions(ctx, req)
	})
}
