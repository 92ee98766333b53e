package devchain

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math/bits"

	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

const (
	baseFee     = 100       // stroops per operation
	baseReserve = 5_000_000 // stroops per entry an account owns, and two for the account itself
)

// frame is an envelope with what the queue and the ledger ask about it.
type frame struct {
	env     xdr.TransactionEnvelope
	hash    xdr.Hash // of the envelope as sent
	inner   xdr.Hash // of the transaction that runs; equals hash unless this is a fee bump
	tx      *xdr.Transaction
	sigs    []xdr.DecoratedSignature // over inner
	feeBump *xdr.FeeBumpTransactionEnvelope
}

var errUnsupportedEnvelope = errors.New("only v1 transactions and fee bumps of them are supported")

func decodeFrame(b64, passphrase string) (*frame, error) {
	var env xdr.TransactionEnvelope
	if err := decodeXDR(b64, &env); err != nil {
		return nil, err
	}
	return newFrame(env, passphrase)
}

func newFrame(env xdr.TransactionEnvelope, passphrase string) (*frame, error) {
	f := &frame{env: env}
	inner := env
	switch env.Type {
	case xdr.EnvelopeTypeEnvelopeTypeTx:
		f.tx, f.sigs = &env.V1.Tx, env.V1.Signatures
	case xdr.EnvelopeTypeEnvelopeTypeTxFeeBump:
		f.feeBump = env.FeeBump
		v1 := env.FeeBump.Tx.InnerTx.V1
		if v1 == nil {
			return nil, errUnsupportedEnvelope
		}
		f.tx, f.sigs = &v1.Tx, v1.Signatures
		inner = xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: v1}
	default:
		return nil, errUnsupportedEnvelope
	}
	var err error
	if f.hash, err = network.HashTransactionInEnvelope(env, passphrase); err != nil {
		return nil, fmt.Errorf("hashing envelope: %w", err)
	}
	if f.inner, err = network.HashTransactionInEnvelope(inner, passphrase); err != nil {
		return nil, fmt.Errorf("hashing inner transaction: %w", err)
	}
	return f, nil
}

func (f *frame) source() xdr.AccountId { return f.tx.SourceAccount.ToAccountId() }

func (f *frame) feeSource() xdr.AccountId {
	if f.feeBump != nil {
		return f.feeBump.Tx.FeeSource.ToAccountId()
	}
	return f.source()
}

func (f *frame) seq() int64 { return int64(f.tx.SeqNum) }

// opSource is the account that operation i acts for.
func (f *frame) opSource(i int) xdr.AccountId {
	if m := f.tx.Operations[i].SourceAccount; m != nil {
		return m.ToAccountId()
	}
	return f.source()
}

func isSorobanOp(t xdr.OperationType) bool {
	return t == xdr.OperationTypeInvokeHostFunction || t == xdr.OperationTypeExtendFootprintTtl ||
		t == xdr.OperationTypeRestoreFootprint
}

func (f *frame) isSoroban() bool {
	return len(f.tx.Operations) > 0 && isSorobanOp(f.tx.Operations[0].Body.Type)
}

// soroban is the transaction's resource declaration, nil if it has none.
func (f *frame) soroban() *xdr.SorobanTransactionData { return f.tx.Ext.SorobanData }

func (f *frame) resourceFee() int64 {
	if d := f.soroban(); d != nil && f.isSoroban() {
		return int64(d.ResourceFee)
	}
	return 0
}

// fullFee is the most that the envelope may cost; inclusionFee is what of it bids for a place in the ledger.
func (f *frame) fullFee() int64 {
	if f.feeBump != nil {
		return int64(f.feeBump.Tx.Fee)
	}
	return int64(f.tx.Fee)
}

func (f *frame) inclusionFee() int64 { return f.fullFee() - f.resourceFee() }

func (f *frame) innerInclusionFee() int64 { return int64(f.tx.Fee) - f.resourceFee() }

// feeOps is the number of operations that the fee is counted for; a fee bump counts as one more.
func (f *frame) feeOps() int64 {
	n := int64(len(f.tx.Operations))
	if f.feeBump != nil {
		n++
	}
	return max(1, n)
}

