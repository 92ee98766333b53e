package devchain

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// simulateTransaction runs a transaction's operation on the latest ledger and throws the effects away. What goes wrong
// is told inside the answer, as the real RPC does. Without authorization entries it records those that are needed;
// with them it checks them, which puts their nonces into the footprint.
func (v view) simulateTransaction(p protocol.SimulateTransactionRequest) (any, *rpcError) {
	out := protocol.SimulateTransactionResponse{}
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		out.Error = rpcErr.Message
		return out, nil
	}
	f, err := decodeFrame(p.Transaction, v.c.cfg.Passphrase)
	if err != nil {
		out.Error = "Could not unmarshal transaction"
		return out, nil
	}
	switch {
	case len(f.tx.Operations) != 1:
		out.Error = "Transaction contains more than one operation"
		return out, nil
	case f.tx.Memo.Type != xdr.MemoTypeMemoNone:
		out.Error = "Transaction contains a memo. Soroban transactions do not support memos."
		return out, nil
	}
	switch body := f.tx.Operations[0].Body; body.Type {
	case xdr.OperationTypeInvokeHostFunction:
		out = v.simulateInvoke(f, *body.InvokeHostFunctionOp, p)
	case xdr.OperationTypeExtendFootprintTtl, xdr.OperationTypeRestoreFootprint:
		out = v.simulateFootprint(f)
	default:
		out.Error = fmt.Sprintf("Transaction contains unsupported operation type: %s", body.Type)
		return out, nil
	}
	out.LatestLedger = v.latest.seq()
	return out, nil
}

func (v view) simulateInvoke(f *frame, op xdr.InvokeHostFunctionOp, p protocol.SimulateTransactionRequest,
) protocol.SimulateTransactionResponse {
	record, problem := recordsAuth(op, p.AuthMode)
	if problem != "" {
		return protocol.SimulateTransactionResponse{Error: problem}
	}
	if op.HostFunction.Type != xdr.HostFunctionTypeHostFunctionTypeInvokeContract {
		return failedSimulation(errNoWasm)
	}
	layer := state.NewLayer(v.reader, v.latest.seq())
	res, err := host.Invoke(layer, host.Input{
		NetworkID: v.c.networkID, Ledger: v.latest.seq(), Source: f.opSource(0), Call: *op.HostFunction.InvokeContract,
		Auth: op.Auth, RecordAuth: record, UpgradedAuth: p.UseUpgradedAuth, //nolint:staticcheck // clients send it
		PersistentTTL: v.c.cfg.PersistentTTL, Contract: v.c.contractAt(op.HostFunction.InvokeContract.ContractAddress),
	})
	if err != nil {
		return failedSimulation(err)
	}
	archived := res.Archived
	if v.needRestore {
		res.Archived = nil
	}
	out, err := successfulSimulation(layer, res, record, op.Auth)
	if err == nil && v.needRestore && len(archived) > 0 {
		out.RestorePreamble, err = v.restorePreamble(archived)
	}
	if err != nil {
		return failedSimulation(err)
	}
	return out
}

// recordsAuth decides between recording and checking authorization.
func recordsAuth(op xdr.InvokeHostFunctionOp, mode string) (bool, string) {
	signed := len(op.Auth) > 0
	switch mode {
	case "":
		return !signed, ""
	case protocol.AuthModeEnforce:
		return false, ""
	case protocol.AuthModeRecord, protocol.AuthModeRecordAllowNonroot:
		if signed {
			return false, fmt.Sprintf("cannot set authMode to '%s' with an auth footprint", mode)
		}
		return true, ""
	default:
		return false, "optional 'authMode' must be one of enforce,record,record_allow_nonroot when included"
	}
}

func failedSimulation(err error) protocol.SimulateTransactionResponse {
	out := protocol.SimulateTransactionResponse{Error: err.Error()}
	for _, e := range diagnosticEvents(err) {
		if encoded, rpcErr := encodeXDR(e); rpcErr == nil {
			out.EventsXDR = append(out.EventsXDR, encoded)
		}
	}
	return out
}

func successfulSimulation(layer *state.Layer, res host.Output, record bool, auth []xdr.SorobanAuthorizationEntry,
) (protocol.SimulateTransactionResponse, error) {
	var out protocol.SimulateTransactionResponse
	data, err := transactionData(layer, res.Footprint, res.Archived)
	if err != nil {
		return out, err
	}
	if record {
		auth = res.Auth
	}
	entries := make([]string, len(auth))
	for i, e := range auth {
		if entries[i], err = xdr.MarshalBase64(e); err != nil {
			return out, fmt.Errorf("encoding authorization: %w", err)
		}
	}
	value, err := xdr.MarshalBase64(res.Value)
	if err != nil {
		return out, fmt.Errorf("encoding result: %w", err)
	}
	out.Results = []protocol.SimulateHostFunctionResult{{AuthXDR: &entries, ReturnValueXDR: &value}}
	for _, e := range res.Events {
		encoded, err := xdr.MarshalBase64(xdr.DiagnosticEvent{InSuccessfulContractCall: true, Event: e})
		if err != nil {
			return out, fmt.Errorf("encoding event: %w", err)
		}
		out.EventsXDR = append(out.EventsXDR, encoded)
	}
	if out.StateChanges, err = stateChanges(layer); err != nil {
		return out, err
	}
	out.MinResourceFee = int64(data.ResourceFee)
	if out.TransactionDataXDR, err = xdr.MarshalBase64(data); err != nil {
		return out, fmt.Errorf("encoding transaction data: %w", err)
	}
	return out, nil
}

