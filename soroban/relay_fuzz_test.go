package soroban_test

import (
	"encoding/base64"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/memstore"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// FuzzRelay looks for what a stranger may send that panics, or that is admitted
// although it acts for one of our own accounts.
func FuzzRelay(f *testing.F) {
	channels, err := soroban.DeriveChannels([]byte("0123456789abcdef"), 1)
	if err != nil {
		f.Fatal(err)
	}
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, "http://chain.test/")
	if err != nil {
		f.Fatal(err)
	}
	sub, err := soroban.New(soroban.Config{
		RPC: rpc, Passphrase: network.TestNetworkPassphrase, Store: memstore.New(), Channels: channels,
		NonceSecret: make([]byte, 16), Render: func(soroban.Result) onceward.Response { return onceward.Response{} },
	})
	if err != nil {
		f.Fatal(err)
	}
	votes := devchain.ContractID(network.TestNetworkPassphrase, "votes")
	relay, err := sub.NewRelay(soroban.RelayPolicy{Allow: []soroban.Allowed{{Contract: votes, Function: "cast"}}})
	if err != nil {
		f.Fatal(err)
	}
	id, err := host.ParseAddress(votes)
	if err != nil {
		f.Fatal(err)
	}
	channel := xdr.MustAddress(channels[0].Address())
	for _, account := range []xdr.AccountId{xdr.MustAddress(keypair.Master("user").Address()), channel} {
		call := xdr.InvokeContractArgs{ContractAddress: id, FunctionName: "cast"}
		tx := xdr.Transaction{
			SourceAccount: account.ToMuxedAccount(), Fee: 100,
			Cond: xdr.Preconditions{Type: xdr.PreconditionTypePrecondTime, TimeBounds: &xdr.TimeBounds{MaxTime: 1}},
			Operations: []xdr.Operation{{Body: xdr.OperationBody{
				Type: xdr.OperationTypeInvokeHostFunction,
				InvokeHostFunctionOp: &xdr.InvokeHostFunctionOp{HostFunction: xdr.HostFunction{
					Type: xdr.HostFunctionTypeHostFunctionTypeInvokeContract, InvokeContract: &call,
				}},
			}}},
			Ext: xdr.TransactionExt{V: 1, SorobanData: &xdr.SorobanTransactionData{}},
		}
		raw, err := xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{
			Tx: tx, Signatures: []xdr.DecoratedSignature{{}},
		}}.MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		encoded := base64.StdEncoding.EncodeToString(raw)
		for _, check := range []func() (*soroban.Relayed, error){
			func() (*soroban.Relayed, error) { return relay.Transaction(encoded) },
			func() (*soroban.Relayed, error) { return relay.Authorization(encoded, encoded) },
		} {
			x, err := check()
			if err != nil {
				continue
			}
			if x.Contract() != votes || x.Function() != "cast" || x.Source() == channels[0].Address() {
				t.Fatalf("admitted: %s of %s for %s", x.Function(), x.Contract(), x.Source())
			}
		}
	})
}