// charge is what the ledger takes: the base fee for every operation and the declared resource fee.
func (f *frame) charge() int64 { return min(f.fullFee(), baseFee*f.feeOps()+f.resourceFee()) }

// cheaperThan compares bids per operation; equal bids are in the order of their hashes.
func (f *frame) cheaperThan(g *frame) bool {
	return cmp.Or(compareProducts(f.inclusionFee(), g.feeOps(), g.inclusionFee(), f.feeOps()),
		bytes.Compare(f.hash[:], g.hash[:])) < 0
}

// compareProducts compares a·b with c·d, none of them negative, without overflow: a fee may be any int64.
func compareProducts(a, b, c, d int64) int {
	hi1, lo1 := bits.Mul64(uint64(max(0, a)), uint64(b)) //nolint:gosec // not negative
	hi2, lo2 := bits.Mul64(uint64(max(0, c)), uint64(d)) //nolint:gosec // not negative
	return cmp.Or(cmp.Compare(hi1, hi2), cmp.Compare(lo1, lo2))
}

func (f *frame) timeBounds() *xdr.TimeBounds {
	switch f.tx.Cond.Type {
	case xdr.PreconditionTypePrecondTime:
		return f.tx.Cond.TimeBounds
	case xdr.PreconditionTypePrecondV2:
		return f.tx.Cond.V2.TimeBounds
	default:
		return nil
	}
}

// preconditions are the extended ones, zero if the transaction has none.
func (f *frame) preconditions() xdr.PreconditionsV2 {
	if f.tx.Cond.Type == xdr.PreconditionTypePrecondV2 {
		return *f.tx.Cond.V2
	}
	return xdr.PreconditionsV2{}
}

// lastLedger is the last ledger that may include the transaction, 0 if it has no such bound.
func (f *frame) lastLedger() uint32 {
	if b := f.preconditions().LedgerBounds; b != nil && b.MaxLedger > 0 {
		return uint32(b.MaxLedger) - 1
	}
	return 0
}

// account reads an account entry; nil if there is none.
func account(r state.Reader, id xdr.AccountId) *xdr.AccountEntry {
	e := r.Get(state.Account(id))
	if e == nil {
		return nil
	}
	return e.Data.Account
}

// spendable is what the account can pay without falling under its reserve.
func spendable(a *xdr.AccountEntry) int64 {
	return int64(a.Balance) - (2+int64(a.NumSubEntries))*baseReserve
}

// seqInfo is the ledger and time at which the account's sequence took its value.
func seqInfo(a *xdr.AccountEntry) (uint32, uint64) {
	if a.Ext.V1 == nil || a.Ext.V1.Ext.V2 == nil || a.Ext.V1.Ext.V2.Ext.V3 == nil {
		return 0, 0
	}
	v3 := a.Ext.V1.Ext.V2.Ext.V3
	return uint32(v3.SeqLedger), uint64(v3.SeqTime)
}

// putAccount stores a changed copy of an account.
func putAccount(l *state.Layer, a xdr.AccountEntry) {
	l.Put(state.Account(a.AccountId), xdr.LedgerEntryData{Type: xdr.LedgerEntryTypeAccount, Account: &a})
}

// withSequence is a with its sequence set in the given ledger.
func withSequence(a xdr.AccountEntry, seq int64, ledger uint32, closeTime uint64) xdr.AccountEntry {
	a.SeqNum = xdr.SequenceNumber(seq)
	a.Ext = xdr.AccountEntryExt{V: 1, V1: &xdr.AccountEntryExtensionV1{
		Ext: xdr.AccountEntryExtensionV1Ext{V: 2, V2: &xdr.AccountEntryExtensionV2{
			Ext: xdr.AccountEntryExtensionV2Ext{V: 3, V3: &xdr.AccountEntryExtensionV3{
				SeqLedger: xdr.Uint32(ledger), SeqTime: xdr.TimePoint(closeTime),
			}},
		}},
	}}
	return a
}
