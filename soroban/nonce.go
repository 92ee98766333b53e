package soroban

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
)

// nonceOf gives the nonces of one operation; the first is the one proofs
// rest on, more are needed when one account authorizes several calls.
type nonceOf func(i int) int64

// noncesFor derives the nonces of a key: HMAC-SHA256 over length-prefixed
// scope and value, so that no two keys share an encoding, cut to 63 bits.
func noncesFor(secret []byte, key onceward.Key) nonceOf {
	if drawsNonces {
		secret = []byte(rand.Text())
	}
	return func(i int) int64 {
		mac := hmac.New(sha256.New, secret)
		mac.Write([]byte("onceward nonce 1\x00"))
		mac.Write(keyBytes(key))
		var n [4]byte
		binary.BigEndian.PutUint32(n[:], uint32(i)) //nolint:gosec // a handful
		mac.Write(n[:])
		return int64(binary.BigEndian.Uint64(mac.Sum(nil)) >> 1)
	}
}

// keyBytes is scope and value, each after its length.
func keyBytes(key onceward.Key) []byte {
	var out []byte
	for _, part := range []string{key.Scope, key.Value} {
		out = binary.BigEndian.AppendUint32(out, uint32(len(part))) //nolint:gosec // keys are short
		out = append(out, part...)
	}
	return out
}

// nonceKey is the base64 ledger key of the temporary entry that the network
// writes when an authorization of address is used.
func nonceKey(address string, nonce int64) (string, error) {
	id, err := xdr.AddressToAccountId(address)
	if err != nil {
		return "", fmt.Errorf("soroban: %q: %w", address, err)
	}
	return xdr.MarshalBase64(xdr.LedgerKey{
		Type: xdr.LedgerEntryTypeContractData,
		ContractData: &xdr.LedgerKeyContractData{
			Contract: xdr.ScAddress{Type: xdr.ScAddressTypeScAddressTypeAccount, AccountId: &id},
			Key: xdr.ScVal{
				Type:     xdr.ScValTypeScvLedgerKeyNonce,
				NonceKey: &xdr.ScNonceKey{Nonce: xdr.Int64(nonce)},
			},
			Durability: xdr.ContractDataDurabilityTemporary,
		},
	})
}

func accountKey(address string) (string, error) {
	id, err := xdr.AddressToAccountId(address)
	if err != nil {
		return "", fmt.Errorf("soroban: %q: %w", address, err)
	}
	return xdr.MarshalBase64(xdr.LedgerKey{Type: xdr.LedgerEntryTypeAccount, Account: &xdr.LedgerKeyAccount{AccountId: id}})
}
