package devchain

import (
	"github.com/stellar/go-stellar-sdk/xdr"
)

// result builds the transaction's result: code belongs to the transaction that runs, so a fee bump wraps it.
func (f *frame) result(code xdr.TransactionResultCode, fee int64, ops []xdr.OperationResult) xdr.TransactionResult {
	if f.feeBump == nil {
		return xdr.TransactionResult{
			FeeCharged: xdr.Int64(fee), Result: xdr.TransactionResultResult{Code: code, Results: opResults(code, ops)},
		}
	}
	outer := xdr.TransactionResultCodeTxFeeBumpInnerFailed
	if code == xdr.TransactionResultCodeTxSuccess {
		outer = xdr.TransactionResultCodeTxFeeBumpInnerSuccess
	}
	return xdr.TransactionResult{FeeCharged: xdr.Int64(fee), Result: xdr.TransactionResultResult{
		Code: outer,
		InnerResultPair: &xdr.InnerTransactionResultPair{
			TransactionHash: f.inner,
			Result: xdr.InnerTransactionResult{
				Result: xdr.InnerTransactionResultResult{Code: code, Results: opResults(code, ops)},
			},
		},
	}}
}

// outerResult is the result when the envelope itself is at fault, not the transaction inside it.
func outerResult(code xdr.TransactionResultCode, fee int64) xdr.TransactionResult {
	return xdr.TransactionResult{FeeCharged: xdr.Int64(fee), Result: xdr.TransactionResultResult{Code: code}}
}

// opResults gives the arm that only these two codes have.
func opResults(code xdr.TransactionResultCode, ops []xdr.OperationResult) *[]xdr.OperationResult {
	if code != xdr.TransactionResultCodeTxSuccess && code != xdr.TransactionResultCodeTxFailed {
		return nil
	}
	return &ops
}

func opError(code xdr.OperationResultCode) xdr.OperationResult {
	return xdr.OperationResult{Code: code}
}

func opInner(tr xdr.OperationResultTr) xdr.OperationResult {
	return xdr.OperationResult{Code: xdr.OperationResultCodeOpInner, Tr: &tr}
}

func createAccountResult(code xdr.CreateAccountResultCode) xdr.OperationResult {
	return opInner(xdr.OperationResultTr{
		Type: xdr.OperationTypeCreateAccount, CreateAccountResult: &xdr.CreateAccountResult{Code: code},
	})
}

func paymentResult(code xdr.PaymentResultCode) xdr.OperationResult {
	return opInner(xdr.OperationResultTr{
		Type: xdr.OperationTypePayment, PaymentResult: &xdr.PaymentResult{Code: code},
	})
}

func invokeResult(code xdr.InvokeHostFunctionResultCode, success *xdr.Hash) xdr.OperationResult {
	return opInner(xdr.OperationResultTr{
		Type:                     xdr.OperationTypeInvokeHostFunction,
		InvokeHostFunctionResult: &xdr.InvokeHostFunctionResult{Code: code, Success: success},
	})
}

func extendResult(code xdr.ExtendFootprintTtlResultCode) xdr.OperationResult {
	return opInner(xdr.OperationResultTr{
		Type:                     xdr.OperationTypeExtendFootprintTtl,
		ExtendFootprintTtlResult: &xdr.ExtendFootprintTtlResult{Code: code},
	})
}

func restoreResult(code xdr.RestoreFootprintResultCode) xdr.OperationResult {
	return opInner(xdr.OperationResultTr{
		Type:                   xdr.OperationTypeRestoreFootprint,
		RestoreFootprintResult: &xdr.RestoreFootprintResult{Code: code},
	})
}
