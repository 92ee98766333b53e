package devchain

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Bounds of what a client may send: bytes of a request, nesting and memory of a decoded value.
const (
	maxBody      = 512 << 10
	maxXDRDepth  = 200
	maxXDRMemory = 1 << 20
)

// JSON-RPC error codes.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeUnknownMethod  = -32601
	codeInvalidParams  = -32602
	codeInternal       = -32603
)

// Methods of the RPC.
const (
	methodSendTransaction     = "sendTransaction"
	methodGetTransaction      = "getTransaction"
	methodSimulateTransaction = "simulateTransaction"
)

var methods = []string{
	"getEvents", "getFeeStats", "getHealth", "getLatestLedger", "getLedgerEntries", "getLedgers", "getNetwork",
	methodGetTransaction, "getTransactions", "getVersionInfo", methodSendTransaction, methodSimulateTransaction,
}

type rpcError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

func invalidParams(format string, args ...any) *rpcError {
	return &rpcError{Code: codeInvalidParams, Message: fmt.Sprintf(format, args...)}
}

type rpcRequest struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method"`
	Params  json.RawMessage `json:"params"`
}

type rpcResponse struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Result  any             `json:"result,omitempty"`
	Error   *rpcError       `json:"error,omitempty"`
}

// Handler serves the RPC at POST / and friendbot at GET or POST /friendbot?addr=G…. Any web page may call it.
func (c *Chain) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", c.serveRPC)
	mux.HandleFunc("GET /friendbot", c.serveFriendbot)
	mux.HandleFunc("POST /friendbot", c.serveFriendbot)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Allow-Headers", "*")
		w.Header().Set("Access-Control-Allow-Methods", "GET, POST, OPTIONS")
		if r.Method == http.MethodOptions {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		mux.ServeHTTP(w, r)
	})
}

func (c *Chain) serveRPC(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
			http.Error(w, "request body too large", http.StatusRequestEntityTooLarge)
		}
		return // otherwise the client is gone
	}
	req, rpcErr := parseRequest(body)
	if rpcErr != nil {
		c.reply(w, rpcResponse{ID: req.ID, Error: rpcErr})
		return
	}
	fx := c.faults.strike(req.Method)
	switch {
	case fx.has(LoseRequest):
		panic(http.ErrAbortHandler)
	case fx.has(Unavailable):
		http.Error(w, "injected fault", http.StatusServiceUnavailable)
		return
	case fx.has(RPCError):
		c.reply(w, rpcResponse{ID: req.ID, Error: &rpcError{Code: codeInternal, Message: "injected fault"}})
		return
	case fx.has(ResetNetwork):
		if err := c.Reset(); err != nil {
			c.reply(w, rpcResponse{ID: req.ID, Error: &rpcError{Code: codeInternal, Message: err.Error()}})
			return
		}
	}
	result, rpcErr := c.call(req, fx, friendbotURL(r))
	switch {
	case fx.has(Hang):
		select {
		case <-r.Context().Done():
		case <-c.done:
		}
		panic(http.ErrAbortHandler)
	case fx.has(LoseResponse):
		panic(http.ErrAbortHandler)
	case fx.has(GatewayTimeout):
		http.Error(w, "injected fault", http.StatusGatewayTimeout)
	case req.ID == nil: // a notification wants no answer
		w.WriteHeader(http.StatusNoContent)
	case rpcErr != nil:
		c.reply(w, rpcResponse{ID: req.ID, Error: rpcErr})
	default:
		c.reply(w, rpcResponse{ID: req.ID, Result: result})
	}
}

