package devchain

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
)

// friendbotAnswer is what clients read of the answer of the real one.
type friendbotAnswer struct {
	Hash        string `json:"hash"`
	Ledger      uint32 `json:"ledger"`
	Successful  bool   `json:"successful"`
	EnvelopeXDR string `json:"envelope_xdr"`
	ResultXDR   string `json:"result_xdr"`
	MetaXDR     string `json:"result_meta_xdr"`
}

type friendbotProblem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

// serveFriendbot funds a new account with 10,000 XLM and closes a ledger for it.
func (c *Chain) serveFriendbot(w http.ResponseWriter, r *http.Request) {
	tx, err := c.fund(r.URL.Query().Get("addr"), friendbotBalance, true)
	status := http.StatusOK
	var body any
	switch {
	case errors.Is(err, ErrAccountExists):
		status = http.StatusBadRequest
		body = friendbotProblem{Title: "Bad Request", Status: status, Detail: "createAccountAlreadyExist: " + err.Error()}
	case err != nil:
		status = http.StatusBadRequest
		body = friendbotProblem{Title: "Bad Request", Status: status, Detail: err.Error()}
	default:
		body = friendbotAnswer{
			Hash: tx.hash.HexString(), Ledger: tx.ledger.seq(), Successful: true,
			EnvelopeXDR: base64s(tx.envelope), ResultXDR: base64s(tx.result), MetaXDR: base64s(tx.meta),
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(body); err != nil {
		c.cfg.Log.DebugContext(r.Context(), "devchain: the client went away", slog.Any("error", err))
	}
}
