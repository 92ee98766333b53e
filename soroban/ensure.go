package soroban

import (
	"context"
	"crypto/hmac"
	"crypto/sha512"
	"encoding/binary"
	"fmt"

	"github.com/stellar/go-stellar-sdk/keypair"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
)

// DeriveChannels makes n channel accounts from one seed of 16 to 64 bytes, by
// SEP-5: SLIP-0010 for Ed25519 along m/44'/148'/i', the way wallets do from a
// mnemonic's seed. The same seed always gives the same accounts, the first n
// of a longer list included.
func DeriveChannels(seed []byte, n int) ([]Signer, error) {
	if len(seed) < 16 || len(seed) > 64 {
		return nil, fmt.Errorf("soroban: a channel seed has 16 to 64 bytes, not %d", len(seed))
	}
	if n < 1 || n > maxChannels {
		return nil, fmt.Errorf("soroban: %d channels; make it 1 to %d", n, maxChannels)
	}
	out := make([]Signer, n)
	for i := range out {
		node := hmac512([]byte("ed25519 seed"), seed)
		for _, index := range []uint32{44, 148, uint32(i)} {
			data := append([]byte{0}, node[:32]...)
			data = binary.BigEndian.AppendUint32(data, index|1<<31) // hardened
			node = hmac512(node[32:], data)
		}
		kp, err := keypair.FromRawSeed([32]byte(node[:32]))
		if err != nil {
			return nil, fmt.Errorf("soroban: deriving channel %d: %w", i, err)
		}
		out[i] = keySigner{kp}
	}
	return out, nil
}

func hmac512(key, data []byte) []byte {
	mac := hmac.New(sha512.New, key)
	mac.Write(data)
	return mac.Sum(nil)
}

// EnsureChannels calls fund for every account that does not exist yet, and
// returns once the chain shows them all. fund creates the account of address
// with enough for its minimum balance and the fees to come; being called for
// an account that exists by then must not be an error.
func EnsureChannels(ctx context.Context, rpc Ledgers, channels []Signer, fund func(ctx context.Context, address string) error) error {
	missing, err := missingAccounts(ctx, rpc, channels)
	if err != nil {
		return err
	}
	for _, address := range missing {
		if err := fund(ctx, address); err != nil {
			return fmt.Errorf("soroban: funding channel %s: %w", address, err)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if missing, err = missingAccounts(ctx, rpc, channels); err != nil {
		return err
	}
	if len(missing) > 0 {
		return fmt.Errorf("soroban: %d channels do not exist after funding, the first is %s; try again after the next ledger",
			len(missing), missing[0])
	}
	return nil
}

// missingAccounts asks for up to 200 accounts a call.
func missingAccounts(ctx context.Context, rpc Ledgers, channels []Signer) ([]string, error) {
	var missing []string
	for len(channels) > 0 {
		page := channels[:min(maxKeys, len(channels))]
		channels = channels[len(page):]
		keys := make([]string, len(page))
		for i, ch := range page {
			var err error
			if keys[i], err = accountKey(ch.Address()); err != nil {
				return nil, err
			}
		}
		res, err := rpc.GetLedgerEntries(ctx, protocol.GetLedgerEntriesRequest{Keys: keys})
		if err != nil {
			return nil, fmt.Errorf("soroban: looking for the channels: %w", err)
		}
		found := make(map[string]bool, len(res.Entries))
		for i := range res.Entries {
			found[res.Entries[i].KeyXDR] = true
		}
		for i, ch := range page {
			if !found[keys[i]] {
				missing = append(missing, ch.Address())
			}
		}
	}
	return missing, nil
}
