package soroban_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stellar/go-stellar-sdk/network"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
)

// spy holds every send against the stores. Invariants 2, 3, 4, 8 and 10.
func (w *world) spy(params json.RawMessage) {
	var req protocol.SendTransactionRequest
	var env xdr.TransactionEnvelope
	if err := errors.Join(json.Unmarshal(params, &req), xdr.SafeUnmarshalBase64(req.Transaction, &env)); err != nil {
		w.Error(err)
		return
	}
	raw, _ := env.MarshalBinary()
	inner := env
	if env.FeeBump != nil {
		inner = xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: env.FeeBump.Tx.InnerTx.V1}
	}
	h, _ := network.HashTransactionInEnvelope(inner, w.chain.Passphrase())
	hash := hex.EncodeToString(h[:])
	source := inner.SourceAccount().ToAccountId()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sendCount++
	stored := false
	for _, s := range w.stores {
		stored = stored || w.storedIn(s, raw, hash, source.Address())
	}
	if !stored {
		w.Errorf("invariant 2: %s was sent and is not stored", hash)
	}
	bounds := inner.V1.Tx.Cond.V2.LedgerBounds
	w.sent[hash] = sentTx{int64(inner.V1.Tx.SeqNum), uint32(bounds.MaxLedger)}
	w.envelopes[hash] = append(w.envelopes[hash], raw)
	slot := fmt.Sprint(source.Address(), inner.V1.Tx.SeqNum)
	if w.slots[slot] == nil {
		w.slots[slot] = map[string]bool{}
	}
	for other := range w.slots[slot] {
		if other != hash && w.sent[other].max > w.chain.LatestLedger()+1 && len(w.stores) == 1 {
			w.Errorf("invariant 3 and 8: %s and %s live on %s", other, hash, slot)
		}
	}
	w.slots[slot][hash] = true
}

// sends is how many times an envelope was sent so far.
func (w *world) sends() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sendCount
}

// envelopesOf returns what was sent for the transaction of that hash.
func (w *world) envelopesOf(hash string) [][]byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.envelopes[hash])
}

// sequences counts the sequence numbers that were sent for.
func (w *world) sequences() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.slots)
}

// storedIn reports whether a store holds the envelope as the latest attempt of
// a record, all earlier ones proven dead, and the channel's record names it.
func (w *world) storedIn(s *memstore.Store, raw []byte, hash, channel string) bool {
	page, err := s.List(w.Context(), onceward.ListRequest{Now: time.Now(), Limit: 1000})
	if err != nil {
		w.Error(err)
	}
	attempt, named := false, false
	for _, listed := range page.Records {
		rec, err := s.Get(w.Context(), onceward.GetRequest{Key: listed.Key, Now: time.Now()})
		if err != nil {
			continue
		}
		if rec.Key.Value == channel {
			for _, c := range rec.Checkpoints {
				var last struct {
					Sequence int64 `json:"sequence"`
				}
				if err := json.Unmarshal(c.Data, &last); err != nil {
					w.Error(err)
				}
				named = last.Sequence > 0
			}
			continue
		}
		t, err := soroban.ReadTrail(rec)
		if err != nil {
			w.Error("invariant 4:", err)
		}
		for _, a := range t.Attempts {
			attempt = attempt || a.Hash == hash && bytes.Equal(a.Envelope, raw)
			for _, b := range a.Bumps {
				attempt = attempt || a.Hash == hash && bytes.Equal(b.Envelope, raw)
			}
		}
	}
	return attempt && named
}

// mortalStore is the store as one process reaches it.
type mortalStore struct {
	*memstore.Store
	p *process
}

func (m *mortalStore) do(name string, run func() error) error {
	return m.p.leave("store "+name, func() error {
		if m.p.storeFn != nil {
			if err := m.p.storeFn(name); err != nil {
				return err
			}
		}
		return run()
	})
}

func (m *mortalStore) Claim(ctx context.Context, req onceward.ClaimRequest) (res onceward.ClaimResult, err error) {
	err = m.do("claim", func() (err error) { res, err = m.Store.Claim(ctx, req); return err })
	return res, err
}

func (m *mortalStore) Renew(ctx context.Context, req onceward.RenewRequest) error {
	return m.do("renew", func() error { return m.Store.Renew(ctx, req) })
}

func (m *mortalStore) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	name := req.Checkpoints[len(req.Checkpoints)-1].Name
	return m.do("checkpoint "+name, func() error { return m.Store.Checkpoint(ctx, req) })
}

func (m *mortalStore) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	return m.do("complete", func() error { return m.Store.Complete(ctx, req) })
}

func (m *mortalStore) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	return m.do("release", func() error { return m.Store.Release(ctx, req) })
}

func (m *mortalStore) Get(ctx context.Context, req onceward.GetRequest) (res onceward.Record, err error) {
	err = m.do("get", func() (err error) { res, err = m.Store.Get(ctx, req); return err })
	return res, err
}

// swapped multiplies the amount of the mint that a simulation asks about.
func swapped(body []byte) []byte {
	var call struct {
		Version string            `json:"jsonrpc"`
		ID      int               `json:"id"`
		Method  string            `json:"method"`
		Params  map[string]string `json:"params"`
	}
	var env xdr.TransactionEnvelope
	if err := errors.Join(json.Unmarshal(body, &call), xdr.SafeUnmarshalBase64(call.Params["transaction"], &env)); err != nil {
		return body
	}
	env.V1.Tx.Operations[0].Body.InvokeHostFunctionOp.HostFunction.InvokeContract.Args[1] = i128(1000 * amount)
	call.Params["transaction"], _ = xdr.MarshalBase64(env)
	out, _ := json.Marshal(call)
	return out
}
