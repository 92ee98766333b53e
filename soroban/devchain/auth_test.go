package devchain_test

import (
	"strings"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// Authorization is refused, in simulation and on the ledger alike, for everything that was not signed exactly so.
func TestAuthorizationIsRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(n *node, op *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry)
		want  string
	}{
		"another key signs": {func(n *node, _ *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			n.signAuth(e, must(keypair.Random())(n), 7, n.chain.LatestLedger()+50)
		}, "Error(Auth, InvalidAction)"},
		"the amount changes afterwards": {func(_ *node, op *xdr.InvokeContractArgs, _ *xdr.SorobanAuthorizationEntry) {
			op.Args[1] = i128(1_000_000)
		}, "Error(Auth, InvalidAction)"},
		"amount and authorization change afterwards": {func(_ *node, op *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			op.Args[1] = i128(1_000_000)
			e.RootInvocation.Function.ContractFn.Args = op.Args
		}, "Error(Crypto, InvalidInput)"},
		"the nonce changes afterwards": {func(_ *node, _ *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			e.Credentials.Address.Nonce++
		}, "Error(Crypto, InvalidInput)"},
		"the signature has expired": {func(n *node, _ *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			n.signAuth(e, n.admin, 7, n.chain.LatestLedger()-1)
		}, "Error(Auth, InvalidInput)"},
		"the signature lives too long": {func(n *node, _ *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			n.signAuth(e, n.admin, 7, n.chain.LatestLedger()+2*host.MaxTTL)
		}, "Error(Auth, InvalidInput)"},
		"there is no signature": {func(_ *node, _ *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			e.Credentials.Address.Signature = host.Void()
		}, "Error(Auth, InvalidInput)"},
		"the source account authorizes instead": {func(_ *node, _ *xdr.InvokeContractArgs, e *xdr.SorobanAuthorizationEntry) {
			e.Credentials = xdr.SorobanCredentials{Type: xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount}
		}, "Error(Auth, InvalidAction)"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := start(t, devchain.Config{})
			channel := n.account()
			op := n.mint(channel.Address(), channel.Address(), 10, 7, n.chain.LatestLedger()+50)
			c.spoil(n, op.HostFunction.InvokeContract, &op.Auth[0])
			if res := n.simulate(n.build(channel.Address(), params{}, op)); !strings.Contains(res.Error, c.want) {
				t.Errorf("simulation: got %q, want %s", res.Error, c.want)
			}
			want(t, "on the ledger", n.run(channel, op).Status, "FAILED")
			want(t, "supply", n.supply(), 0)
			if nonceEntry(n, n.admin.Address(), 7) != nil {
				t.Error("a failed transaction left its nonce")
			}
		})
	}
}

// The newer credentials sign the address as well; a signature of one form is no good for the other.
func TestUpgradedCredentials(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	channel := n.account()
	op := n.call("reward", "mint", addr(n, channel.Address()), i128(3))
	res := must(n.rpc.SimulateTransaction(t.Context(), protocol.SimulateTransactionRequest{
		Transaction: must(n.build(channel.Address(), params{}, op).Base64())(t), UseUpgradedAuth: true, //nolint:staticcheck // clients still send it
	}))(t)
	var e xdr.SorobanAuthorizationEntry
	if err := xdr.SafeUnmarshalBase64((*res.Results[0].AuthXDR)[0], &e); err != nil {
		t.Fatal(err)
	}
	want(t, "form", e.Credentials.Type, xdr.SorobanCredentialsTypeSorobanCredentialsAddressV2)
	n.signAuth(&e, n.admin, 11, n.chain.LatestLedger()+50)

	old := e
	old.Credentials = xdr.SorobanCredentials{
		Type: xdr.SorobanCredentialsTypeSorobanCredentialsAddress, Address: e.Credentials.AddressV2,
	}
	op.Auth = []xdr.SorobanAuthorizationEntry{old}
	if res := n.simulate(n.build(channel.Address(), params{}, op)); !strings.Contains(res.Error, "Error(Crypto, InvalidInput)") {
		t.Errorf("a V2 signature passed as V1: %q", res.Error)
	}
	op.Auth = []xdr.SorobanAuthorizationEntry{e}
	enforced := n.simulate(n.build(channel.Address(), params{}, op))
	want(t, "enforcing", enforced.Error, "")
	setData(n, op, enforced)
	want(t, "status", n.run(channel, op).Status, "SUCCESS")
	if nonceEntry(n, n.admin.Address(), 11) == nil {
		t.Error("no nonce entry")
	}
}

// What the transaction did not declare it cannot touch: the record simulation's footprint lacks a pinned nonce.
func TestFootprintIsEnforced(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	channel := n.account()
	op := n.prepared(channel.Address(), n.call("reward", "mint", addr(n, channel.Address()), i128(10)), nil)
	n.signAuth(&op.Auth[0], n.admin, 12345, n.chain.LatestLedger()+50)
	got := n.run(channel, op)
	want(t, "status", got.Status, "FAILED")
	var res xdr.TransactionResult
	if err := xdr.SafeUnmarshalBase64(got.ResultXDR, &res); err != nil {
		t.Fatal(err)
	}
	want(t, "result", (*res.Result.Results)[0].Tr.InvokeHostFunctionResult.Code,
		xdr.InvokeHostFunctionResultCodeInvokeHostFunctionTrapped)
	want(t, "supply", n.supply(), 0)
}

