package devchain

import (
	"math"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// moment is when a transaction is judged: the ledger it would be in, and the earliest and latest time that ledger may
// close at (equal once the ledger is closing).
type moment struct {
	ledger   uint32
	earliest uint64
	latest   uint64
}

// rejection is the result that a transaction is refused with.
type rejection = *xdr.TransactionResult

// validate judges an envelope in stellar-core's order: the fee bump's own terms, then the transaction's form, its
// bounds in time, fee, account, sequence, signatures, balance, and last its operations. nil means it may be applied.
func validate(r state.Reader, f *frame, at moment) rejection {
	if f.feeBump != nil {
		if res := validateFeeBump(r, f); res != nil {
			return res
		}
	}
	reject := func(code xdr.TransactionResultCode) rejection {
		res := f.result(code, f.charge(), nil)
		return &res
	}
	if code := formError(f); code != xdr.TransactionResultCodeTxSuccess {
		return reject(code)
	}
	if code := boundsError(f, at); code != xdr.TransactionResultCodeTxSuccess {
		return reject(code)
	}
	if f.feeBump == nil && f.inclusionFee() < baseFee*f.feeOps() {
		return reject(xdr.TransactionResultCodeTxInsufficientFee)
	}
	source := account(r, f.source())
	if source == nil {
		return reject(xdr.TransactionResultCodeTxNoAccount)
	}
	if badSequence(f, int64(source.SeqNum)) {
		return reject(xdr.TransactionResultCodeTxBadSeq)
	}
	if tooEarlyForAccount(f, source, at) {
		return reject(xdr.TransactionResultCodeTxBadMinSeqAgeOrGap)
	}
	sigs := newSignatureCheck(f.inner, f.sigs)
	if !sigs.account(source, xdr.ThresholdIndexesThresholdLow) || !sigs.extra(f.preconditions().ExtraSigners) {
		return reject(xdr.TransactionResultCodeTxBadAuth)
	}
	if f.feeBump == nil && spendable(source) < f.fullFee() {
		return reject(xdr.TransactionResultCodeTxInsufficientBalance)
	}
	if ops := operationErrors(r, f, sigs); ops != nil {
		res := f.result(xdr.TransactionResultCodeTxFailed, f.charge(), ops)
		return &res
	}
	if !sigs.allUsed() {
		return reject(xdr.TransactionResultCodeTxBadAuthExtra)
	}
	return nil
}

func validateFeeBump(r state.Reader, f *frame) rejection {
	reject := func(code xdr.TransactionResultCode, fee int64) rejection {
		res := outerResult(code, fee)
		return &res
	}
	least := baseFee * f.feeOps()
	if f.inclusionFee() < least {
		return reject(xdr.TransactionResultCodeTxInsufficientFee, least+f.resourceFee())
	}
	innerOps := max(1, int64(len(f.tx.Operations)))
	if inner := f.innerInclusionFee(); inner >= 0 && compareProducts(f.inclusionFee(), innerOps, inner, f.feeOps()) < 0 {
		needed := (inner*f.feeOps() + innerOps - 1) / innerOps
		return reject(xdr.TransactionResultCodeTxInsufficientFee, needed)
	}
	payer := account(r, f.feeSource())
	if payer == nil {
		return reject(xdr.TransactionResultCodeTxNoAccount, f.charge())
	}
	sigs := newSignatureCheck(f.hash, f.feeBump.Signatures)
	if !sigs.account(payer, xdr.ThresholdIndexesThresholdLow) {
		return reject(xdr.TransactionResultCodeTxBadAuth, f.charge())
	}
	if spendable(payer) < f.fullFee() {
		return reject(xdr.TransactionResultCodeTxInsufficientBalance, f.charge())
	}
	if !sigs.allUsed() {
		return reject(xdr.TransactionResultCodeTxBadAuthExtra, f.charge())
	}
	return nil
}

// formError finds what is wrong with a transaction whatever the ledger says.
func formError(f *frame) xdr.TransactionResultCode {
	extra := f.preconditions().ExtraSigners
	if len(extra) == 2 && extra[0].Equals(extra[1]) {
		return xdr.TransactionResultCodeTxMalformed
	}
	ops := f.tx.Operations
	if len(ops) == 0 {
		return xdr.TransactionResultCodeTxMissingOperation
	}
	sorobanOps := 0
	for _, op := range ops {
		if isSorobanOp(op.Body.Type) {
			sorobanOps++
		}
	}
	switch {
	case sorobanOps > 0 && (len(ops) != 1 || f.soroban() == nil):
		return xdr.TransactionResultCodeTxMalformed
	case sorobanOps == 0 && f.tx.Ext.V != 0:
		return xdr.TransactionResultCodeTxMalformed
	case sorobanOps > 0 && !validResources(f):
		return xdr.TransactionResultCodeTxSorobanInvalid
	}
	return xdr.TransactionResultCodeTxSuccess
}

// boundsError compares the transaction's bounds with the moment. maxLedger is exclusive.
func boundsError(f *frame, at moment) xdr.TransactionResultCode {
	t, l := f.timeBounds(), f.preconditions().LedgerBounds
	switch {
	case t != nil && uint64(t.MinTime) > at.earliest, l != nil && uint32(l.MinLedger) > at.ledger:
		return xdr.TransactionResultCodeTxTooEarly
	case t != nil && t.MaxTime != 0 && uint64(t.MaxTime) < at.latest,
		l != nil && l.MaxLedger != 0 && uint32(l.MaxLedger) <= at.ledger:
		return xdr.TransactionResultCodeTxTooLate
	}
	return xdr.TransactionResultCodeTxSuccess
}

func badSequence(f *frame, current int64) bool {
	if low := f.preconditions().MinSeqNum; low != nil {
		return current < int64(*low) || current >= f.seq()
	}
	return current == math.MaxInt64 || current+1 != f.seq()
}

func tooEarlyForAccount(f *frame, a *xdr.AccountEntry, at moment) bool {
	pre := f.preconditions()
	seqLedger, seqTime := seqInfo(a)
	age, gap := uint64(pre.MinSeqAge), uint32(pre.MinSeqLedgerGap)
	return age > at.earliest || at.earliest-age < seqTime || gap > at.ledger || at.ledger-gap < seqLedger
}

// operationErrors checks the operations' form and signatures; nil if all are fine.
func operationErrors(r state.Reader, f *frame, sigs *signatureCheck) []xdr.OperationResult {
	for i, op := range f.tx.Operations {
		bad := operationFormError(op)
		if bad == nil {
			source := account(r, f.opSource(i))
			switch {
			case source == nil && (op.SourceAccount == nil || !sigs.missing(f.opSource(i))):
				bad = new(opError(xdr.OperationResultCodeOpBadAuth))
			case source == nil:
				bad = new(opError(xdr.OperationResultCodeOpNoAccount))
			case !sigs.account(source, xdr.ThresholdIndexesThresholdMed):
				bad = new(opError(xdr.OperationResultCodeOpBadAuth))
			}
		}
		if bad != nil {
			ops := make([]xdr.OperationResult, len(f.tx.Operations))
			for n := range ops {
				ops[n] = emptyResult(f.tx.Operations[n])
			}
			ops[i] = *bad
			return ops
		}
	}
	return nil
}

// emptyResult stands for an operation that was not judged because another one failed the transaction.
func emptyResult(op xdr.Operation) xdr.OperationResult {
	switch op.Body.Type {
	case xdr.OperationTypeCreateAccount:
		return createAccountResult(xdr.CreateAccountResultCodeCreateAccountSuccess)
	case xdr.OperationTypePayment:
		return paymentResult(xdr.PaymentResultCodePaymentSuccess)
	default:
		return opError(xdr.OperationResultCodeOpNotSupported)
	}
}
