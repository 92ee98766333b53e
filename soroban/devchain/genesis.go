package devchain

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
	"github.com/onceward/onceward/soroban/devchain/samples"
)

// The network that the chain imitates.
const (
	ProtocolVersion   = 28
	DefaultPassphrase = "Onceward Development Network ; 2026"
	totalCoins        = 1_000_000_000_000_000_000
	nominalTxSetSize  = 1_000 // what headers say; Config.LedgerCapacity is what counts
)

// DevAdminSeed is the secret key of the account that may mint on every chain that names no other Admin. It is
// published here: for development only, worthless anywhere else. The account exists from the first ledger.
const DevAdminSeed = "SAWDWJQD33XUI6H7HKFF2NDUME47T5CA6KE7ZFCWDSX4DL2UGJBMXSUQ"

// adminBalance is what the development admin starts with, in stroops.
const adminBalance = 1_000_000 * 10_000_000

// root holds all coins at genesis and pays for friendbot.
func rootKey(passphrase string) (*keypair.Full, error) {
	return keypair.FromRawSeed(sha256.Sum256([]byte("onceward devchain root: " + passphrase)))
}

// contractID derives a sample contract's id from the network and its name.
func contractID(networkID [32]byte, name string) [32]byte {
	return sha256.Sum256(append(networkID[:], "onceward devchain contract: "+name...))
}

// genesis builds the first ledger's entries.
func (c *Chain) genesis() (*state.Layer, error) {
	l := state.NewLayer(state.NewStore(0), 1)
	root, err := xdr.AddressToAccountId(c.root.Address())
	if err != nil {
		return nil, fmt.Errorf("root account: %w", err)
	}
	coins := int64(totalCoins)
	if id, err := xdr.AddressToAccountId(c.admin); err == nil {
		coins -= adminBalance
		putAccount(l, newAccount(id, adminBalance, 1))
	}
	putAccount(l, newAccount(root, xdr.Int64(coins), 1))
	admin, err := host.ParseAddress(c.admin)
	if err != nil {
		return nil, err
	}
	for _, contract := range c.contracts {
		if err := deploy(l, c.networkID, contract, admin); err != nil {
			return nil, fmt.Errorf("contract %s: %w", contract.Name, err)
		}
	}
	return l, nil
}

// deploy writes a contract's code and instance.
func deploy(l *state.Layer, networkID [32]byte, contract *host.Contract, admin xdr.ScAddress) error {
	code, err := wasm(contract)
	if err != nil {
		return err
	}
	hash := xdr.Hash(sha256.Sum256(code))
	storage := **host.Struct(host.Field{Name: "Admin", Val: host.Address(admin)}).Map
	instance := xdr.ContractDataEntry{
		Contract:   host.ContractAddress(contractID(networkID, contract.Name)),
		Key:        xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyContractInstance},
		Durability: xdr.ContractDataDurabilityPersistent,
		Val: xdr.ScVal{Type: xdr.ScValTypeScvContractInstance, Instance: &xdr.ScContractInstance{
			Executable: xdr.ContractExecutable{
				Type: xdr.ContractExecutableTypeContractExecutableWasm, WasmHash: &hash,
			},
			Storage: &storage,
		}},
	}
	for _, data := range []xdr.LedgerEntryData{
		{Type: xdr.LedgerEntryTypeContractCode, ContractCode: &xdr.ContractCodeEntry{Hash: hash, Code: code}},
		{Type: xdr.LedgerEntryTypeContractData, ContractData: &instance},
	} {
		key, err := data.LedgerKey()
		if err != nil {
			return err
		}
		k, err := state.KeyOf(key)
		if err != nil {
			return err
		}
		l.Put(k, data)
		setTTL(l, k, 1+host.MaxTTL)
	}
	return nil
}

// wasm is a module without code that carries the contract's description in the custom sections clients look for.
func wasm(contract *host.Contract) ([]byte, error) {
	var spec bytes.Buffer
	for _, e := range contract.Spec {
		raw, err := e.MarshalBinary()
		if err != nil {
			return nil, fmt.Errorf("encoding spec: %w", err)
		}
		spec.Write(raw)
	}
	env, err := xdr.ScEnvMetaEntry{
		Kind:             xdr.ScEnvMetaKindScEnvMetaKindInterfaceVersion,
		InterfaceVersion: &xdr.ScEnvMetaEntryInterfaceVersion{Protocol: ProtocolVersion},
	}.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding environment: %w", err)
	}
	meta, err := xdr.ScMetaEntry{
		Kind: xdr.ScMetaKindScMetaV0, V0: &xdr.ScMetaV0{Key: "devchain", Val: contract.Name},
	}.MarshalBinary()
	if err != nil {
		return nil, fmt.Errorf("encoding meta: %w", err)
	}
	out := []byte{0x00, 'a', 's', 'm', 0x01, 0x00, 0x00, 0x00}
	for _, s := range []struct {
		name string
		body []byte
	}{{"contractspecv0", spec.Bytes()}, {"contractenvmetav0", env}, {"contractmetav0", meta}} {
		section := append(binary.AppendUvarint(nil, uint64(len(s.name))), s.name...)
		section = append(section, s.body...)
		out = append(out, 0x00) // custom section
		out = binary.AppendUvarint(out, uint64(len(section)))
		out = append(out, section...)
	}
	return out, nil
}

// contractAt finds the Go code of a contract address, nil if there is none.
func (c *Chain) contractAt(addr xdr.ScAddress) *host.Contract {
	if addr.ContractId == nil {
		return nil
	}
	return c.byID[[32]byte(*addr.ContractId)]
}

// Contract is the address (C…) of a contract by its name: "content", "votes", "reward", "token", "guarded" or one of
// Config.Contracts. It is empty for an unknown name. The address depends on the passphrase and the name only.
func (c *Chain) Contract(name string) string {
	for _, contract := range c.contracts {
		if contract.Name == name {
			return ContractID(c.cfg.Passphrase, name)
		}
	}
	return ""
}

// ContractID is the address (C…) that a contract of this name has on the development network of a passphrase.
func ContractID(passphrase, name string) string {
	id := contractID(network.ID(passphrase), name)
	return strkey.MustEncode(strkey.VersionByteContract, id[:])
}

func (c *Chain) loadContracts(extra []*host.Contract) error {
	c.contracts = append(samples.All(), extra...)
	c.byID = map[[32]byte]*host.Contract{}
	for _, contract := range c.contracts {
		id := contractID(c.networkID, contract.Name)
		if c.byID[id] != nil {
			return fmt.Errorf("devchain: two contracts are named %q", contract.Name)
		}
		c.byID[id] = contract
	}
	return nil
}
