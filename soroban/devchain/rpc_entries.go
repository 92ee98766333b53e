package devchain

import (
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

const maxEntryKeys = 200

// getLedgerEntries reads all keys from the ledger that it names in the answer. Temporary entries that have ended do
// not exist any more; persistent ones stay readable.
func (v view) getLedgerEntries(p protocol.GetLedgerEntriesRequest) (any, *rpcError) {
	if rpcErr := onlyBase64(p.Format); rpcErr != nil {
		return nil, rpcErr
	}
	if len(p.Keys) > maxEntryKeys {
		return nil, invalidParams("key count (%d) exceeds maximum supported (%d)", len(p.Keys), maxEntryKeys)
	}
	out := protocol.GetLedgerEntriesResponse{Entries: []protocol.LedgerEntryResult{}, LatestLedger: v.latest.seq()}
	for i, encoded := range p.Keys {
		var key xdr.LedgerKey
		if err := decodeXDR(encoded, &key); err != nil {
			return nil, invalidParams("cannot unmarshal key value %.80s at index %d", encoded, i)
		}
		if key.Type == xdr.LedgerEntryTypeTtl {
			return nil, invalidParams("ledger ttl entries cannot be queried directly")
		}
		k, err := state.KeyOf(key)
		if err != nil {
			return nil, invalidParams("cannot use key at index %d: %v", i, err)
		}
		e := v.reader.Get(k)
		temporary := key.ContractData != nil && key.ContractData.Durability == xdr.ContractDataDurabilityTemporary
		if e == nil || temporary && !host.Live(v.reader, k, e, v.latest.seq()) {
			continue
		}
		result, rpcErr := entryResult(e, k, state.LiveUntil(v.reader, k))
		if rpcErr != nil {
			return nil, rpcErr
		}
		out.Entries = append(out.Entries, result)
	}
	return out, nil
}

func entryResult(e *xdr.LedgerEntry, k state.Key, until uint32) (protocol.LedgerEntryResult, *rpcError) {
	out := protocol.LedgerEntryResult{
		KeyXDR: base64s([]byte(k)), LastModifiedLedger: uint32(e.LastModifiedLedgerSeq),
	}
	if until > 0 {
		out.LiveUntilLedgerSeq = &until
	}
	var rpcErr *rpcError
	if out.DataXDR, rpcErr = encodeXDR(e.Data); rpcErr != nil {
		return out, rpcErr
	}
	out.ExtensionXDR, rpcErr = encodeXDR(e.Ext)
	return out, rpcErr
}