// transactionData declares what a run touched, and its price. Archived entries are to be restored by the transaction
// itself, so they are declared read-write.
func transactionData(layer *state.Layer, fp xdr.LedgerFootprint, archived []xdr.LedgerKey) (xdr.SorobanTransactionData, error) {
	var d xdr.SorobanTransactionData
	if len(archived) > 0 {
		isArchived := func(k xdr.LedgerKey) bool { return slices.ContainsFunc(archived, k.Equals) }
		var moved []xdr.LedgerKey
		for _, k := range fp.ReadOnly {
			if isArchived(k) {
				moved = append(moved, k)
			}
		}
		fp.ReadOnly = slices.DeleteFunc(fp.ReadOnly, isArchived)
		fp.ReadWrite = append(fp.ReadWrite, moved...)
		ext := &xdr.SorobanResourcesExtV0{}
		for i, k := range fp.ReadWrite {
			if isArchived(k) {
				ext.ArchivedSorobanEntries = append(ext.ArchivedSorobanEntries, xdr.Uint32(i))
			}
		}
		d.Ext = xdr.SorobanTransactionDataExt{V: 1, ResourceExt: ext}
	}
	written := 0
	for _, e := range layer.Writes() {
		if e == nil {
			continue
		}
		raw, err := e.MarshalBinary()
		if err != nil {
			return d, fmt.Errorf("measuring an entry: %w", err)
		}
		written += len(raw)
	}
	d.Resources = xdr.SorobanResources{
		Footprint: fp, Instructions: flatInstructions, WriteBytes: xdr.Uint32(written),
	}
	d.ResourceFee = xdr.Int64(minResourceFee(d.Resources))
	return d, nil
}

// stateChanges lists the entries before and after, TTL entries left out.
func stateChanges(layer *state.Layer) ([]protocol.LedgerEntryChange, error) {
	var out []protocol.LedgerEntryChange
	for _, k := range slices.Sorted(maps.Keys(layer.Writes())) {
		before, after := layer.Before(k), layer.Get(k)
		if after != nil && after.Data.Type == xdr.LedgerEntryTypeTtl {
			continue
		}
		change := protocol.LedgerEntryChange{Type: protocol.LedgerEntryChangeTypeUpdated, KeyXDR: base64s([]byte(k))}
		switch {
		case before == nil && after == nil:
			continue
		case before == nil:
			change.Type = protocol.LedgerEntryChangeTypeCreated
		case after == nil:
			change.Type = protocol.LedgerEntryChangeTypeDeleted
		}
		for _, side := range []struct {
			entry *xdr.LedgerEntry
			into  **string
		}{{before, &change.BeforeXDR}, {after, &change.AfterXDR}} {
			if side.entry == nil {
				continue
			}
			encoded, err := xdr.MarshalBase64(side.entry)
			if err != nil {
				return nil, fmt.Errorf("encoding a state change: %w", err)
			}
			*side.into = &encoded
		}
		out = append(out, change)
	}
	return out, nil
}

// restorePreamble prices the operation that restores the archived entries.
func (v view) restorePreamble(archived []xdr.LedgerKey) (*protocol.RestorePreamble, error) {
	var data xdr.SorobanTransactionData
	for _, key := range archived {
		k, err := state.KeyOf(key)
		if err != nil {
			return nil, fmt.Errorf("naming an archived entry: %w", err)
		}
		raw, err := v.reader.Get(k).MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("measuring an archived entry: %w", err)
		}
		data.Resources.WriteBytes += xdr.Uint32(len(raw)) //nolint:gosec // entries are small
	}
	slices.SortFunc(archived, func(a, b xdr.LedgerKey) int { return cmp.Compare(keyText(a), keyText(b)) })
	data.Resources.Footprint.ReadWrite = archived
	data.ResourceFee = xdr.Int64(minResourceFee(data.Resources))
	encoded, err := xdr.MarshalBase64(data)
	if err != nil {
		return nil, fmt.Errorf("encoding transaction data: %w", err)
	}
	return &protocol.RestorePreamble{TransactionDataXDR: encoded, MinResourceFee: int64(data.ResourceFee)}, nil
}

func keyText(key xdr.LedgerKey) state.Key {
	k, err := state.KeyOf(key)
	if err != nil { // its caller has encoded it before
		return ""
	}
	return k
}

// simulateFootprint prices an operation on the footprint that the transaction declares already.
func (v view) simulateFootprint(f *frame) protocol.SimulateTransactionResponse {
	d := f.soroban()
	if d == nil {
		return protocol.SimulateTransactionResponse{Error: "To perform a SimulateTransaction for ExtendFootprintTtl or " +
			"RestoreFootprint operations, SorobanTransactionData must be provided"}
	}
	layer := state.NewLayer(v.reader, v.latest.seq())
	var res xdr.OperationResult
	if op := f.tx.Operations[0].Body; op.Type == xdr.OperationTypeExtendFootprintTtl {
		res = extendFootprint(layer, v.latest.seq(), d, uint32(op.ExtendFootprintTtlOp.ExtendTo))
	} else {
		res = v.c.restoreFootprint(layer, v.latest.seq(), d)
	}
	if !opSucceeded(res) {
		return protocol.SimulateTransactionResponse{Error: "the footprint does not suit the operation"}
	}
	data, err := transactionData(layer, d.Resources.Footprint, nil)
	if err != nil {
		return failedSimulation(err)
	}
	encoded, rpcErr := encodeXDR(data)
	if rpcErr != nil {
		return protocol.SimulateTransactionResponse{Error: rpcErr.Message}
	}
	return protocol.SimulateTransactionResponse{TransactionDataXDR: encoded, MinResourceFee: int64(data.ResourceFee)}
}
