package contractspec_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/strkey"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// roundTrips lists JSON that Args accepts and, where it differs, what Result
// writes for the value.
var roundTrips = []struct{ function, in, out string }{
	{"bool", `true`, ``},
	{"bool", `false`, ``},
	{"void", `null`, ``},
	{"u32", `0`, ``},
	{"u32", `4294967295`, ``},
	{"u32", `"7"`, `7`},
	{"i32", `-2147483648`, ``},
	{"i32", `2147483647`, ``},
	{"u64", `"0"`, ``},
	{"u64", `"9007199254740993"`, ``},
	{"u64", `"18446744073709551615"`, ``},
	{"u64", `18446744073709551615`, `"18446744073709551615"`},
	{"i64", `"-9223372036854775808"`, ``},
	{"i64", `"9223372036854775807"`, ``},
	{"timepoint", `"1700000000"`, ``},
	{"duration", `86400`, `"86400"`},
	{"u128", `"340282366920938463463374607431768211455"`, ``},
	{"i128", `"-170141183460469231731687303715884105728"`, ``},
	{"i128", `170141183460469231731687303715884105727`, `"170141183460469231731687303715884105727"`},
	{"i128", `-1`, `"-1"`},
	{"i128", `"18446744073709551616"`, ``},
	{"i128", `"-18446744073709551617"`, ``},
	{"u256", `"115792089237316195423570985008687907853269984665640564039457584007913129639935"`, ``},
	{"u256", `"18446744073709551616"`, ``},
	{"i256", `"-57896044618658097711785492504343953926634992332820282019728792003956564819968"`, ``},
	{"i256", `"57896044618658097711785492504343953926634992332820282019728792003956564819967"`, ``},
	{"i256", `"-1"`, ``},
	{"bytes", `""`, ``},
	{"bytes", `"00FFab"`, `"00ffab"`},
	{"bytes4", `"01020304"`, ``},
	{"string", `"a <b> \u00e9 ☃ \ud83d\ude00 \\ud800"`, `"a <b> é ☃ 😀 \\ud800"`},
	{"string", `"\ufffd"`, `"�"`},
	{"string", `{"hex":"ff00"}`, ``},
	{"string", `{"hex":"61"}`, `"a"`},
	{"symbol", `"transfer_1"`, ``},
	{"symbol", `""`, ``},
	{"address", `"` + account + `"`, ``},
	{"address", `"` + contract + `"`, ``},
	{"muxed", `"` + muxedAccount + `"`, ``},
	{"muxed", `"` + account + `"`, ``},
	{"opt_u32", `null`, ``},
	{"opt_u32", `3`, ``},
	{"opt_addr", `"` + contract + `"`, ``},
	{"opt_addr", `null`, ``},
	{"vec_i64", `[]`, ``},
	{"vec_i64", `["1","-2"]`, ``},
	{"res_i128", `{"error":"NotFound"}`, ``},
	{"vec_res", `[{"ok":1},{"error":"NotFound"}]`, ``},
	{"tuple", `[true,"x"]`, ``},
	{"map_symbol", `{"a":1,"b":2}`, ``},
	{"map_symbol", `[["b",2],["a",1]]`, `{"a":1,"b":2}`},
	{"map_u64", `{"10":true,"9":false}`, ``},
	{"map_i32", `{"-1":true,"1":false}`, ``},
	{"map_i128", `{"-1":0,"170141183460469231731687303715884105727":1}`, ``},
	{"map_string", `{"":null,"a/b~c":null}`, ``},
	{"map_string", `[[{"hex":"ff"},null],["a",null]]`, `[["a",null],[{"hex":"ff"},null]]`},
	{"map_bool", `[[true,1],[false,0]]`, `[[false,0],[true,1]]`},
	{"map_bytes", `{"00":1,"0001":2,"ff":3}`, ``},
	{"map_vec", `[[[1,2],1],[[1],2]]`, `[[[1],2],[[1,2],1]]`},
	{"map_map", `[[{"b":1},1],[{"a":2},2],[{},3]]`, `[[{},3],[{"a":2},2],[{"b":1},1]]`},
	{
		"map_error", `[[{"code":2,"type":"contract"},1],[{"code":1,"type":"contract"},2]]`,
		`[[{"code":1,"type":"contract"},2],[{"code":2,"type":"contract"},1]]`,
	},
	{"map_addr", `{"` + contract + `":2,"` + account + `":1}`, `{"` + contract + `":2,"` + account + `":1}`},
	{"map_muxed", `{"` + account + `":1,"` + muxedAccount + `":2}`, ``},
	{"map_val", `[[{"u32":1},1],[{"symbol":"a"},2]]`, ``},
	{"map_i256", `{"-1":1,"0":2}`, ``},
	{"vec_vec", `[["0102"],[],["ffff","0000"]]`, ``},
	{"ticket", `{"amount":"-7","color":"Red","notes":["é",""]}`, ``},
	{"item", `{"amount":"5","name":"gold","note":null}`, ``},
	{"item", `{"note":"n","name":"gold","amount":-5}`, `{"amount":"-5","name":"gold","note":"n"}`},
	{"pair", `[1,"` + account + `"]`, ``},
	{"empty", `{}`, ``},
	{"color", `"Green"`, ``},
	{"color", `1`, `"Red"`},
	{"fault", `"AlreadyVoted"`, ``},
	{"fault", `2`, `"AlreadyVoted"`},
	{"tree", `{"tag":"Leaf"}`, ``},
	{"tree", `{"tag":"Node","values":[1,[{"tag":"Leaf"},{"tag":"Node","values":[2,[]]}]]}`, ``},
	{"error", `{"code":7,"type":"contract"}`, ``},
	{"error", `{"code":"existing_value","type":"auth"}`, ``},
	{"val", `{"vec":[{"u32":1},{"i256":"-1"},{"void":null},{"map":[[{"bool":true},{"bytes":"00"}]]}]}`, ``},
	{"val", `{"error":{"code":1,"type":"contract"}}`, ``},
	{"val", `{"address":"` + muxedAccount + `"}`, ``},
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	for _, tc := range roundTrips {
		t.Run(tc.function+" "+tc.in, func(t *testing.T) {
			t.Parallel()
			want := tc.out
			if want == "" {
				want = tc.in
			}
			first := convert(t, spec, tc.function, tc.in)
			if got := result(t, spec, tc.function, first); got != canonical(t, want) {
				t.Errorf("Result = %s, want %s", got, want)
			}
			if second := convert(t, spec, tc.function, want); !second.Equals(first) {
				t.Errorf("what Result wrote is another value: %v, want %v", second, first)
			}
			if _, err := first.MarshalBinary(); err != nil {
				t.Errorf("the value has no encoding: %v", err)
			}
		})
	}
}

