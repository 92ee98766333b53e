package soroban

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
)

// ClientConfig of a Client. Every field has a default.
type ClientConfig struct {
	// HTTP is the transport. Default http.DefaultTransport.
	HTTP http.RoundTripper
	// Timeout of one call to one server, its body included. Default 10 s.
	Timeout time.Duration
	// MaxResponseBytes bounds what is read of one answer. Default 32 MiB,
	// which holds a page of 200 transactions with their metadata.
	MaxResponseBytes int64
	// Header is sent with every call, for API keys.
	Header http.Header
	// Passphrase of the network. Each server is asked for its own before any
	// of its answers is used, and again once it has failed to answer: one of
	// another network would forge proofs, and is passed over. Needed with
	// several servers.
	Passphrase string
	// StallAfter is how long the latest ledger of a server may stay the same
	// before the next server is asked instead. Default 1 min.
	StallAfter time.Duration
}

// Client calls Stellar RPC servers over HTTP. Each call has a timeout of its
// own and none shares state with another: a server that hangs holds up nobody
// else. When one server cannot be reached, fails inside, or has stopped
// following the network, the next is tried. An answer is always that of one
// server; none is made of several.
type Client struct {
	servers []*server
	cfg     ClientConfig
	http    *http.Client
	next    atomic.Uint32 // index of the server that answered last
}

var (
	_ RPC    = (*Client)(nil)
	_ Events = (*Client)(nil)
)

// NewClient returns a client of one server, or of several that may replace
// each other.
func NewClient(cfg ClientConfig, urls ...string) (*Client, error) {
	if len(urls) == 0 {
		return nil, errors.New("soroban: NewClient needs the URL of a Stellar RPC server")
	}
	for _, u := range urls {
		parsed, err := url.Parse(u)
		if err != nil || parsed.Host == "" || parsed.Scheme != "http" && parsed.Scheme != "https" {
			return nil, fmt.Errorf("soroban: %q is not an http(s) URL of a Stellar RPC server", u)
		}
	}
	if cfg.Timeout < 0 || cfg.MaxResponseBytes < 0 || cfg.StallAfter < 0 {
		return nil, errors.New("soroban: ClientConfig: Timeout, MaxResponseBytes and StallAfter may not be negative")
	}
	if len(urls) > 1 && cfg.Passphrase == "" {
		return nil, errors.New("soroban: with several servers ClientConfig.Passphrase is needed: one of another network must not be believed")
	}
	cfg.Timeout = cmp.Or(cfg.Timeout, 10*time.Second)
	cfg.StallAfter = cmp.Or(cfg.StallAfter, time.Minute)
	cfg.MaxResponseBytes = cmp.Or(cfg.MaxResponseBytes, 32<<20)
	c := &Client{cfg: cfg, http: &http.Client{Transport: cfg.HTTP}}
	for _, u := range urls {
		c.servers = append(c.servers, &server{url: u})
	}
	return c, nil
}

// RPCError is an error that the server answered with. The request was
// understood; whether it had an effect depends on the method.
type RPCError struct {
	Method  string
	Code    int
	Message string
}

// Error implements error.
func (e *RPCError) Error() string {
	return fmt.Sprintf("soroban: %s: the RPC server answered error %d: %s", e.Method, e.Code, e.Message)
}

// TransportError means that no answer was received: the request may or may
// not have been carried out.
type TransportError struct {
	Method string
	// HTTPStatus is what the server or a proxy answered; 0 when nothing did.
	HTTPStatus int
	Err        error
}

// Error implements error.
func (e *TransportError) Error() string {
	return fmt.Sprintf("soroban: %s: no answer from the RPC server: %v", e.Method, e.Err)
}

// Unwrap returns the cause.
func (e *TransportError) Unwrap() error { return e.Err }

func ask[T any](ctx context.Context, c *Client, target, method string, body []byte) (out T, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return out, fmt.Errorf("soroban: %s: %w", method, err)
	}
	maps.Copy(req.Header, c.cfg.Header)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		if u, ok := errors.AsType[*url.Error](err); ok {
			err = u.Err // without the address, which may hold an API key
		}
		return out, &TransportError{Method: method, Err: err}
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return out, &TransportError{Method: method, HTTPStatus: resp.StatusCode, Err: fmt.Errorf("HTTP status %s", resp.Status)}
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, c.cfg.MaxResponseBytes+1))
	switch {
	case err != nil:
		return out, &TransportError{Method: method, Err: err}
	case int64(len(raw)) > c.cfg.MaxResponseBytes:
		return out, &TransportError{Method: method, Err: fmt.Errorf("the answer exceeds %d bytes", c.cfg.MaxResponseBytes)}
	}
	var answer struct {
		Result *T `json:"result"`
		Error  *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.Unmarshal(raw, &answer); err != nil {
		return out, &TransportError{Method: method, Err: fmt.Errorf("the answer is not JSON-RPC: %w", err)}
	}
	switch {
	case answer.Error != nil:
		return out, &RPCError{Method: method, Code: answer.Error.Code, Message: clip(answer.Error.Message)}
	case answer.Result == nil:
		return out, &TransportError{Method: method, Err: errors.New("the answer has neither result nor error")}
	}
	return *answer.Result, nil
}

// maxMessage bounds what is kept of a text that came from outside, in bytes.
const maxMessage = 2048

func clip(s string) string {
	if len(s) > maxMessage {
		return s[:maxMessage] + "…"
	}
	return s
}

// redact leaves the parts of a URL that hold no secret.
func redact(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "(unreadable URL)"
	}
	return u.Scheme + "://" + u.Host
}

// GetNetwork implements Ledgers.
func (c *Client) GetNetwork(ctx context.Context) (protocol.GetNetworkResponse, error) {
	return call[protocol.GetNetworkResponse](ctx, c, protocol.GetNetworkMethodName, nil)
}

// GetLedgerEntries implements Ledgers.
func (c *Client) GetLedgerEntries(ctx context.Context, req protocol.GetLedgerEntriesRequest) (protocol.GetLedgerEntriesResponse, error) {
	return call[protocol.GetLedgerEntriesResponse](ctx, c, protocol.GetLedgerEntriesMethodName, req)
}

// SimulateTransaction implements Simulator.
func (c *Client) SimulateTransaction(ctx context.Context, req protocol.SimulateTransactionRequest) (protocol.SimulateTransactionResponse, error) {
	return call[protocol.SimulateTransactionResponse](ctx, c, protocol.SimulateTransactionMethodName, req)
}

// SendTransaction implements Sender.
func (c *Client) SendTransaction(ctx context.Context, req protocol.SendTransactionRequest) (protocol.SendTransactionResponse, error) {
	return call[protocol.SendTransactionResponse](ctx, c, protocol.SendTransactionMethodName, req)
}

// GetTransaction implements History.
func (c *Client) GetTransaction(ctx context.Context, req protocol.GetTransactionRequest) (protocol.GetTransactionResponse, error) {
	return call[protocol.GetTransactionResponse](ctx, c, protocol.GetTransactionMethodName, req)
}

// GetTransactions implements History.
func (c *Client) GetTransactions(ctx context.Context, req protocol.GetTransactionsRequest) (protocol.GetTransactionsResponse, error) {
	return call[protocol.GetTransactionsResponse](ctx, c, protocol.GetTransactionsMethodName, req)
}

// GetEvents implements Events.
func (c *Client) GetEvents(ctx context.Context, req protocol.GetEventsRequest) (protocol.GetEventsResponse, error) {
	return call[protocol.GetEventsResponse](ctx, c, protocol.GetEventsMethodName, req)
}
