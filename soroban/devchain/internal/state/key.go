package state

import (
	"crypto/sha256"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Key is the XDR of a ledger key: comparable, and in a total order that every run of the program agrees on.
type Key string

// KeyOf encodes k. It fails only for a ledger key that no XDR decoder could have produced.
func KeyOf(k xdr.LedgerKey) (Key, error) {
	raw, err := k.MarshalBinary()
	if err != nil {
		return "", fmt.Errorf("encoding ledger key: %w", err)
	}
	return Key(raw), nil
}

// LedgerKey decodes the key again.
func (k Key) LedgerKey() (xdr.LedgerKey, error) {
	var out xdr.LedgerKey
	if err := xdr.SafeUnmarshal([]byte(k), &out); err != nil {
		return out, fmt.Errorf("decoding ledger key: %w", err)
	}
	return out, nil
}

// TTL is the key of the entry that says how long the entry under k lives.
func (k Key) TTL() Key {
	raw, err := xdr.LedgerKey{
		Type: xdr.LedgerEntryTypeTtl,
		Ttl:  &xdr.LedgerKeyTtl{KeyHash: sha256.Sum256([]byte(k))},
	}.MarshalBinary()
	if err != nil { // a fixed-size hash always encodes
		return ""
	}
	return Key(raw)
}

// Account is the key of a classic account.
func Account(id xdr.AccountId) Key {
	raw, err := xdr.LedgerKey{Type: xdr.LedgerEntryTypeAccount, Account: &xdr.LedgerKeyAccount{AccountId: id}}.MarshalBinary()
	if err != nil { // an AccountId without a key is no account: it is absent under any key
		return ""
	}
	return Key(raw)
}