// canonical re-encodes JSON with sorted members, as Result writes it.
func canonical(t *testing.T, in string) string {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(in))
	decoder.UseNumber()
	var v any
	if err := decoder.Decode(&v); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(out.String())
}

func convert(t *testing.T, spec *contractspec.Spec, function, value string) xdr.ScVal {
	t.Helper()
	vals, err := spec.Args(function, json.RawMessage(`{"v":`+value+`}`))
	if err != nil {
		t.Fatalf("Args(%s): %v", value, err)
	}
	if len(vals) != 1 {
		t.Fatalf("Args(%s) gave %d values", value, len(vals))
	}
	return vals[0]
}

func result(t *testing.T, spec *contractspec.Spec, function string, v xdr.ScVal) string {
	t.Helper()
	out, err := spec.Result(function, v)
	if err != nil {
		t.Fatalf("Result: %v", err)
	}
	return string(out)
}

type refusal struct{ function, value, pointer, problem string }

// refusals lists values that Args refuses, and where and why.
var refusals = []refusal{
	{"u32", `1.0`, "/v", "not a decimal integer"},
	{"u32", `1e3`, "/v", "not a decimal integer"},
	{"u32", `-0`, "/v", "not a decimal integer"},
	{"u32", `-1`, "/v", "out of range"},
	{"u32", `4294967296`, "/v", "out of range"},
	{"u32", `true`, "/v", "is a boolean"},
	{"u32", `null`, "/v", "is null"},
	{"i32", `2147483648`, "/v", "out of range"},
	{"i32", `-2147483649`, "/v", "out of range"},
	{"u64", `"+1"`, "/v", "not a decimal integer"},
	{"u64", `"007"`, "/v", "not a decimal integer"},
	{"u64", `" 7"`, "/v", "not a decimal integer"},
	{"u64", `"0x7"`, "/v", "not a decimal integer"},
	{"u64", `""`, "/v", "not a decimal integer"},
	{"u64", `"-"`, "/v", "not a decimal integer"},
	{"u64", `"NaN"`, "/v", "not a decimal integer"},
	{"u64", `"1_000"`, "/v", "not a decimal integer"},
	{"u64", `"١"`, "/v", "not a decimal integer"},
	{"u64", `18446744073709551616`, "/v", "out of range"},
	{"i64", `-9223372036854775809`, "/v", "out of range"},
	{"timepoint", `-1`, "/v", "out of range"},
	{"u128", `"340282366920938463463374607431768211456"`, "/v", "out of range"},
	{"i128", `"170141183460469231731687303715884105728"`, "/v", "out of range"},
	{"i128", `"-170141183460469231731687303715884105729"`, "/v", "out of range"},
	{"i256", `"57896044618658097711785492504343953926634992332820282019728792003956564819968"`, "/v", "out of range"},
	{"u256", `"` + strings.Repeat("9", 80) + `"`, "/v", "too many digits"},
	{"bytes", `"0x00"`, "/v", "hexadecimal"},
	{"bytes", `"abc"`, "/v", "hexadecimal"},
	{"bytes", `"AAECAw=="`, "/v", "hexadecimal"},
	{"bytes4", `"010203"`, "/v", "has 3 bytes"},
	{"bytes4", `[1,2,3,4]`, "/v", "is an array"},
	{"string", `1`, "/v", "is a number"},
	{"string", `"\ud800"`, "", "not valid Unicode"},
	{"string", `"\udc00\ud800"`, "", "not valid Unicode"},
	{"string", `"\ud800\ud800"`, "", "not valid Unicode"},
	{"string", "\"\xff\"", "", "not valid Unicode"},
	{"string", `{"hex":"zz"}`, "/v/hex", "hexadecimal"},
	{"string", `{"hex":"61","x":1}`, "/v", "is an object"},
	{"symbol", `"a-b"`, "/v", "at most 32"},
	{"symbol", `"` + strings.Repeat("a", 33) + `"`, "/v", "at most 32"},
	{"address", `"` + strings.Replace(account, "A", "B", 1) + `"`, "/v", "not a valid address"},
	{"address", `"` + strings.ToLower(account) + `"`, "/v", "not a valid address"},
	{"address", `"` + muxedAccount + `"`, "/v", "not allowed here"},
	{"address", `"` + pool + `"`, "/v", "not allowed here"},
	{"bool", `"true"`, "/v", "is a string"},
	{"bool", `0`, "/v", "is a number"},
	{"void", `false`, "/v", "is a boolean"},
	{"opt_u32", `"x"`, "/v", "not a decimal integer"},
	{"vec_i64", `{"0":1}`, "/v", "is an object"},
	{"vec_i64", `[1,2,1.5]`, "/v/2", "not a decimal integer"},
	{"vec_res", `[{"ok":1,"error":1}]`, "/v/0", "one member"},
	{"vec_res", `[{"error":"Other"}]`, "/v/0/error", "none of the enum's 2 cases"},
	{"tuple", `[true]`, "/v", "1 elements instead of 2"},
	{"tuple", `[true,2]`, "/v/1", "is a number"},
	{"map_symbol", `{"a":1,"a":2}`, "/v/a", "appears twice"},
	{"map_symbol", `[["a",1],["a",2]]`, "/v/1", "same key"},
	{"map_bytes", `{"aa":1,"AA":2}`, "/v/AA", "same key"},
	{"map_symbol", `[["a",1,2]]`, "/v/0", "3 elements"},
	{"map_symbol", `{"a b":1}`, "/v/a b", "at most 32"},
	{"map_u64", `{"01":true}`, "/v/01", "not a decimal integer"},
	{"map_string", `{"a/b~c":1}`, "/v/a~1b~0c", "is a number"},
	{"map_bool", `{"true":1}`, "/v", "is an object"},
	{"item", `{"name":"a","amount":1}`, "/v/note", "is missing"},
	{"item", `{"name":"a","amount":1,"note":null,"x":1}`, "/v/x", "not a member"},
	{"item", `[]`, "/v", "is an array"},
	{"pair", `{"0":1,"1":"` + account + `"}`, "/v", "is an object"},
	{"empty", `{"a":1}`, "/v/a", "not a member"},
	{"color", `"Blue"`, "/v", "none of the enum's 2 cases"},
	{"color", `3`, "/v", "none of the enum's 2 cases"},
	{"color", `"1"`, "/v", "none of the enum's 2 cases"},
	{"color", `true`, "/v", "is a boolean"},
	{"tree", `"Leaf"`, "/v", `member "tag"`},
	{"tree", `{"tag":"Root"}`, "/v/tag", "not a case"},
	{"tree", `{"tag":"Leaf","values":[]}`, "/v/values", "not a member"},
	{"tree", `{"tag":"Node"}`, "/v/values", "is missing"},
	{"tree", `{"tag":"Node","values":[1]}`, "/v/values", "1 elements instead of 2"},
	{"tree", `{"tag":"Node","values":[1,[{"tag":"X"}]]}`, "/v/values/1/0/tag", "not a case"},
	{"error", `{"type":"contract","code":"x"}`, "/v/code", "not a decimal integer"},
	{"error", `{"type":"auth","code":4}`, "/v/code", "not the code"},
	{"error", `{"type":"other","code":4}`, "/v/type", "not a type of error"},
	{"error", `{"type":"auth"}`, "/v", `"type" and "code"`},
	{"val", `5`, "/v", "names the type"},
	{"val", `{"u8":5}`, "/v/u8", "not the name of a type"},
	{"val", `{"vec":[{"u32":-5}]}`, "/v/vec/0/u32", "out of range"},
	{"missing", `1`, "/v", "does not declare the type"},
}