// The source account needs no entry of its own: its signature on the transaction is its consent, and has no nonce.
func TestSourceAccountAuthorizes(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	call := n.call("reward", "mint", addr(n, n.admin.Address()), i128(10))
	for i := range 2 {
		op := n.prepared(n.admin.Address(), call, nil)
		want(t, "credentials", op.Auth[0].Credentials.Type, xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount)
		want(t, "status", n.run(n.admin, op).Status, "SUCCESS")
		want(t, "supply", n.supply(), int64(10*(i+1)))
	}
}

// A nonce entry ends with the signature it guards, and is gone from the ledger then.
func TestNonceEntryExpires(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	channel := n.account()
	until := n.chain.LatestLedger() + 20
	op := n.mint(channel.Address(), channel.Address(), 10, 5, until)
	want(t, "status", n.run(channel, op).Status, "SUCCESS")
	for n.chain.LatestLedger() < until {
		n.close()
	}
	if nonceEntry(n, n.admin.Address(), 5) == nil {
		t.Error("the entry ended before the signature")
	}
	before := n.chain.Entries()
	n.close()
	if nonceEntry(n, n.admin.Address(), 5) != nil {
		t.Error("the entry outlives the signature")
	}
	want(t, "entries removed with their TTL", before-n.chain.Entries(), 2)
	want(t, "the expired signature", n.run(channel, op).Status, "FAILED")
	again := n.mint(channel.Address(), channel.Address(), 10, 5, until+50)
	want(t, "the nonce under a new signature", n.run(channel, again).Status, "SUCCESS")
}

// A nonce lives at least as long as any temporary entry, even if its signature ends sooner.
func TestNonceEntryMinimalLife(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	channel := n.account()
	op := n.mint(channel.Address(), channel.Address(), 10, 5, n.chain.LatestLedger()+1)
	got := n.run(channel, op)
	want(t, "status", got.Status, "SUCCESS")
	want(t, "lives until", *nonceEntry(n, n.admin.Address(), 5).LiveUntilLedgerSeq, got.Ledger+host.MinTemporaryTTL-1)
}

// One invocation uses an address's consent once.
func TestConsentIsUsedOnce(t *testing.T) {
	t.Parallel()
	twice := &host.Contract{
		Name: "twice",
		Spec: []xdr.ScSpecEntry{{Kind: xdr.ScSpecEntryKindScSpecEntryFunctionV0, FunctionV0: &xdr.ScSpecFunctionV0{
			Name:   "ask",
			Inputs: []xdr.ScSpecFunctionInputV0{{Name: "who", Type: xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeAddress}}},
		}}},
		Functions: map[string]host.Function{"ask": func(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
			if err := env.RequireAuth(*args[0].Address); err != nil {
				return xdr.ScVal{}, err
			}
			return host.Void(), env.RequireAuth(*args[0].Address)
		}},
	}
	n := start(t, devchain.Config{Contracts: []*host.Contract{twice}})
	op := n.call("twice", "ask", addr(n, n.admin.Address()))
	res := n.simulate(n.build(n.admin.Address(), params{}, op))
	if !strings.Contains(res.Error, "Error(Auth, ExistingValue)") {
		t.Errorf("recording: %q", res.Error)
	}
	op.Auth = []xdr.SorobanAuthorizationEntry{{
		Credentials: xdr.SorobanCredentials{Type: xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount},
		RootInvocation: xdr.SorobanAuthorizedInvocation{Function: xdr.SorobanAuthorizedFunction{
			Type:       xdr.SorobanAuthorizedFunctionTypeSorobanAuthorizedFunctionTypeContractFn,
			ContractFn: op.HostFunction.InvokeContract,
		}},
	}}
	res = n.simulate(n.build(n.admin.Address(), params{}, op))
	if !strings.Contains(res.Error, "Error(Auth, InvalidAction)") {
		t.Errorf("enforcing: %q", res.Error)
	}
}

// What is not declared cannot be read.
func TestUndeclaredIsUnreadable(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	op := n.prepared(n.admin.Address(), n.call("reward", "mint", addr(n, n.admin.Address()), i128(10)), nil)
	op.Ext.SorobanData.Resources.Footprint.ReadOnly = nil
	want(t, "status", n.run(n.admin, op).Status, "FAILED")
}

// What is declared read-only cannot be written.
func TestReadOnlyIsEnforced(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	op := n.prepared(n.admin.Address(), n.call("reward", "mint", addr(n, n.admin.Address()), i128(10)), nil)
	fp := &op.Ext.SorobanData.Resources.Footprint
	fp.ReadOnly, fp.ReadWrite = append(fp.ReadOnly, fp.ReadWrite...), nil
	want(t, "status", n.run(n.admin, op).Status, "FAILED")
	want(t, "supply", n.supply(), 0)
}
