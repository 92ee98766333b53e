package soroban_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stellar/go-stellar-sdk/txnbuild"
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain/host"
)

// What is not admitted is refused before anything is stored or sent.
func TestRelayRefusesTransactions(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u, other := w.gate(w.store()), w.user(), w.user()
		channel := w.channels[0].Address()
		invoke := func(tx *xdr.Transaction) *xdr.InvokeHostFunctionOp {
			return tx.Operations[0].Body.InvokeHostFunctionOp
		}
		for name, tc := range map[string]struct {
			code string
			edit func(*xdr.Transaction)
		}{
			"no bounds": {soroban.RelayUnbounded, func(tx *xdr.Transaction) {
				tx.Cond = xdr.Preconditions{Type: xdr.PreconditionTypePrecondNone}
			}},
			"bounds without an end": {soroban.RelayUnbounded, func(tx *xdr.Transaction) { tx.Cond.TimeBounds.MaxTime = 0 }},
			"minimum sequence": {soroban.RelayUnsupported, func(tx *xdr.Transaction) {
				tx.Cond = xdr.Preconditions{Type: xdr.PreconditionTypePrecondV2, V2: &xdr.PreconditionsV2{
					LedgerBounds: &xdr.LedgerBounds{MaxLedger: 100}, MinSeqNum: new(xdr.SequenceNumber(1)),
				}}
			}},
			"a channel's transaction": {soroban.RelayForeign, func(tx *xdr.Transaction) {
				tx.SourceAccount = xdr.MustMuxedAddress(channel)
			}},
			"another's operation": {soroban.RelayForeign, func(tx *xdr.Transaction) {
				tx.Operations[0].SourceAccount = new(xdr.MustMuxedAddress(other.Address()))
			}},
			"a signer's authorization": {soroban.RelayForeign, func(tx *xdr.Transaction) {
				invoke(tx).Auth[0].Credentials = xdr.SorobanCredentials{
					Type:    xdr.SorobanCredentialsTypeSorobanCredentialsAddress,
					Address: &xdr.SorobanAddressCredentials{Address: *address(w, w.chain.Admin()).Address, Signature: xdr.ScVal{Type: xdr.ScValTypeScvVoid}},
				}
			}},
			"another contract": {soroban.RelayNotAllowed, func(tx *xdr.Transaction) {
				*invoke(tx).HostFunction.InvokeContract = w.call("reward", "mint", address(w, recipient), i128(1))
			}},
			"another function": {soroban.RelayNotAllowed, func(tx *xdr.Transaction) {
				invoke(tx).HostFunction.InvokeContract.FunctionName = "cast_for"
			}},
			"a nested call": {soroban.RelayNotAllowed, func(tx *xdr.Transaction) {
				call := w.call("reward", "transfer")
				invoke(tx).Auth[0].RootInvocation.SubInvocations = []xdr.SorobanAuthorizedInvocation{{
					Function: xdr.SorobanAuthorizedFunction{ContractFn: &call},
				}}
			}},
			"a created contract": {soroban.RelayUnsupported, func(tx *xdr.Transaction) {
				invoke(tx).HostFunction = xdr.HostFunction{
					Type: xdr.HostFunctionTypeHostFunctionTypeUploadContractWasm, Wasm: new([]byte{0}),
				}
			}},
			"a payment": {soroban.RelayUnsupported, func(tx *xdr.Transaction) {
				payment, err := (&txnbuild.Payment{Destination: other.Address(), Amount: "1", Asset: txnbuild.NativeAsset{}}).BuildXDR()
				if err != nil {
					w.Fatal(err)
				}
				tx.Operations[0] = payment
			}},
			"two operations": {soroban.RelayUnsupported, func(tx *xdr.Transaction) {
				tx.Operations = append(tx.Operations, tx.Operations[0])
			}},
			"not prepared": {soroban.RelayUnsupported, func(tx *xdr.Transaction) { tx.Ext = xdr.TransactionExt{} }},
			"expensive":    {soroban.RelayFee, func(tx *xdr.Transaction) { tx.Fee = 4_000_000_000 }},
		} {
			_, err := g.relay.Transaction(u.signed(u.vote(1), tc.edit))
			if e, ok := errors.AsType[*soroban.RelayError](err); !ok || e.Code != tc.code || e.Detail == "" {
				w.Errorf("%s: error %v, want %q", name, err, tc.code)
			}
		}
		for encoded, code := range map[string]string{
			"": soroban.RelayMalformed, "!": soroban.RelayMalformed, "AAAA": soroban.RelayMalformed,
			u.signed(u.vote(1)) + "AAAA":     soroban.RelayMalformed,
			strings.Repeat("A", 100_000):     soroban.RelayMalformed,
			u.entry(u.vote(1), 1, 100):       soroban.RelayMalformed,
			w.unsigned(u.prepare(u.vote(1))): soroban.RelaySignature,
		} {
			_, err := g.relay.Transaction(encoded)
			wantRelayError(w, err, code)
		}
	})
}

