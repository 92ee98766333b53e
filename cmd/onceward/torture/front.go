package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// front is the chain's RPC as one process reaches it: calls are lost, delayed
// and answered wrongly on the way.
type front struct {
	c        *campaign
	next     http.Handler
	calm     atomic.Bool
	starting atomic.Bool
}

// maxCall bounds what is read of one call.
const maxCall = 4 << 20

func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxCall))
	if err != nil {
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	var call struct {
		ID     json.RawMessage `json:"id"`
		Method string          `json:"method"`
		Params json.RawMessage `json:"params"`
	}
	_ = json.Unmarshal(body, &call) // friendbot has no body
	if call.Method == "sendTransaction" {
		f.c.sends.sent(r.Context(), call.Params)
	}
	if f.calm.Load() || f.starting.Load() || !f.c.dice.percent(f.c.cfg.faulty) {
		f.next.ServeHTTP(w, r)
		return
	}
	if call.Method == "sendTransaction" && f.c.dice.percent(70) {
		f.lie(w, r, call.ID)
		return
	}
	f.lose(w, r)
}

// lose breaks the connection or the server, before or after the effect.
func (f *front) lose(w http.ResponseWriter, r *http.Request) {
	fault := pick(f.c.dice, []string{"request lost", "response lost", "HTTP 503", "HTTP 504 after the effect", "RPC error -32603", "slow"})
	f.c.faults.add(fault, 1)
	switch fault {
	case "request lost":
		panic(http.ErrAbortHandler)
	case "response lost":
		f.next.ServeHTTP(discard{}, r)
		panic(http.ErrAbortHandler)
	case "HTTP 503":
		http.Error(w, "injected", http.StatusServiceUnavailable)
	case "HTTP 504 after the effect":
		f.next.ServeHTTP(discard{}, r)
		http.Error(w, "injected", http.StatusGatewayTimeout)
	case "RPC error -32603":
		fmt.Fprint(w, `{"jsonrpc":"2.0","id":1,"error":{"code":-32603,"message":"injected"}}`)
	case "slow":
		pause(r.Context(), f.c.dice.between(100*time.Millisecond, time.Second))
		f.next.ServeHTTP(w, r)
	}
}

// lie answers a submission with any status of the protocol, whether or not it
// reaches the chain: a load balancer over nodes that disagree does that.
func (f *front) lie(w http.ResponseWriter, r *http.Request, id json.RawMessage) {
	arrives := f.c.dice.percent(60)
	if arrives {
		f.next.ServeHTTP(discard{}, r)
	}
	code := pick(f.c.dice, []xdr.TransactionResultCode{
		xdr.TransactionResultCodeTxSuccess, // stands for the statuses that are no error
		xdr.TransactionResultCodeTxBadSeq,
		xdr.TransactionResultCodeTxBadSeq,
		xdr.TransactionResultCodeTxTooLate,
		xdr.TransactionResultCodeTxInsufficientFee,
		xdr.TransactionResultCodeTxBadAuth,
		xdr.TransactionResultCodeTxSorobanInvalid,
		xdr.TransactionResultCodeTxMalformed,
		xdr.TransactionResultCodeTxInternalError,
	})
	result := map[string]any{"latestLedger": f.c.chain.LatestLedger(), "latestLedgerCloseTime": "0", "hash": ""}
	name := strings.TrimPrefix(code.String(), "TransactionResultCode")
	if code == xdr.TransactionResultCodeTxSuccess {
		name = pick(f.c.dice, []string{"PENDING", "DUPLICATE", "TRY_AGAIN_LATER"})
		result["status"] = name
	} else {
		encoded, err := xdr.MarshalBase64(xdr.TransactionResult{Result: resultOf(code)})
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		result["status"], result["errorResultXdr"] = "ERROR", encoded
	}
	f.c.faults.add(fmt.Sprintf("send answered %s, arrived: %v", name, arrives), 1)
	out, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": id, "result": result})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(out) // the process may be gone
}

func resultOf(code xdr.TransactionResultCode) xdr.TransactionResultResult {
	return xdr.TransactionResultResult{Code: code}
}

// discard is a client that has gone.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
