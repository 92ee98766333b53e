// Package devchain is a Stellar network of one node for development and tests: it speaks the JSON-RPC of stellar-rpc,
// keeps a queue by stellar-core's rules, closes ledgers, and breaks on request in the ways that real networks do.
// Unmodified official clients work on it.
//
//	chain, err := devchain.Open(devchain.Config{Dir: "./data"})
//	go chain.Run(ctx)                       // a ledger every second
//	http.ListenAndServe("127.0.0.1:8000", chain.Handler())
//
// Tests leave Run out and call CloseLedger when they want a ledger, Fund for accounts, and Inject for faults.
//
// # What holds
//
// At the level of transactions it behaves like the network (protocol 28): hashes, signatures, sequence numbers, one
// transaction of a source account in a ledger, exclusive maxLedger, fee bumps and their replacement rule, bans, age
// limits, footprints, authorization entries with nonces that live as long as the signature, account entries with
// seqLedger, TTLs with archival and restoration (automatic, or by an operation of its own), result codes, metadata and events.
//
// With Config.Dir a ledger is on disk, fsynced, before any client can see it, and survives a kill. The queue and the
// bans do not survive, as they would not in stellar-core. The log is rewritten when it has doubled (and holds more
// than 64 MiB); a ledger without transactions costs about 20 bytes until then.
//
// # What does not
//
// Contracts are Go functions (package host, package samples). No wasm is run, uploaded or created; the contract code
// entries hold only the description that clients read. Contracts cannot call each other and only accounts (G…) can
// authorize. Nothing is metered: resource fees follow a flat tariff on what a transaction declares, and are charged
// in full. There is no consensus, no other node, no history archive; what other nodes might do is played by faults.
//
// Classic operations are limited to CreateAccount and Payment in XLM; others fail with opNOT_SUPPORTED. Accounts have
// a master key only. Events of fees and classic payments are not emitted, ledgers of the same second share their
// close time, the header's bucket list hash proves nothing, and the JSON form of XDR is not rendered.
//
// The default minting key, DevAdminSeed, is public. Never reuse it, or expose a development chain to a network.
package devchain