func (w *world) unsigned(tx xdr.Transaction) string {
	w.Helper()
	encoded, err := xdr.MarshalBase64(xdr.TransactionEnvelope{Type: xdr.EnvelopeTypeEnvelopeTypeTx, V1: &xdr.TransactionV1Envelope{Tx: tx}})
	if err != nil {
		w.Fatal(err)
	}
	return encoded
}

// What only the chain can tell is found out before anything is stored.
func TestRelayRefusesByTheChain(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u, other := w.gate(w.store()), w.user(), w.user()
		stranger := &user{other.Full, w}
		for name, tc := range map[string]struct{ code, encoded string }{
			"of another network": {soroban.RelaySignature, u.sign(u.prepare(u.vote(1)), "another network")},
			"by another":         {soroban.RelaySignature, stranger.sign(u.prepare(u.vote(1)), w.chain.Passphrase())},
			"too long": {soroban.RelayUnbounded, u.signed(u.vote(1), func(tx *xdr.Transaction) {
				tx.Cond.TimeBounds.MaxTime = xdr.TimePoint(time.Now().Add(2 * time.Hour).Unix()) //nolint:gosec // after 1970
			})},
			"over": {soroban.RelayExpired, u.signed(u.vote(1), func(tx *xdr.Transaction) {
				tx.Cond.TimeBounds.MaxTime = xdr.TimePoint(time.Now().Add(-time.Minute).Unix()) //nolint:gosec // after 1970
			})},
			"few resources": {soroban.RelayFee, u.signed(u.vote(1), func(tx *xdr.Transaction) {
				tx.Ext.SorobanData.ResourceFee = 1
			})},
			"used long ago": {soroban.RelaySequence, u.signed(u.vote(1), func(tx *xdr.Transaction) { tx.SeqNum -= 5 })},
		} {
			_, err := g.do("k", g.transaction(tc.encoded))
			if e, ok := errors.AsType[*soroban.RelayError](err); !ok || e.Code != tc.code {
				w.Errorf("%s: error %v, want %q", name, err, tc.code)
			}
			want(w, name+": released", g.released("k"), true)
		}
		want(w, "sends", g.sends.Load(), 0)
	})
}