// parseRequest reads one call. Batches are not served.
func parseRequest(body []byte) (rpcRequest, *rpcError) {
	var req rpcRequest
	trimmed := bytes.TrimSpace(body)
	if !json.Valid(trimmed) {
		return req, &rpcError{Code: codeParse, Message: "invalid JSON"}
	}
	if trimmed[0] != '{' {
		return req, &rpcError{Code: codeInvalidRequest, Message: "want one request object"}
	}
	if err := json.Unmarshal(trimmed, &req); err != nil {
		return rpcRequest{}, &rpcError{Code: codeInvalidRequest, Message: "malformed request object"}
	}
	if len(req.ID) > 0 && !validID(req.ID) {
		return rpcRequest{}, &rpcError{Code: codeInvalidRequest, Message: "the id must be a string or a number"}
	}
	if req.Version != "2.0" || req.Method == "" {
		return req, &rpcError{Code: codeInvalidRequest, Message: "want jsonrpc 2.0 and a method"}
	}
	return req, nil
}

func validID(id json.RawMessage) bool {
	return id[0] == '"' || id[0] == '-' || id[0] >= '0' && id[0] <= '9' || id[0] == 'n'
}

// call runs the method and returns its result. It holds the chain's lock only while it computes.
func (c *Chain) call(req rpcRequest, fx effects, friendbot string) (any, *rpcError) {
	if req.Method == methodSendTransaction {
		return withParams(req.Params, func(p sendParams) (any, *rpcError) { return c.sendTransaction(p, fx) })
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	v := c.viewOf(fx)
	switch req.Method {
	case "getEvents":
		return withParams(req.Params, v.getEvents)
	case "getFeeStats":
		return v.getFeeStats(), nil
	case "getHealth":
		return v.getHealth()
	case "getLatestLedger":
		return v.getLatestLedger()
	case "getLedgerEntries":
		return withParams(req.Params, v.getLedgerEntries)
	case "getLedgers":
		return withParams(req.Params, v.getLedgers)
	case "getNetwork":
		return c.getNetwork(friendbot), nil
	case methodGetTransaction:
		return withParams(req.Params, v.getTransaction)
	case "getTransactions":
		return withParams(req.Params, v.getTransactions)
	case "getVersionInfo":
		return getVersionInfo(), nil
	case methodSimulateTransaction:
		return withParams(req.Params, v.simulateTransaction)
	default:
		return nil, &rpcError{Code: codeUnknownMethod, Message: fmt.Sprintf("method not found: %.60q", req.Method)}
	}
}

// withParams decodes the parameters, which must be an object, or absent or null for none.
func withParams[P any](raw json.RawMessage, call func(P) (any, *rpcError)) (any, *rpcError) {
	var p P
	if len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		if raw[0] != '{' {
			return nil, invalidParams("the parameters must be an object")
		}
		if err := json.Unmarshal(raw, &p); err != nil {
			return nil, invalidParams("invalid parameters: %v", err)
		}
	}
	return call(p)
}

func (c *Chain) reply(w http.ResponseWriter, res rpcResponse) {
	res.Version = "2.0"
	if res.ID == nil {
		res.ID = json.RawMessage("null")
	}
	raw, err := json.Marshal(res)
	if err != nil {
		c.cfg.Log.Error("devchain: encoding an answer", slog.Any("error", err))
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	if _, err := w.Write(raw); err != nil {
		c.cfg.Log.Debug("devchain: the client went away", slog.Any("error", err))
	}
}

// decodeXDR reads what a client sent, bounded in depth and in the memory it takes.
func decodeXDR(b64 string, into any) error {
	opts := xdr.DecodeOptions{MaxDepth: maxXDRDepth, MaxMemoryBytes: maxXDRMemory}
	if err := xdr.SafeUnmarshalBase64WithOptions(b64, into, opts); err != nil {
		return fmt.Errorf("decoding XDR: %w", err)
	}
	return nil
}

// encodeXDR is the base64 form of a value that this process built.
func encodeXDR(v any) (string, *rpcError) {
	s, err := xdr.MarshalBase64(v)
	if err != nil {
		return "", &rpcError{Code: codeInternal, Message: fmt.Sprintf("encoding XDR: %v", err)}
	}
	return s, nil
}
