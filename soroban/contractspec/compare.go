package contractspec

import (
	"bytes"
	"cmp"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// compare orders values as the host orders the keys of a map: by type first,
// then by content; texts byte by byte, containers element by element. The host
// refuses a map whose keys are not in this order. Both values must be whole.
func compare(a, b xdr.ScVal) int {
	if a.Type != b.Type {
		return cmp.Compare(a.Type, b.Type)
	}
	switch a.Type {
	case xdr.ScValTypeScvBool:
		return cmp.Compare(truthRank(*a.B), truthRank(*b.B))
	case xdr.ScValTypeScvError:
		return cmp.Or(cmp.Compare(a.Error.Type, b.Error.Type), cmp.Compare(errorCode(*a.Error), errorCode(*b.Error)))
	case xdr.ScValTypeScvU32:
		return cmp.Compare(*a.U32, *b.U32)
	case xdr.ScValTypeScvI32:
		return cmp.Compare(*a.I32, *b.I32)
	case xdr.ScValTypeScvU64:
		return cmp.Compare(*a.U64, *b.U64)
	case xdr.ScValTypeScvI64:
		return cmp.Compare(*a.I64, *b.I64)
	case xdr.ScValTypeScvTimepoint:
		return cmp.Compare(*a.Timepoint, *b.Timepoint)
	case xdr.ScValTypeScvDuration:
		return cmp.Compare(*a.Duration, *b.Duration)
	case xdr.ScValTypeScvU128:
		return cmp.Or(cmp.Compare(a.U128.Hi, b.U128.Hi), cmp.Compare(a.U128.Lo, b.U128.Lo))
	case xdr.ScValTypeScvI128:
		return cmp.Or(cmp.Compare(a.I128.Hi, b.I128.Hi), cmp.Compare(a.I128.Lo, b.I128.Lo))
	case xdr.ScValTypeScvU256:
		return cmp.Or(cmp.Compare(a.U256.HiHi, b.U256.HiHi), cmp.Compare(a.U256.HiLo, b.U256.HiLo),
			cmp.Compare(a.U256.LoHi, b.U256.LoHi), cmp.Compare(a.U256.LoLo, b.U256.LoLo))
	case xdr.ScValTypeScvI256:
		return cmp.Or(cmp.Compare(a.I256.HiHi, b.I256.HiHi), cmp.Compare(a.I256.HiLo, b.I256.HiLo),
			cmp.Compare(a.I256.LoHi, b.I256.LoHi), cmp.Compare(a.I256.LoLo, b.I256.LoLo))
	case xdr.ScValTypeScvBytes:
		return bytes.Compare(*a.Bytes, *b.Bytes)
	case xdr.ScValTypeScvString:
		return cmp.Compare(*a.Str, *b.Str)
	case xdr.ScValTypeScvSymbol:
		return cmp.Compare(*a.Sym, *b.Sym)
	case xdr.ScValTypeScvVec:
		return compareVecs(**a.Vec, **b.Vec)
	case xdr.ScValTypeScvMap:
		return compareMaps(**a.Map, **b.Map)
	case xdr.ScValTypeScvAddress:
		return compareAddresses(*a.Address, *b.Address)
	default: // void has one value, and no other type is ever built from JSON
		return 0
	}
}

func truthRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func errorCode(e xdr.ScError) int64 {
	if e.ContractCode != nil {
		return int64(*e.ContractCode)
	}
	return int64(*e.Code)
}

func compareVecs(a, b xdr.ScVec) int {
	for i := range min(len(a), len(b)) {
		if c := compare(a[i], b[i]); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareMaps(a, b xdr.ScMap) int {
	for i := range min(len(a), len(b)) {
		if c := cmp.Or(compare(a[i].Key, b[i].Key), compare(a[i].Val, b[i].Val)); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareAddresses(a, b xdr.ScAddress) int {
	if a.Type != b.Type {
		return cmp.Compare(a.Type, b.Type)
	}
	switch a.Type {
	case xdr.ScAddressTypeScAddressTypeAccount:
		return bytes.Compare(a.AccountId.Ed25519[:], b.AccountId.Ed25519[:])
	case xdr.ScAddressTypeScAddressTypeContract:
		return bytes.Compare(a.ContractId[:], b.ContractId[:])
	default: // a muxed account; parseAddress makes no other
		return cmp.Or(cmp.Compare(a.MuxedAccount.Id, b.MuxedAccount.Id),
			bytes.Compare(a.MuxedAccount.Ed25519[:], b.MuxedAccount.Ed25519[:]))
	}
}
