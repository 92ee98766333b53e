package operator

import (
	"encoding/base64"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
)

// KeyView is a record as it is shown.
type KeyView struct {
	OperationID string    `json:"operation_id"`
	Scope       string    `json:"scope"`
	Key         string    `json:"key"`
	Status      string    `json:"status"`
	Kind        string    `json:"kind"`
	Policy      string    `json:"policy"`
	Token       int64     `json:"token"`
	Attempt     int       `json:"attempt"`
	HTTPStatus  int       `json:"http_status,omitzero"`
	Reason      string    `json:"reason,omitempty"`
	ClaimedAt   time.Time `json:"claimed_at"`
	LeaseUntil  time.Time `json:"lease_until,omitzero"` // of a started one
	CompletedAt time.Time `json:"completed_at,omitzero"`
	ExpiresAt   time.Time `json:"expires_at,omitzero"` // absent: never
}

// Key shows a record; with whole keys only when asked to.
func Key(rec *onceward.Record, whole bool) KeyView {
	v := KeyView{
		OperationID: rec.Key.ID().String(), Scope: rec.Key.Scope, Key: rec.Key.Value,
		Status: string(rec.Status), Kind: rec.Kind, Policy: string(rec.Policy), Token: rec.Token, Attempt: rec.Attempt,
		Reason: rec.Reason, ClaimedAt: rec.ClaimedAt.UTC(), CompletedAt: rec.CompletedAt,
	}
	if !whole {
		v.Key = Redact(rec.Key.Value)
	}
	if rec.Response != nil {
		v.HTTPStatus = rec.Response.Status
	}
	if rec.Status == onceward.StatusStarted {
		v.LeaseUntil = rec.LeaseUntil
	}
	if rec.ExpiresAt.Before(onceward.Never) {
		v.ExpiresAt = rec.ExpiresAt
	}
	return v
}

// Redact keeps enough of a key to recognise it, and too little to use it.
func Redact(key string) string {
	const shown = 8
	n := min(len(key)/2, shown)
	for n > 0 && !utf8.RuneStart(key[n]) {
		n--
	}
	return key[:n] + "…"
}

// OperationView is a record with what its attempts have left.
type OperationView struct {
	KeyView

	Checkpoints []CheckpointView `json:"checkpoints"`
	// Attempts are the transactions of a contract call.
	Attempts []AttemptView `json:"attempts,omitempty"`
	// Header, BodyBytes and Body are those of the recorded answer.
	Header     map[string][]string `json:"header,omitempty"`
	BodyBytes  int                 `json:"body_bytes,omitzero"`
	Tombstone  bool                `json:"tombstone,omitzero"`
	Body       string              `json:"body,omitempty"`
	BodyBase64 string              `json:"body_base64,omitempty"`
}

// CheckpointView is a checkpoint without its data.
type CheckpointView struct {
	Name  string    `json:"name"`
	At    time.Time `json:"at"`
	Bytes int       `json:"bytes"`
}

// AttemptView is one transaction.
type AttemptView struct {
	Attempt   int    `json:"attempt"`
	TxHash    string `json:"tx_hash"`
	Channel   string `json:"channel"`
	Sequence  int64  `json:"sequence"`
	MaxLedger uint32 `json:"max_ledger"`
	// Outcome is "open", or the proof that it can never be applied, or what
	// the chain says it did.
	Outcome string `json:"outcome"`
}

// Operation shows a record in full; the answer's body only when asked to.
func Operation(rec *onceward.Record, wholeKey, body bool) OperationView {
	v := OperationView{KeyView: Key(rec, wholeKey), Checkpoints: []CheckpointView{}}
	for _, c := range rec.Checkpoints {
		v.Checkpoints = append(v.Checkpoints, CheckpointView{Name: c.Name, At: c.At.UTC(), Bytes: len(c.Data)})
	}
	v.Attempts = attempts(rec)
	if r := rec.Response; r != nil {
		v.Header, v.BodyBytes, v.Tombstone = maps.Clone(r.Header), len(r.Body), r.Tombstone
		switch {
		case !body:
		case utf8.Valid(r.Body):
			v.Body = string(r.Body)
		default:
			v.BodyBase64 = base64.StdEncoding.EncodeToString(r.Body)
		}
	}
	return v
}

// attempts reads the trail of a contract call; other operations have none.
func attempts(rec *onceward.Record) (out []AttemptView) {
	trail, err := soroban.ReadTrail(*rec)
	if err != nil {
		return nil // the checkpoints are of another kind
	}
	for _, a := range trail.Attempts {
		outcome := "open"
		if p, dead := trail.Proofs[a.Number]; dead {
			outcome = string(p.Kind)
		}
		if trail.Result != nil && trail.Result.TxHash == a.Hash {
			outcome = string(trail.Result.Status)
		}
		out = append(out, AttemptView{
			Attempt: a.Number, TxHash: a.Hash, Channel: a.Channel, Sequence: a.Sequence, MaxLedger: a.MaxLedger, Outcome: outcome,
		})
	}
	return out
}

// HeaderNames lists the names of a header, sorted.
func HeaderNames(h map[string][]string) string {
	return strings.Join(slices.Sorted(maps.Keys(h)), ", ")
}
