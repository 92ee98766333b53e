package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
)

// Statuses of an operation as a client sees them.
const (
	statusPending   = "PENDING"
	statusSucceeded = string(soroban.Succeeded)
	statusFailed    = string(soroban.Failed)
	statusHeld      = "HELD"
)

// attemptView is one signed envelope, for whoever asks what became of a key.
type attemptView struct {
	Attempt  int    `json:"attempt"`
	TxHash   string `json:"tx_hash"`
	Channel  string `json:"channel"`
	Sequence string `json:"sequence"`
	// MaxLedger is absent when only time bounds the envelope, as a user signed it.
	MaxLedger uint32 `json:"max_ledger,omitempty"`
	Outcome   string `json:"outcome"`
}

// operationView answers GET /v1/operations.
type operationView struct {
	OperationID string          `json:"operation_id"`
	Status      string          `json:"status"`
	Kind        string          `json:"kind"`
	TxHash      string          `json:"tx_hash,omitempty"`
	Ledger      uint32          `json:"ledger,omitempty"`
	Result      json.RawMessage `json:"result,omitempty"`
	Error       *contractError  `json:"contract_error,omitempty"`
	Attempts    []attemptView   `json:"attempts"`
	Reason      string          `json:"reason,omitempty"`
	CreatedAt   time.Time       `json:"created_at"`
	CompletedAt time.Time       `json:"completed_at,omitzero"`
	ExpiresAt   time.Time       `json:"expires_at,omitzero"`
}

var errNotOurs = errors.New("no operation of this principal")

func (g *Gateway) operationByID(w http.ResponseWriter, r *http.Request) {
	scope, err := ScopeOf(r)
	if err != nil {
		g.turnAway(w, r, err)
		return
	}
	id, err := onceward.ParseID(r.PathValue("id"))
	if err != nil {
		invalid(&fieldError{Detail: err.Error()}).Write(w, r)
		return
	}
	rec, err := g.find(r, id)
	if err == nil && rec.Key.Scope != scope {
		err = errNotOurs // not even its existence is told
	}
	g.answerOperation(w, r, &rec, err)
}

func (g *Gateway) operationByKey(w http.ResponseWriter, r *http.Request) {
	scope, err := ScopeOf(r)
	if err != nil {
		g.turnAway(w, r, err)
		return
	}
	key := onceward.Key{Scope: scope, Value: r.URL.Query().Get("key")}
	if err := key.Validate(); err != nil {
		invalid(&fieldError{Detail: "give the key as ?key=…: " + err.Error()}).Write(w, r)
		return
	}
	rec, err := g.cfg.Engine.Get(r.Context(), key)
	g.answerOperation(w, r, &rec, err)
}

func (g *Gateway) find(r *http.Request, id onceward.ID) (onceward.Record, error) {
	finder, ok := g.cfg.Engine.Store().(onceward.Finder)
	if !ok {
		return onceward.Record{}, errors.New("the store cannot find operations by id")
	}
	return finder.Find(r.Context(), onceward.FindRequest{ID: id, Now: g.cfg.Engine.Config().Now()})
}

func (g *Gateway) answerOperation(w http.ResponseWriter, r *http.Request, rec *onceward.Record, err error) {
	switch {
	case errors.Is(err, onceward.ErrNotFound), errors.Is(err, errNotOurs):
		about(codeNotFound, "").Write(w, r)
		return
	case err == nil:
		var view operationView
		if view, err = g.view(rec); err == nil {
			send(w, jsonResponse(http.StatusOK, "application/json", view))
			return
		}
	}
	g.cfg.Log.ErrorContext(r.Context(), "operation not read", "err", err)
	about(onceward.CodeStoreUnavailable, "It cannot be looked up now. Ask again.").Write(w, r)
}

// view tells what is known of an operation.
func (g *Gateway) view(rec *onceward.Record) (operationView, error) {
	trail, err := soroban.ReadTrail(*rec)
	if err != nil {
		return operationView{}, fmt.Errorf("operation %s: %w", rec.Key.ID(), err)
	}
	v := operationView{
		OperationID: rec.Key.ID().String(), Status: statusPending, Kind: rec.Kind,
		Attempts: []attemptView{}, Reason: rec.Reason, CreatedAt: rec.ClaimedAt, CompletedAt: rec.CompletedAt,
	}
	if rec.Status == onceward.StatusCompleted {
		v.ExpiresAt = rec.ExpiresAt
		v.Status = statusSucceeded
		if rec.Response != nil && !rec.Response.Success() {
			v.Status = statusFailed
		}
	}
	if rec.Status == onceward.StatusHeld {
		v.Status = statusHeld
	}
	for _, a := range trail.Attempts {
		outcome := "open"
		if p, dead := trail.Proofs[a.Number]; dead {
			outcome = string(p.Kind)
		}
		v.Attempts = append(v.Attempts, attemptView{
			Attempt: a.Number, TxHash: a.Hash, Channel: a.Channel, Sequence: strconv.FormatInt(a.Sequence, 10),
			MaxLedger: a.MaxLedger, Outcome: outcome,
		})
		if a.MaxLedger == math.MaxUint32 {
			v.Attempts[len(v.Attempts)-1].MaxLedger = 0
		}
	}
	if res := trail.Result; res != nil {
		g.addResult(&v, res)
	}
	return v, nil
}

// addResult adds what the chain says. It is known from here on even if the
// record is not completed yet.
func (g *Gateway) addResult(v *operationView, res *soroban.Result) {
	v.TxHash, v.Ledger = res.TxHash, res.Ledger
	v.Status = statusSucceeded
	if res.Status == soroban.Succeeded {
		v.Result = g.cfg.Contracts.value(*res)
	} else {
		v.Status = statusFailed
		if res.HasCode {
			v.Error = g.cfg.Contracts.errorOf(res.Contract, res.Function, res.Code)
		}
	}
	for i := range v.Attempts {
		if v.Attempts[i].TxHash == res.TxHash {
			v.Attempts[i].Outcome = v.Status
		}
	}
}
