// Package host is the environment that the development chain's contracts run in: storage that keeps to a footprint,
// authorization with nonces, events, and the error values a client sees. It follows the Soroban host's rules for what
// an invocation may touch and who must have signed, so that a transaction built for a real network succeeds and fails
// here for the same reasons.
//
// Contracts are Go functions. Nothing is metered, no wasm is run, a contract cannot call another contract, and only
// classic accounts (G…) can authorize. A panic in a contract function is not caught: contracts are trusted code.
package host
