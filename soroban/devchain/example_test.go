package devchain_test

import (
	"fmt"

	"github.com/onceward/onceward/soroban/devchain"
)

// A chain for a test: no clock runs, ledgers close when the test says so.
func ExampleOpen() {
	chain, err := devchain.Open(devchain.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = chain.Close() }()
	seq, err := chain.CloseLedger()
	fmt.Println(seq, err)
	fmt.Println(chain.Passphrase())
	// Output:
	// 2 <nil>
	// Onceward Development Network ; 2026
}

// The first answer to sendTransaction gets lost, although the transaction was accepted.
func ExampleChain_Inject() {
	chain, err := devchain.Open(devchain.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = chain.Close() }()
	err = chain.Inject(devchain.Fault{Method: "sendTransaction", Kind: devchain.LoseResponse, Times: 1})
	fmt.Println(err, chain.Faults())
	// Output: <nil> [sendTransaction:lose-response:1]
}
