package gateway

import (
	"context"
	"errors"
	"fmt"

	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// loadSpec reads what the contract says of its own interface, on chain.
func loadSpec(ctx context.Context, rpc soroban.Ledgers, contract string) (*contractspec.Spec, error) {
	raw, err := strkey.Decode(strkey.VersionByteContract, contract)
	if err != nil {
		return nil, fmt.Errorf("%q is not a contract address (C…): %w", contract, err)
	}
	id := xdr.ContractId(raw)
	data, err := ledgerEntry(ctx, rpc, xdr.LedgerKey{
		Type: xdr.LedgerEntryTypeContractData,
		ContractData: &xdr.LedgerKeyContractData{
			Contract:   xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeContract, ContractId: &id},
			Key:        xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyContractInstance},
			Durability: xdr.ContractDataDurabilityPersistent,
		},
	})
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", contract, err)
	}
	instance, ok := data.ContractData.Val.GetInstance()
	if !ok || instance.Executable.WasmHash == nil {
		return nil, fmt.Errorf("contract %s has no wasm to read its interface from", contract)
	}
	code, err := ledgerEntry(ctx, rpc, xdr.LedgerKey{
		Type:         xdr.LedgerEntryTypeContractCode,
		ContractCode: &xdr.LedgerKeyContractCode{Hash: *instance.Executable.WasmHash},
	})
	if err != nil {
		return nil, fmt.Errorf("code of contract %s: %w", contract, err)
	}
	spec, err := contractspec.Parse(code.ContractCode.Code)
	if err != nil {
		return nil, fmt.Errorf("contract %s: %w", contract, err)
	}
	return spec, nil
}

// ledgerEntry reads one entry of the type that the key names.
func ledgerEntry(ctx context.Context, rpc soroban.Ledgers, key xdr.LedgerKey) (xdr.LedgerEntryData, error) {
	var data xdr.LedgerEntryData
	encoded, err := key.MarshalBinaryBase64()
	if err != nil {
		return data, err
	}
	res, err := rpc.GetLedgerEntries(ctx, protocol.GetLedgerEntriesRequest{Keys: []string{encoded}})
	if err != nil {
		return data, err
	}
	if len(res.Entries) == 0 {
		return data, errors.New("not found on this network")
	}
	if err := xdr.SafeUnmarshalBase64(res.Entries[0].DataXDR, &data); err != nil {
		return data, err
	}
	if data.Type != key.Type {
		return data, fmt.Errorf("the chain answered with an entry of type %v", data.Type)
	}
	return data, nil
}
