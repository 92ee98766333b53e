package contractspec_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/xdr"
)

func u32Val(v uint32) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvU32, U32: new(xdr.Uint32(v))}
}

func vecVal(items ...xdr.ScVal) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvVec, Vec: new(new(xdr.ScVec(items)))}
}

func mapVal(entries ...xdr.ScMapEntry) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvMap, Map: new(new(xdr.ScMap(entries)))}
}

func symVal(s string) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvSymbol, Sym: new(xdr.ScSymbol(s))}
}

func errorVal(e xdr.ScError) xdr.ScVal { return xdr.ScVal{Type: xdr.ScValTypeScvError, Error: &e} }

func TestResultOfDeclaredResult(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	void := xdr.ScVal{Type: xdr.ScValTypeScvVoid}
	contractError := func(code uint32) xdr.ScVal {
		return errorVal(xdr.ScError{Type: xdr.ScErrorTypeSceContract, ContractCode: new(xdr.Uint32(code))})
	}
	for _, tc := range []struct {
		name, function string
		v              xdr.ScVal
		want           string
	}{
		{
			"ok is bare", "balance",
			xdr.ScVal{Type: xdr.ScValTypeScvI128, I128: &xdr.Int128Parts{Hi: -1, Lo: 1}},
			`"-18446744073709551615"`,
		},
		{"named error", "balance", contractError(2), `{"error":"AlreadyVoted"}`},
		{"undeclared error", "balance", contractError(9), `{"error":{"code":9,"type":"contract"}}`},
		{
			"host error", "balance",
			errorVal(xdr.ScError{Type: xdr.ScErrorTypeSceBudget, Code: new(xdr.ScErrorCodeScecExceededLimit)}),
			`{"error":{"code":"exceeded_limit","type":"budget"}}`,
		},
		{"no declared output", "mint", void, `null`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := result(t, spec, tc.function, tc.v); got != tc.want {
				t.Errorf("Result = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestResultAddressesOfEveryKind(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	lp := xdr.ScVal{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{
		Type:            xdr.ScAddressTypeScAddressTypeLiquidityPool,
		LiquidityPoolId: &xdr.PoolId{1, 2, 3},
	}}
	if got := result(t, spec, "address", lp); !strings.HasPrefix(got, `"L`) {
		t.Errorf("pool = %s", got)
	}
	cb := xdr.ScVal{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{
		Type:               xdr.ScAddressTypeScAddressTypeClaimableBalance,
		ClaimableBalanceId: &xdr.ClaimableBalanceId{V0: &xdr.Hash{1}},
	}}
	if got := result(t, spec, "address", cb); !strings.HasPrefix(got, `"B`) {
		t.Errorf("claimable balance = %s", got)
	}
}

func TestResultRefuses(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	key := func(s string, v uint32) xdr.ScMapEntry { return xdr.ScMapEntry{Key: symVal(s), Val: u32Val(v)} }
	deep := u32Val(1)
	for range 100 {
		deep = vecVal(deep)
	}
	for _, tc := range []struct {
		name, function string
		v              xdr.ScVal
		pointer        string
	}{
		{"other integer", "u64", u32Val(1), ""},
		{"other kind in a vector", "vec_i64", vecVal(u32Val(1)), "/0"},
		{"short tuple", "tuple", vecVal(), ""},
		{"short BytesN", "bytes4", xdr.ScVal{Type: xdr.ScValTypeScvBytes, Bytes: &xdr.ScBytes{1}}, ""},
		{"unknown enum value", "color", u32Val(9), ""},
		{"unknown union case", "tree", vecVal(symVal("Root")), "/tag"},
		{"void case with values", "tree", vecVal(symVal("Leaf"), u32Val(1)), ""},
		{"union without case", "tree", vecVal(), ""},
		{"struct with another field", "item", mapVal(key("amount", 1), key("nam", 1), key("note", 1)), "/amount"},
		{"struct with fewer fields", "item", mapVal(key("amount", 1)), ""},
		{"repeated map key", "map_symbol", mapVal(key("a", 1), key("a", 2)), ""},
		{"not a symbol", "symbol", symVal("a b"), ""},
		{"internal kind", "val", xdr.ScVal{Type: xdr.ScValTypeScvLedgerKeyContractInstance}, ""},
		{"too deep", "val", deep, strings.Repeat("/vec/0", 32)},
		{"no output", "mint", u32Val(1), ""},
		{"void for bool", "bool", xdr.ScVal{Type: xdr.ScValTypeScvVoid}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := spec.Result(tc.function, tc.v)
			problem, ok := errors.AsType[*contractspec.ValueError](err)
			if !ok || problem.Pointer != tc.pointer {
				t.Errorf("error = %v, want a ValueError at %q", err, tc.pointer)
			}
		})
	}
}

// A union built by hand, or by a decoder with a bug, can lack the arm that its
// type names.
func TestResultSurvivesMissingArms(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	for kind := range xdr.ScValType(24) {
		v := xdr.ScVal{Type: kind}
		if _, err := contractspec.JSON(v); err == nil && kind != xdr.ScValTypeScvVoid {
			t.Errorf("JSON wrote %s without its arm", kind)
		}
		for name := range echoes() {
			voidFits := kind == xdr.ScValTypeScvVoid && (name == "void" || strings.HasPrefix(name, "opt_") || name == "val")
			if _, err := spec.Result(name, v); err == nil && !voidFits {
				t.Errorf("Result(%s) wrote %s without its arm", name, kind)
			}
		}
	}
	halves := []xdr.ScVal{
		{Type: xdr.ScValTypeScvVec, Vec: new((*xdr.ScVec)(nil))},
		{Type: xdr.ScValTypeScvMap, Map: new((*xdr.ScMap)(nil))},
		errorVal(xdr.ScError{}), errorVal(xdr.ScError{Type: 3}), errorVal(xdr.ScError{Type: 99}),
		errorVal(xdr.ScError{Type: 3, Code: new(xdr.ScErrorCode(99))}),
		{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{AccountId: &xdr.AccountId{}}},
	}
	for kind := range xdr.ScAddressType(7) {
		halves = append(halves, xdr.ScVal{Type: xdr.ScValTypeScvAddress, Address: &xdr.ScAddress{Type: kind}})
	}
	for _, v := range halves {
		if out, err := contractspec.JSON(v); err == nil {
			t.Errorf("JSON wrote %s for half a value", out)
		}
	}
}

// The host refuses maps whose keys are out of its order.
func TestMapKeysAreInHostOrder(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	for _, tc := range []struct{ function, in, want string }{
		{"map_u64", `{"10":true,"9":true,"100":true}`, `9 10 100`},
		{"map_i32", `{"-1":true,"1":true,"-10":true}`, `-10 -1 1`},
		{
			"map_i128", `{"0":1,"-1":1,"18446744073709551616":1,"-18446744073709551617":1}`,
			`-18446744073709551617 -1 0 18446744073709551616`,
		},
		{
			"map_i256", `{"0":1,"-1":1,"340282366920938463463374607431768211456":1,"18446744073709551616":1}`,
			`-1 0 18446744073709551616 340282366920938463463374607431768211456`,
		},
		{"map_symbol", `{"b":1,"a_":1,"a":1,"B":1}`, `B a a_ b`},
		{"map_bytes", `{"ff":1,"00":1,"0001":1,"":1}`, ` 00 0001 ff`},
		{"map_vec", `[[[2],1],[[1,9],1],[[1],1],[[],1]]`, `[] [1] [1 9] [2]`},
		{
			"map_muxed", `{"` + muxedAccount + `":1,"` + contract + `":1,"` + account + `":1}`,
			account + ` ` + contract + ` ` + muxedAccount,
		},
		// Types are ordered by their number in the protocol, symbols after vectors' elements.
		{
			"map_val", `[[{"vec":[]},1],[{"symbol":"a"},1],[{"u64":"0"},1],[{"u32":9},1],[{"void":null},1],[{"bool":true},1],[{"bool":false},1]]`,
			`false true (void) 9 0 a []`,
		},
	} {
		v := convert(t, spec, tc.function, tc.in)
		var keys []string
		for _, entry := range **v.Map {
			keys = append(keys, entry.Key.String())
		}
		if got := strings.Join(keys, " "); got != tc.want {
			t.Errorf("%s: keys in the order %s, want %s", tc.function, got, tc.want)
		}
	}
}
