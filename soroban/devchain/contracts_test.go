package devchain_test

import (
	"strings"
	"testing"

	"github.com/stellar/go-stellar-sdk/keypair"
	protocol "github.com/stellar/go-stellar-sdk/protocols/rpc"
	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// submit prepares a contract call that its own source authorizes.
func (n *node) own(kp *keypair.Full, contract, function string, args ...xdr.ScVal) *txnbuild.InvokeHostFunction {
	n.Helper()
	return n.prepared(kp.Address(), n.call(contract, function, args...), nil)
}

// The registry refuses a content hash it has, in simulation and, if both were simulated before, on the ledger.
func TestContentRegistry(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a, b := n.account(), n.account()
	first := n.own(a, "content", "submit", addr(n, a.Address()), hashOf("c"), hostString("ipfs://c"))
	second := n.own(b, "content", "submit", addr(n, b.Address()), hashOf("c"), hostString("ipfs://d"))
	got := n.run(a, first)
	want(t, "first", got.Status, "SUCCESS")
	want(t, "number", uint64(*value(t, got.ResultMetaXDR).U64), 1)
	late := n.run(b, second)
	want(t, "second", late.Status, "FAILED")
	if len(late.DiagnosticEventsXDR) != 1 {
		t.Fatalf("%d diagnostic events", len(late.DiagnosticEventsXDR))
	}
	var e xdr.DiagnosticEvent
	if err := xdr.SafeUnmarshalBase64(late.DiagnosticEventsXDR[0], &e); err != nil {
		t.Fatal(err)
	}
	want(t, "contract error", uint32(*e.Event.Body.V0.Topics[1].Error.ContractCode), 1)
	res := n.simulate(n.build(b.Address(), params{}, n.call("content", "submit", addr(n, b.Address()), hashOf("c"), hostString("x"))))
	if !strings.Contains(res.Error, "Error(Contract, #1)") {
		t.Errorf("simulation: %q", res.Error)
	}
	want(t, "count", uint64(*n.read("content", "count").U64), 1)
	author, _ := host.Lookup(n.read("content", "get", hashOf("c")), "author")
	want(t, "author", author.Address.Equals(*addr(n, a.Address()).Address), true)
	want(t, "unknown", n.read("content", "get", hashOf("z")).Type, xdr.ScValTypeScvVoid)
}

func TestVotes(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a, b := n.account(), n.account()
	want(t, "a", n.run(a, n.own(a, "votes", "cast", addr(n, a.Address()), host.U64(1), host.Bool(true))).Status, "SUCCESS")
	want(t, "b", n.run(b, n.own(b, "votes", "cast", addr(n, b.Address()), host.U64(1), host.Bool(false))).Status, "SUCCESS")
	want(t, "a elsewhere", n.run(a, n.own(a, "votes", "cast", addr(n, a.Address()), host.U64(2), host.Bool(true))).Status, "SUCCESS")
	res := n.simulate(n.build(a.Address(), params{}, n.call("votes", "cast", addr(n, a.Address()), host.U64(1), host.Bool(false))))
	if !strings.Contains(res.Error, "Error(Contract, #1)") {
		t.Errorf("second vote: %q", res.Error)
	}
	tally := n.read("votes", "tally", host.U64(1))
	against, _ := host.Lookup(tally, "against")
	favor, _ := host.Lookup(tally, "in_favor")
	want(t, "against", uint32(*against.U32), 1)
	want(t, "in favor", uint32(*favor.U32), 1)
}

// The admin may act for others, who are still bound by the contract's rules; nobody else may.
func TestActingForOthers(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := addr(n, n.account().Address())
	want(t, "vote", n.run(n.admin, n.own(n.admin, "votes", "cast_for", a, host.U64(1), host.Bool(true))).Status, "SUCCESS")
	want(t, "content", n.run(n.admin, n.own(n.admin, "content", "submit_for", a, hashOf("c"), hostString("x"))).Status, "SUCCESS")
	res := n.simulate(n.build(n.admin.Address(), params{}, n.call("votes", "cast_for", a, host.U64(1), host.Bool(false))))
	if !strings.Contains(res.Error, "Error(Contract, #1)") {
		t.Errorf("second vote for the same voter: %q", res.Error)
	}
	stranger := n.account()
	op := n.own(n.admin, "votes", "cast_for", a, host.U64(2), host.Bool(true))
	want(t, "by a stranger", n.run(stranger, op).Status, "FAILED")
}

// Calls that contracts or the host refuse, by the error that clients look for.
func TestRefusedCalls(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	a := addr(n, n.admin.Address())
	huge := xdr.ScVal{Type: xdr.ScValTypeScvI128, I128: &xdr.Int128Parts{Hi: 1<<63 - 1, Lo: 1<<64 - 1}}
	if err := n.chain.Fund(n.admin.Address(), xlm); err != nil {
		t.Fatal(err)
	}
	want(t, "mint", n.run(n.admin, n.own(n.admin, "reward", "mint", a, i128(1))).Status, "SUCCESS")
	for name, c := range map[string]struct {
		op   *txnbuild.InvokeHostFunction
		want string
	}{
		"zero":              {n.call("reward", "mint", a, i128(0)), "Error(Contract, #1)"},
		"negative":          {n.call("reward", "mint", a, i128(-5)), "Error(Contract, #1)"},
		"overflow":          {n.call("reward", "mint", a, huge), "Error(Contract, #2)"},
		"negative token":    {n.call("token", "mint", a, i128(-5)), "Error(Contract, #8)"},
		"unknown function":  {n.call("reward", "burn", a, i128(1)), "Error(WasmVm, MissingValue)"},
		"missing argument":  {n.call("reward", "mint", a), "Error(WasmVm, UnexpectedSize)"},
		"wrong type":        {n.call("reward", "mint", a, host.U64(1)), "Error(Value, UnexpectedType)"},
		"wrong hash length": {n.call("content", "get", host.Bytes([]byte{1})), "Error(Value, UnexpectedType)"},
	} {
		if res := n.simulate(n.build(n.admin.Address(), params{}, c.op)); !strings.Contains(res.Error, c.want) {
			t.Errorf("%s: got %q, want %s", name, res.Error, c.want)
		}
	}
	missing := n.call("reward", "mint", a, i128(1))
	missing.HostFunction.InvokeContract.ContractAddress = host.ContractAddress([32]byte{1})
	if res := n.simulate(n.build(n.admin.Address(), params{}, missing)); !strings.Contains(res.Error, "Error(Storage, MissingValue)") {
		t.Errorf("no such contract: %q", res.Error)
	}
}

// The token publishes a Stellar Asset Contract's mint event and answers its questions.
func TestToken(t *testing.T) {
	t.Parallel()
	n := start(t, devchain.Config{})
	got := n.run(n.admin, n.own(n.admin, "token", "mint", addr(n, n.admin.Address()), i128(7)))
	want(t, "status", got.Status, "SUCCESS")
	want(t, "balance", host.BigI128(n.read("token", "balance", addr(n, n.admin.Address()))).Int64(), 7)
	want(t, "name", string(*n.read("token", "name").Str), "DEV:"+n.admin.Address())
	want(t, "decimals", uint32(*n.read("token", "decimals").U32), 7)
	mint := host.Symbol("mint")
	star := "*"
	filter := protocol.GetEventsRequest{StartLedger: got.Ledger, Filters: []protocol.EventFilter{{
		ContractIDs: []string{n.chain.Contract("token")},
		Topics:      []protocol.TopicFilter{{{ScVal: &mint}, {Wildcard: &star}, {Wildcard: &star}}},
	}}}
	events := must(n.rpc.GetEvents(t.Context(), filter))(t)
	want(t, "events", len(events.Events), 1)
	other := host.Symbol("burn")
	filter.Filters[0].Topics[0][0].ScVal = &other
	want(t, "other topic", len(must(n.rpc.GetEvents(t.Context(), filter))(t).Events), 0)
}

// A contract that a test brings along lives beside the samples.
func TestOwnContract(t *testing.T) {
	t.Parallel()
	echo := &host.Contract{
		Name: "echo",
		Spec: []xdr.ScSpecEntry{{Kind: xdr.ScSpecEntryKindScSpecEntryFunctionV0, FunctionV0: &xdr.ScSpecFunctionV0{
			Name:    "echo",
			Inputs:  []xdr.ScSpecFunctionInputV0{{Name: "n", Type: xdr.ScSpecTypeDef{Type: xdr.ScSpecTypeScSpecTypeU32}}},
			Outputs: []xdr.ScSpecTypeDef{{Type: xdr.ScSpecTypeScSpecTypeU32}},
		}}},
		Functions: map[string]host.Function{
			"echo": func(_ *host.Env, args []xdr.ScVal) (xdr.ScVal, error) { return args[0], nil },
		},
	}
	n := start(t, devchain.Config{Contracts: []*host.Contract{echo}})
	want(t, "answer", uint32(*n.read("echo", "echo", host.U32(9)).U32), 9)
	if _, err := devchain.Open(devchain.Config{Contracts: []*host.Contract{echo, echo}}); err == nil {
		t.Error("two contracts of one name were accepted")
	}
}
