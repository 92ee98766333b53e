package soroban

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
)

// server is one Stellar RPC server, and what decides whether it is asked. It
// never decides what an answer means.
type server struct {
	url string

	mu       sync.Mutex
	verified bool      // it has said that it is of our network, and answers since
	ledger   uint32    // the latest that it knew of
	grewAt   time.Time // when ledger last grew
}

// codeInternal is JSON-RPC's code for a server that fails inside.
const codeInternal = -32603

// call asks the servers in turn, beginning with the one that answered last.
// Everything the submitter asks may be asked twice.
func call[T any](ctx context.Context, c *Client, method string, params any) (out T, err error) {
	body, err := json.Marshal(struct {
		Version string `json:"jsonrpc"`
		ID      int    `json:"id"`
		Method  string `json:"method"`
		Params  any    `json:"params,omitempty"`
	}{"2.0", 1, method, params})
	if err != nil {
		return out, fmt.Errorf("soroban: %s: encoding the request: %w", method, err)
	}
	n := uint32(len(c.servers)) //nolint:gosec // a handful
	first := c.next.Load()
	for i := range n {
		at := (first + i) % n
		srv := c.servers[at]
		if err = c.verify(ctx, srv); err == nil {
			out, err = ask[T](ctx, c, srv.url, method, body)
		}
		if !failedOver(err) || ctx.Err() != nil {
			if srv.stalled(latestLedger(out), c.cfg.StallAfter) {
				at++
			}
			c.next.Store(at)
			return out, err
		}
		srv.distrust()
	}
	c.next.Store(first + 1)
	return out, err
}

// failedOver reports whether another server may do better.
func failedOver(err error) bool {
	if _, unreached := errors.AsType[*TransportError](err); unreached || errors.Is(err, ErrWrongNetwork) {
		return true
	}
	e, ok := errors.AsType[*RPCError](err)
	return ok && e.Code == codeInternal
}

// verify asks the server for its network, unless it has told.
func (c *Client) verify(ctx context.Context, srv *server) error {
	srv.mu.Lock()
	verified := srv.verified
	srv.mu.Unlock()
	if verified || c.cfg.Passphrase == "" {
		return nil
	}
	res, err := ask[protocol.GetNetworkResponse](ctx, c, srv.url, protocol.GetNetworkMethodName,
		[]byte(`{"jsonrpc":"2.0","id":1,"method":"getNetwork"}`))
	if err != nil {
		return err
	}
	if res.Passphrase != c.cfg.Passphrase {
		return fmt.Errorf("%w: the RPC server at %s is on %q, the configuration says %q",
			ErrWrongNetwork, redact(srv.url), clip(res.Passphrase), c.cfg.Passphrase)
	}
	srv.mu.Lock()
	srv.verified = true
	srv.mu.Unlock()
	return nil
}

func (srv *server) distrust() {
	srv.mu.Lock()
	srv.verified = false
	srv.mu.Unlock()
}

// stalled takes the latest ledger of an answer in, 0 for one that names none,
// and reports whether the server has stopped following the network.
func (srv *server) stalled(ledger uint32, after time.Duration) bool {
	if ledger == 0 {
		return false
	}
	now := time.Now()
	srv.mu.Lock()
	defer srv.mu.Unlock()
	if ledger > srv.ledger || srv.grewAt.IsZero() {
		srv.ledger, srv.grewAt = ledger, now
		return false
	}
	if now.Sub(srv.grewAt) < after {
		return false
	}
	srv.grewAt = now // it gets another chance when its turn comes
	return true
}

// latestLedger is the latest ledger that an answer names.
func latestLedger(answer any) uint32 {
	switch a := answer.(type) {
	case protocol.GetLedgerEntriesResponse:
		return a.LatestLedger
	case protocol.GetTransactionResponse:
		return a.LatestLedger
	case protocol.GetTransactionsResponse:
		return a.LatestLedger
	default:
		return 0
	}
}
