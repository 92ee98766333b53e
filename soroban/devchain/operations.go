package devchain

import (
	"errors"
	"math"
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

var (
	errMissingSource = errors.New("the source account vanished between validation and application")
	errNoWasm        = &host.Error{
		Type: xdr.ScErrorTypeSceWasmVm, Code: xdr.ScErrorCodeScecInvalidAction,
		Message: "the development chain runs contracts written in Go: it cannot upload or create others",
	}
)

// diagnosticEvents tells a client why an invocation failed.
func diagnosticEvents(err error) []xdr.DiagnosticEvent {
	if e, ok := errors.AsType[*host.Error](err); ok {
		return []xdr.DiagnosticEvent{e.Event()}
	}
	return nil
}

func (t *txRun) createAccount(l *state.Layer, from xdr.AccountId, op xdr.CreateAccountOp) xdr.OperationResult {
	source := account(l, from)
	switch {
	case source == nil:
		return opError(xdr.OperationResultCodeOpNoAccount)
	case account(l, op.Destination) != nil:
		return createAccountResult(xdr.CreateAccountResultCodeCreateAccountAlreadyExist)
	case op.StartingBalance < 2*baseReserve:
		return createAccountResult(xdr.CreateAccountResultCodeCreateAccountLowReserve)
	case spendable(source) < int64(op.StartingBalance):
		return createAccountResult(xdr.CreateAccountResultCodeCreateAccountUnderfunded)
	}
	payer := *source
	payer.Balance -= op.StartingBalance
	putAccount(l, payer)
	putAccount(l, newAccount(op.Destination, op.StartingBalance, t.ledger))
	return createAccountResult(xdr.CreateAccountResultCodeCreateAccountSuccess)
}

// newAccount starts with its sequence at the ledger's first, so that envelopes of an earlier life cannot return.
func newAccount(id xdr.AccountId, balance xdr.Int64, ledger uint32) xdr.AccountEntry {
	return xdr.AccountEntry{
		AccountId: id, Balance: balance, SeqNum: xdr.SequenceNumber(int64(ledger) << 32),
		Thresholds: xdr.Thresholds{1, 0, 0, 0}, Signers: []xdr.Signer{},
	}
}

func (t *txRun) payment(l *state.Layer, from xdr.AccountId, op xdr.PaymentOp) xdr.OperationResult {
	to := op.Destination.ToAccountId()
	source := account(l, from)
	if source == nil {
		return opError(xdr.OperationResultCodeOpNoAccount)
	}
	if account(l, to) == nil {
		return paymentResult(xdr.PaymentResultCodePaymentNoDestination)
	}
	if spendable(source) < int64(op.Amount) {
		return paymentResult(xdr.PaymentResultCodePaymentUnderfunded)
	}
	payer := *source
	payer.Balance -= op.Amount
	putAccount(l, payer)
	payee := *account(l, to) // read after the payment left: payer and payee may be one
	if payee.Balance > math.MaxInt64-op.Amount {
		return paymentResult(xdr.PaymentResultCodePaymentLineFull)
	}
	payee.Balance += op.Amount
	putAccount(l, payee)
	return paymentResult(xdr.PaymentResultCodePaymentSuccess)
}

// setTTL makes the entry under k live until the given ledger.
func setTTL(l *state.Layer, k state.Key, until uint32) {
	ttl := k.TTL()
	key, err := ttl.LedgerKey()
	if err != nil { // TTL built it
		return
	}
	l.Put(ttl, xdr.LedgerEntryData{Type: xdr.LedgerEntryTypeTtl, Ttl: &xdr.TtlEntry{
		KeyHash: key.Ttl.KeyHash, LiveUntilLedgerSeq: xdr.Uint32(until),
	}})
}

// extendFootprint lengthens the lives of the read-only entries that are alive.
func extendFootprint(l *state.Layer, ledger uint32, d *xdr.SorobanTransactionData, extendTo uint32) xdr.OperationResult {
	if len(d.Resources.Footprint.ReadWrite) > 0 {
		return extendResult(xdr.ExtendFootprintTtlResultCodeExtendFootprintTtlMalformed)
	}
	for _, key := range d.Resources.Footprint.ReadOnly {
		k, err := state.KeyOf(key)
		if err != nil {
			return extendResult(xdr.ExtendFootprintTtlResultCodeExtendFootprintTtlMalformed)
		}
		e := l.Get(k)
		if e == nil || state.LiveUntil(l, k) == 0 || !host.Live(l, k, e, ledger) {
			continue
		}
		if until := ledger + extendTo; until > state.LiveUntil(l, k) {
			setTTL(l, k, until)
		}
	}
	return extendResult(xdr.ExtendFootprintTtlResultCodeExtendFootprintTtlSuccess)
}

// restoreFootprint brings the archived read-write entries back.
func (c *Chain) restoreFootprint(l *state.Layer, ledger uint32, d *xdr.SorobanTransactionData) xdr.OperationResult {
	fp := d.Resources.Footprint
	if len(fp.ReadOnly) > 0 || slices.ContainsFunc(fp.ReadWrite, func(k xdr.LedgerKey) bool { return !isPersistent(k) }) {
		return restoreResult(xdr.RestoreFootprintResultCodeRestoreFootprintMalformed)
	}
	for _, key := range fp.ReadWrite {
		if k, err := state.KeyOf(key); err == nil {
			c.restoreEntry(l, ledger, k)
		}
	}
	return restoreResult(xdr.RestoreFootprintResultCodeRestoreFootprintSuccess)
}

func (c *Chain) restoreEntry(l *state.Layer, ledger uint32, k state.Key) {
	if e := l.Get(k); e != nil && !host.Live(l, k, e, ledger) {
		setTTL(l, k, ledger+c.cfg.PersistentTTL-1)
	}
}

// restoreDeclared restores the entries that the transaction asks for; false if it touches another archived one.
func (c *Chain) restoreDeclared(l *state.Layer, ledger uint32, d *xdr.SorobanTransactionData) bool {
	fp := d.Resources.Footprint
	for _, i := range archivedIndexes(d) {
		if k, err := state.KeyOf(fp.ReadWrite[i]); err == nil {
			c.restoreEntry(l, ledger, k)
		}
	}
	return !slices.ContainsFunc(slices.Concat(fp.ReadOnly, fp.ReadWrite), func(key xdr.LedgerKey) bool {
		k, err := state.KeyOf(key)
		if err != nil || !isPersistent(key) {
			return false
		}
		e := l.Get(k)
		return e != nil && !host.Live(l, k, e, ledger)
	})
}