func TestArgsRefused(t *testing.T) {
	t.Parallel()
	secret, err := strkey.Encode(strkey.VersionByteSeed, make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	spec := fixture(t)
	for _, tc := range append(refusals, refusal{"address", `"` + secret + `"`, "/v", "secret seed"}) {
		t.Run(tc.function+" "+tc.value, func(t *testing.T) {
			t.Parallel()
			_, err := spec.Args(tc.function, json.RawMessage(`{"v":`+tc.value+`}`))
			problem, ok := errors.AsType[*contractspec.ValueError](err)
			if !ok {
				t.Fatalf("error = %v, want a ValueError", err)
			}
			if problem.Pointer != tc.pointer || !strings.Contains(problem.Problem, tc.problem) {
				t.Errorf("error = %q at %q, want %q at %q", problem.Problem, problem.Pointer, tc.problem, tc.pointer)
			}
			if strings.Contains(err.Error(), secret) {
				t.Error("the error repeats the secret")
			}
		})
	}
}

func TestArgsDocumentRefused(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	deep := strings.Repeat(`{"vec":[`, 40) + strings.Repeat(`]}`, 40)
	wide := "[" + strings.Repeat("1,", contractspec.MaxJSONValues) + "1]"
	for _, tc := range []struct{ name, raw, problem string }{
		{"empty", ``, "not one well-formed"},
		{"trailing data", `{"v":1} {"v":2}`, "not one well-formed"},
		{"trailing comma", `{"v":1,}`, "not one well-formed"},
		{"not an object", `[1]`, "is an array"},
		{"missing", `{}`, "is missing"},
		{"unknown", `{"v":1,"w":2}`, "not a member"},
		{"duplicate", `{"v":1,"v":1}`, "appears twice"},
		{"escaped duplicate", `{"v":1,"\u0076":1}`, "appears twice"},
		{"NaN", `{"v":NaN}`, "not one well-formed"},
		{"deep", `{"v":` + deep + `}`, "nested deeper"},
		{"very deep", strings.Repeat(`[`, 100_000) + strings.Repeat(`]`, 100_000), "not one well-formed"},
		{"wide", `{"v":` + wide + `}`, "more than 32768 JSON values"},
		{"long", `{"v":"` + strings.Repeat("1", contractspec.MaxJSONBytes) + `"}`, "the limit is 524288"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := spec.Args("u32", json.RawMessage(tc.raw))
			if err == nil || !strings.Contains(err.Error(), tc.problem) {
				t.Fatalf("error = %v, want %q", err, tc.problem)
			}
			if len(err.Error()) > 1000 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func TestLongMemberIsCutInErrors(t *testing.T) {
	t.Parallel()
	raw := fmt.Sprintf(`{"v":1,%q:2}`, strings.Repeat("é", 1000))
	_, err := fixture(t).Args("u32", json.RawMessage(raw))
	problem, ok := errors.AsType[*contractspec.ValueError](err)
	if !ok || len(problem.Pointer) > 80 || !strings.HasSuffix(problem.Pointer, "é…") {
		t.Fatalf("error = %v", err)
	}
}

func TestUnknownFunction(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	if _, err := spec.Args("nope", json.RawMessage(`{}`)); !errors.Is(err, contractspec.ErrUnknownFunction) {
		t.Errorf("Args error = %v", err)
	}
	if _, err := spec.ArgsByName("nope", nil); !errors.Is(err, contractspec.ErrUnknownFunction) {
		t.Errorf("ArgsByName error = %v", err)
	}
	if _, err := spec.Result("nope", xdr.ScVal{}); !errors.Is(err, contractspec.ErrUnknownFunction) {
		t.Errorf("Result error = %v", err)
	}
}

func TestArgsByName(t *testing.T) {
	t.Parallel()
	spec := fixture(t)
	parts := map[string]json.RawMessage{"amount": json.RawMessage(`"5"`), "to": json.RawMessage(`"` + account + `"`)}
	vals, err := spec.ArgsByName("mint", parts)
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(vals); got != "["+account+" 5]" {
		t.Errorf("values = %s", got)
	}
	for _, tc := range []struct{ name, raw, pointer string }{
		{"amount", `1.5`, "/amount"},
		{"amount", `1 2`, "/amount"},
		{"amount", ``, "/amount"},
		{"amount", `{"a":{"b":1,"b":2}}`, "/amount/a/b"},
		{"surplus", `1`, "/surplus"},
	} {
		bad := map[string]json.RawMessage{"amount": parts["amount"], "to": parts["to"]}
		bad[tc.name] = json.RawMessage(tc.raw)
		_, err := spec.ArgsByName("mint", bad)
		if problem, ok := errors.AsType[*contractspec.ValueError](err); !ok || problem.Pointer != tc.pointer {
			t.Errorf("%s = %s: error %v, want it at %s", tc.name, tc.raw, err, tc.pointer)
		}
	}
	if _, err := spec.ArgsByName("mint", map[string]json.RawMessage{"to": parts["to"]}); err == nil {
		t.Error("a missing argument was accepted")
	}
}

// An Option nests a type without nesting the JSON.
func TestNestedOptionsAreBounded(t *testing.T) {
	t.Parallel()
	kind := tU32
	for range 70 {
		kind = tOption(kind)
	}
	spec, err := contractspec.New([]xdr.ScSpecEntry{function("f", nil, param{"v", kind})})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := spec.Args("f", json.RawMessage(`{"v":1}`)); err == nil || !strings.Contains(err.Error(), "nested deeper") {
		t.Errorf("error = %v", err)
	}
}
