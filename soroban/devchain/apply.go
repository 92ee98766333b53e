package devchain

import (
	"crypto/sha256"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// applier applies transactions to one ledger.
type applier struct {
	chain     *Chain
	layer     *state.Layer // the ledger's
	ledger    uint32
	closeTime uint64
}

// applied is one transaction's outcome, as ledger metadata has it.
type applied struct {
	result xdr.TransactionResult
	meta   xdr.TransactionMetaV4
}

// takeFee charges the payer before anything runs.
func (a *applier) takeFee(f *frame) (xdr.LedgerEntryChanges, int64, error) {
	l := state.NewLayer(a.layer, a.ledger)
	payer := *account(l, f.feeSource())
	fee := min(f.charge(), int64(payer.Balance))
	payer.Balance -= xdr.Int64(fee)
	putAccount(l, payer)
	changes, err := l.Changes()
	l.Commit(a.layer)
	return changes, fee, err
}

// apply runs one transaction whose fee is paid. The sequence number is consumed even if an operation fails; what the
// operations did, nonce entries included, is kept only if all succeed.
func (a *applier) apply(f *frame, fee int64) (applied, error) {
	var out applied
	before := state.NewLayer(a.layer, a.ledger)
	source := account(before, f.source())
	if source == nil { // another transaction of this ledger cannot remove an account, there is no merge
		return out, errMissingSource
	}
	putAccount(before, withSequence(*source, f.seq(), a.ledger, a.closeTime))
	var err error
	if out.meta.TxChangesBefore, err = before.Changes(); err != nil {
		return out, err
	}
	before.Commit(a.layer)

	tx := state.NewLayer(a.layer, a.ledger)
	run := &txRun{applier: a, f: f, layer: tx}
	ok := true
	results := make([]xdr.OperationResult, 0, len(f.tx.Operations))
	metas := make([]xdr.OperationMetaV2, 0, len(f.tx.Operations))
	for i := range f.tx.Operations {
		res, meta, err := run.operation(i)
		if err != nil {
			return out, err
		}
		results, metas = append(results, res), append(metas, meta)
		ok = ok && opSucceeded(res)
	}
	out.meta.DiagnosticEvents = run.diagnostics
	if !ok {
		out.result = f.result(xdr.TransactionResultCodeTxFailed, fee, results)
		return out, nil
	}
	tx.Commit(a.layer)
	out.meta.Operations = metas
	if f.isSoroban() {
		out.meta.SorobanMeta = &xdr.SorobanTransactionMetaV2{
			Ext: xdr.SorobanTransactionMetaExt{V: 1, V1: &xdr.SorobanTransactionMetaExtV1{
				TotalNonRefundableResourceFeeCharged: xdr.Int64(f.resourceFee()),
			}},
			ReturnValue: run.returned,
		}
	}
	out.result = f.result(xdr.TransactionResultCodeTxSuccess, fee, results)
	return out, nil
}

// txRun is the state of one transaction's operations.
type txRun struct {
	*applier
	f           *frame
	layer       *state.Layer
	returned    *xdr.ScVal
	diagnostics []xdr.DiagnosticEvent
}

// operation applies one operation in a layer of its own, which is dropped if it fails.
func (t *txRun) operation(i int) (xdr.OperationResult, xdr.OperationMetaV2, error) {
	op := t.f.tx.Operations[i]
	l := state.NewLayer(t.layer, t.ledger)
	var res xdr.OperationResult
	var events []xdr.ContractEvent
	switch op.Body.Type {
	case xdr.OperationTypeCreateAccount:
		res = t.createAccount(l, t.f.opSource(i), *op.Body.CreateAccountOp)
	case xdr.OperationTypePayment:
		res = t.payment(l, t.f.opSource(i), *op.Body.PaymentOp)
	case xdr.OperationTypeInvokeHostFunction:
		res, events = t.invoke(l, t.f.opSource(i), *op.Body.InvokeHostFunctionOp)
	case xdr.OperationTypeExtendFootprintTtl:
		res = extendFootprint(l, t.ledger, t.f.soroban(), uint32(op.Body.ExtendFootprintTtlOp.ExtendTo))
	case xdr.OperationTypeRestoreFootprint:
		res = t.chain.restoreFootprint(l, t.ledger, t.f.soroban())
	default:
		res = opError(xdr.OperationResultCodeOpNotSupported)
	}
	if !opSucceeded(res) {
		return res, xdr.OperationMetaV2{}, nil
	}
	changes, err := l.Changes()
	if err != nil {
		return res, xdr.OperationMetaV2{}, err
	}
	l.Commit(t.layer)
	return res, xdr.OperationMetaV2{Changes: changes, Events: events}, nil
}

// opSucceeded reads the only success code that each supported operation has.
func opSucceeded(res xdr.OperationResult) bool {
	if res.Code != xdr.OperationResultCodeOpInner {
		return false
	}
	switch res.Tr.Type {
	case xdr.OperationTypeCreateAccount:
		return res.Tr.CreateAccountResult.Code == xdr.CreateAccountResultCodeCreateAccountSuccess
	case xdr.OperationTypePayment:
		return res.Tr.PaymentResult.Code == xdr.PaymentResultCodePaymentSuccess
	case xdr.OperationTypeInvokeHostFunction:
		return res.Tr.InvokeHostFunctionResult.Code == xdr.InvokeHostFunctionResultCodeInvokeHostFunctionSuccess
	case xdr.OperationTypeExtendFootprintTtl:
		return res.Tr.ExtendFootprintTtlResult.Code == xdr.ExtendFootprintTtlResultCodeExtendFootprintTtlSuccess
	case xdr.OperationTypeRestoreFootprint:
		return res.Tr.RestoreFootprintResult.Code == xdr.RestoreFootprintResultCodeRestoreFootprintSuccess
	default:
		return false
	}
}

// invoke calls a contract under the declared footprint with the authorizations given.
func (t *txRun) invoke(l *state.Layer, source xdr.AccountId, op xdr.InvokeHostFunctionOp,
) (xdr.OperationResult, []xdr.ContractEvent) {
	d := t.f.soroban()
	if !t.chain.restoreDeclared(l, t.ledger, d) {
		return invokeResult(xdr.InvokeHostFunctionResultCodeInvokeHostFunctionEntryArchived, nil), nil
	}
	trapped := func(err error) (xdr.OperationResult, []xdr.ContractEvent) {
		t.diagnostics = append(t.diagnostics, diagnosticEvents(err)...)
		return invokeResult(xdr.InvokeHostFunctionResultCodeInvokeHostFunctionTrapped, nil), nil
	}
	if op.HostFunction.Type != xdr.HostFunctionTypeHostFunctionTypeInvokeContract {
		return trapped(errNoWasm)
	}
	out, err := host.Invoke(l, host.Input{
		NetworkID: t.chain.networkID, Ledger: t.ledger, Source: source, Call: *op.HostFunction.InvokeContract,
		Auth: op.Auth, Footprint: &d.Resources.Footprint, PersistentTTL: t.chain.cfg.PersistentTTL,
		Contract: t.chain.contractAt(op.HostFunction.InvokeContract.ContractAddress),
	})
	if err != nil {
		return trapped(err)
	}
	events := out.Events
	if events == nil {
		events = []xdr.ContractEvent{}
	}
	raw, err := xdr.InvokeHostFunctionSuccessPreImage{ReturnValue: out.Value, Events: events}.MarshalBinary()
	if err != nil {
		return trapped(err)
	}
	t.returned = &out.Value
	return invokeResult(xdr.InvokeHostFunctionResultCodeInvokeHostFunctionSuccess, new(xdr.Hash(sha256.Sum256(raw)))), events
}
