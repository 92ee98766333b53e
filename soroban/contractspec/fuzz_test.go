package contractspec_test

import (
	"encoding/json"
	"testing"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// FuzzParse looks for wasm that panics, and for a spec that changes when it is
// written and read again.
func FuzzParse(f *testing.F) {
	wasm, err := contractspec.Encode(append(declared(), function("f", &tU32, param{"v", tMap(tSymbol, tUDT("Tree"))})))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(wasm)
	f.Add(wasm[:len(wasm)-3])
	f.Add(header)
	f.Fuzz(func(t *testing.T, wasm []byte) {
		spec, err := contractspec.Parse(wasm)
		if err != nil {
			return
		}
		again, err := contractspec.New(spec.Entries())
		if err != nil {
			t.Fatalf("a parsed spec cannot be encoded: %v", err)
		}
		if a, b := len(spec.Functions()), len(again.Functions()); a != b {
			t.Fatalf("%d functions became %d", a, b)
		}
		for _, fn := range spec.Functions() {
			for _, input := range fn.Inputs {
				contractspec.TypeName(input.Type)
			}
			// Hostile declarations must not break a conversion either.
			for _, raw := range []string{`{}`, `{"v":null}`, `{"v":{"a":[1]}}`} {
				if vals, err := spec.Args(fn.Name, json.RawMessage(raw)); err == nil && len(vals) != len(fn.Inputs) {
					t.Fatalf("%d values for %d parameters", len(vals), len(fn.Inputs))
				}
			}
			spec.FunctionErrorName(fn.Name, 1)
		}
	})
}

// FuzzArgs looks for JSON that panics, and for an accepted value that Result
// writes differently or that has no encoding.
func FuzzArgs(f *testing.F) {
	for _, tc := range roundTrips {
		f.Add(tc.function, tc.in)
	}
	f.Add("val", `{"map":[[{"vec":[]},{"u32":1.0}]]}`)
	spec := fixture(f)
	f.Fuzz(func(t *testing.T, function, value string) {
		vals, err := spec.Args(function, json.RawMessage(`{"v":`+value+`}`))
		if err != nil || len(vals) != 1 {
			return
		}
		encoded, err := vals[0].MarshalBinary()
		if err != nil {
			t.Fatalf("no encoding: %v", err)
		}
		var decoded xdr.ScVal
		if err := xdr.SafeUnmarshal(encoded, &decoded); err != nil || !decoded.Equals(vals[0]) {
			t.Fatalf("the encoding is another value: %v", err)
		}
		out, err := spec.Result(function, decoded)
		if err != nil {
			t.Fatalf("Result refuses what Args accepts: %v", err)
		}
		if again := convert(t, spec, function, string(out)); !again.Equals(decoded) {
			t.Fatalf("%s became %s", value, out)
		}
		if _, err := contractspec.JSON(decoded); err != nil {
			t.Fatalf("JSON: %v", err)
		}
	})
}

// FuzzResult looks for values from a server that panic, and for results that
// Args reads as another value.
func FuzzResult(f *testing.F) {
	spec := fixture(f)
	for _, tc := range roundTrips {
		vals, err := spec.Args(tc.function, json.RawMessage(`{"v":`+tc.in+`}`))
		if err != nil {
			f.Fatal(err)
		}
		encoded, err := vals[0].MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(tc.function, encoded)
	}
	f.Fuzz(func(t *testing.T, function string, encoded []byte) {
		var v xdr.ScVal
		if xdr.SafeUnmarshal(encoded, &v) != nil {
			return
		}
		out, err := spec.Result(function, v)
		if err != nil {
			return
		}
		if !json.Valid(out) {
			t.Fatalf("not JSON: %s", out)
		}
	})
}