func TestRelayRefusesAuthorizations(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gate(w.store()), w.user()
		for name, tc := range map[string]struct {
			code string
			edit func(*xdr.SorobanAuthorizationEntry)
		}{
			"credentials of the channel": {soroban.RelayUnsupported, func(e *xdr.SorobanAuthorizationEntry) {
				e.Credentials = xdr.SorobanCredentials{Type: xdr.SorobanCredentialsTypeSorobanCredentialsSourceAccount}
			}},
			"a contract's": {soroban.RelayUnsupported, func(e *xdr.SorobanAuthorizationEntry) {
				e.Credentials.Address.Address = *address(w, w.chain.Contract("votes")).Address
			}},
			"a channel's": {soroban.RelayForeign, func(e *xdr.SorobanAuthorizationEntry) {
				e.Credentials.Address.Address = *address(w, w.channels[0].Address()).Address
			}},
			"another function": {soroban.RelayNotAllowed, func(e *xdr.SorobanAuthorizationEntry) {
				e.RootInvocation.Function.ContractFn.FunctionName = "cast_for"
			}},
			"a nested call": {soroban.RelayNotAllowed, func(e *xdr.SorobanAuthorizationEntry) {
				call := w.call("reward", "transfer")
				e.RootInvocation.SubInvocations = []xdr.SorobanAuthorizedInvocation{{Function: xdr.SorobanAuthorizedFunction{ContractFn: &call}}}
			}},
			"a created contract": {soroban.RelayNotAllowed, func(e *xdr.SorobanAuthorizationEntry) {
				e.RootInvocation.Function = xdr.SorobanAuthorizedFunction{
					Type: xdr.SorobanAuthorizedFunctionTypeSorobanAuthorizedFunctionTypeCreateContractHostFn,
					CreateContractHostFn: &xdr.CreateContractArgs{ContractIdPreimage: xdr.ContractIdPreimage{
						Type: xdr.ContractIdPreimageTypeContractIdPreimageFromAsset, FromAsset: &xdr.Asset{},
					}, Executable: xdr.ContractExecutable{Type: xdr.ContractExecutableTypeContractExecutableStellarAsset}},
				}
			}},
		} {
			_, err := g.relay.Authorization(u.entry(u.vote(1), 1, 100, tc.edit), "")
			if e, ok := errors.AsType[*soroban.RelayError](err); !ok || e.Code != tc.code {
				w.Errorf("%s: error %v, want %q", name, err, tc.code)
			}
		}
		// A signature over another call, or none.
		var e xdr.SorobanAuthorizationEntry
		if err := xdr.SafeUnmarshalBase64(u.entry(u.vote(1), 1, 100), &e); err != nil {
			w.Fatal(err)
		}
		e.RootInvocation.Function.ContractFn.Args[1] = host.U64(2)
		wantRelayError(w, authorize(g, e), soroban.RelaySignature)
		e.Credentials.Address.Signature = xdr.ScVal{Type: xdr.ScValTypeScvVoid}
		wantRelayError(w, authorize(g, e), soroban.RelaySignature)
		// An invocation that is not the authorized one.
		call, err := xdr.MarshalBase64(u.vote(2))
		if err != nil {
			w.Fatal(err)
		}
		_, err = g.relay.Authorization(u.entry(u.vote(1), 1, 100), call)
		wantRelayError(w, err, soroban.RelayMalformed)
		_, err = g.relay.Authorization(u.entry(u.vote(2), 1, 100), call)
		want(w, "the same invocation", err, nil)
	})
}

func authorize(g *gate, e xdr.SorobanAuthorizationEntry) error {
	encoded, err := xdr.MarshalBase64(e)
	if err != nil {
		return err
	}
	_, err = g.relay.Authorization(encoded, "")
	return err
}

// A nested call that the policy admits beneath others is no call of its own.
func TestRelayNested(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		transfer := soroban.Allowed{Contract: w.chain.Contract("reward"), Function: "*"}
		g, u := w.gate(w.store(), func(p *soroban.RelayPolicy) { p.AllowNested = []soroban.Allowed{transfer} }), w.user()
		call := w.call("reward", "transfer")
		_, err := g.relay.Authorization(u.entry(u.vote(1), 1, 100, func(e *xdr.SorobanAuthorizationEntry) {
			e.RootInvocation.SubInvocations = []xdr.SorobanAuthorizedInvocation{{Function: xdr.SorobanAuthorizedFunction{ContractFn: &call}}}
		}), "")
		want(w, "nested", err, nil)
		_, err = g.relay.Authorization(u.entry(call, 1, 100), "")
		wantRelayError(w, err, soroban.RelayNotAllowed)
	})
}

func TestRelayPolicyIsChecked(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		sub := w.gate(w.store()).sub
		votes := []soroban.Allowed{{Contract: w.chain.Contract("votes"), Function: "cast"}}
		for name, policy := range map[string]soroban.RelayPolicy{
			"Allow":                   {},
			"not a contract address":  {Allow: []soroban.Allowed{{Contract: "G", Function: "f"}}},
			"MaxFee":                  {Allow: votes, MaxFee: 1 << 40},
			"MaxLedgers":              {Allow: votes, MaxLedgers: 1},
			"MaxTime":                 {Allow: votes, MaxTime: -1},
			"MaxBytes":                {Allow: votes, MaxBytes: 1 << 30},
			"no signer is configured": {Allow: votes, FeeSigner: "nobody"},
		} {
			if _, err := sub.NewRelay(policy); err == nil || !strings.Contains(err.Error(), name) {
				w.Errorf("%s: %v", name, err)
			}
		}
	})
}

// The fee of the channel's transaction is bounded, too.
func TestRelayAuthorizationFee(t *testing.T) {
	t.Parallel()
	inWorld(t, 1, func(w *world) {
		g, u := w.gate(w.store(), func(p *soroban.RelayPolicy) { p.MaxFee = 10_001 }), w.user()
		_, err := g.do("k", g.authorization(u.entry(u.vote(1), 1, 100)))
		wantRelayError(w, err, soroban.RelayFee)
		want(w, "released", g.released("k"), true)
		want(w, "sends", g.sends.Load(), 0)
	})
}
