package contractspec_test

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/onceward/onceward/soroban/contractspec"
	"github.com/stellar/go-stellar-sdk/xdr"
)

// rewardWasm stands for the bytes of a contract code entry on the ledger.
func rewardWasm() []byte {
	balance := tResult(tI128, tUDT("RewardError"))
	wasm, err := contractspec.Encode([]xdr.ScSpecEntry{
		function("mint", nil, param{"to", tAddress}, param{"amount", tI128}),
		function("balance", &balance, param{"of", tAddress}),
		errorEnum("RewardError", "NotAuthorized", "SupplyExceeded"),
	})
	if err != nil {
		panic(err)
	}
	return wasm
}

func Example() {
	spec, err := contractspec.Parse(rewardWasm())
	if err != nil {
		fmt.Println(err)
		return
	}

	args, err := spec.Args("mint", json.RawMessage(`{
		"to": "GAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSABOV",
		"amount": "170141183460469231731687303715884105727"
	}`))
	fmt.Println(len(args), args[1].Type, err)

	balance, err := spec.Result("balance", args[1])
	fmt.Printf("%s %v\n", balance, err)

	name, _ := spec.ErrorName(2)
	fmt.Println(name)
	// Output:
	// 2 ScValTypeScvI128 <nil>
	// "170141183460469231731687303715884105727" <nil>
	// SupplyExceeded
}

func ExampleValueError() {
	spec, err := contractspec.Parse(rewardWasm())
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = spec.Args("mint", json.RawMessage(`{
		"to": "GAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPSABOV",
		"amount": 1e3
	}`))
	if problem, ok := errors.AsType[*contractspec.ValueError](err); ok {
		fmt.Println(problem.Pointer)
		fmt.Println(problem.Expected)
		fmt.Println(problem.Problem)
	}
	// Output:
	// /amount
	// i128
	// is not a decimal integer such as 42 or -7, without fraction, exponent or leading zeros
}

func ExampleSpec_Functions() {
	spec, err := contractspec.Parse(rewardWasm())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, f := range spec.Functions() {
		fmt.Print(f.Name)
		for _, input := range f.Inputs {
			fmt.Print(" ", input.Name, ":", contractspec.TypeName(input.Type))
		}
		if f.Output != nil {
			fmt.Print(" -> ", contractspec.TypeName(*f.Output))
		}
		fmt.Println()
	}
	// Output:
	// mint to:address amount:i128
	// balance of:address -> Result<i128, RewardError>
}
