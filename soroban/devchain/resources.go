package devchain

import (
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// Limits of one contract transaction, and the flat tariff by which its minimal resource fee is computed from what it
// declares. Nothing is measured: a simulation declares flatInstructions whatever the contract does.
const (
	maxFootprint     = 400
	maxWrites        = 200
	maxInstructions  = 400_000_000
	maxResourceFee   = int64(1) << 50
	flatInstructions = 2_000_000

	feePer10kInstructions = 25
	feePerEntry           = 6_250
	feePerWrite           = 10_000
	feePerWrittenKiB      = 3_500
)

// minResourceFee is the least resource fee that the ledger accepts for the declared resources, in stroops.
func minResourceFee(r xdr.SorobanResources) int64 {
	entries := int64(len(r.Footprint.ReadOnly) + len(r.Footprint.ReadWrite))
	return int64(r.Instructions)*feePer10kInstructions/10_000 + entries*feePerEntry +
		int64(len(r.Footprint.ReadWrite))*feePerWrite + (int64(r.WriteBytes)+1023)/1024*feePerWrittenKiB
}

// validResources checks a contract transaction's declaration.
func validResources(f *frame) bool {
	d := f.soroban()
	fp := d.Resources.Footprint
	switch {
	case f.tx.Memo.Type != xdr.MemoTypeMemoNone || f.tx.SourceAccount.Type != xdr.CryptoKeyTypeKeyTypeEd25519:
		return false
	case f.feeBump == nil && int64(d.ResourceFee) > f.fullFee():
		return false
	case d.ResourceFee < 0 || int64(d.ResourceFee) > maxResourceFee || int64(d.ResourceFee) < minResourceFee(d.Resources):
		return false
	case d.Resources.Instructions > maxInstructions:
		return false
	case len(fp.ReadOnly)+len(fp.ReadWrite) > maxFootprint || len(fp.ReadWrite) > maxWrites:
		return false
	}
	seen := map[state.Key]bool{}
	for _, key := range slices.Concat(fp.ReadOnly, fp.ReadWrite) {
		k, err := state.KeyOf(key)
		if err != nil || seen[k] || !slices.Contains(footprintTypes, key.Type) {
			return false
		}
		seen[k] = true
	}
	return validArchived(d)
}

var footprintTypes = []xdr.LedgerEntryType{
	xdr.LedgerEntryTypeAccount, xdr.LedgerEntryTypeTrustline,
	xdr.LedgerEntryTypeContractData, xdr.LedgerEntryTypeContractCode,
}

// archivedIndexes lists the read-write entries that the transaction asks to restore before it runs.
func archivedIndexes(d *xdr.SorobanTransactionData) []xdr.Uint32 {
	if d.Ext.ResourceExt == nil {
		return nil
	}
	return d.Ext.ResourceExt.ArchivedSorobanEntries
}

func validArchived(d *xdr.SorobanTransactionData) bool {
	last := int64(-1)
	for _, i := range archivedIndexes(d) {
		if int64(i) <= last || int(i) >= len(d.Resources.Footprint.ReadWrite) {
			return false
		}
		if !isPersistent(d.Resources.Footprint.ReadWrite[i]) {
			return false
		}
		last = int64(i)
	}
	return true
}

func isPersistent(k xdr.LedgerKey) bool {
	return k.Type == xdr.LedgerEntryTypeContractCode ||
		k.Type == xdr.LedgerEntryTypeContractData && k.ContractData.Durability == xdr.ContractDataDurabilityPersistent
}

// operationFormError finds what is wrong with an operation by itself.
func operationFormError(op xdr.Operation) *xdr.OperationResult {
	switch op.Body.Type {
	case xdr.OperationTypeCreateAccount:
		if op.Body.CreateAccountOp.StartingBalance < 0 {
			return new(createAccountResult(xdr.CreateAccountResultCodeCreateAccountMalformed))
		}
	case xdr.OperationTypePayment:
		if op.Body.PaymentOp.Asset.Type != xdr.AssetTypeAssetTypeNative {
			return new(opError(xdr.OperationResultCodeOpNotSupported))
		}
		if op.Body.PaymentOp.Amount <= 0 {
			return new(paymentResult(xdr.PaymentResultCodePaymentMalformed))
		}
	case xdr.OperationTypeExtendFootprintTtl:
		if op.Body.ExtendFootprintTtlOp.ExtendTo > host.MaxTTL-1 {
			return new(extendResult(xdr.ExtendFootprintTtlResultCodeExtendFootprintTtlMalformed))
		}
	case xdr.OperationTypeInvokeHostFunction, xdr.OperationTypeRestoreFootprint:
	default:
		return new(opError(xdr.OperationResultCodeOpNotSupported))
	}
	return nil
}
