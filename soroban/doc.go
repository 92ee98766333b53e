// Package soroban makes a contract call on a Stellar network happen exactly
// once for each idempotency key, whatever crashes, restarts, retries or gives
// the wrong answer in between.
//
//	sub, err := soroban.New(soroban.Config{RPC: client, Passphrase: …, Store: store, …})
//	err = eng.Register("mint", sub.Reconcile)
//	out, err := eng.Do(ctx, onceward.Request{Key: key, Kind: "mint", Policy: onceward.Reconcile, …},
//		func(ctx context.Context, op *onceward.Operation) (onceward.Response, error) {
//			return sub.Do(ctx, op, soroban.Invocation{Contract: "C…", Function: "mint", Args: args, Signer: "minter"})
//		})
//
// Two rules carry everything: nothing leaves the process that is not durably
// stored, and nothing is built anew before a proof that the last envelope can
// never be applied.
//
// # How it works
//
// An operation reserves a channel, an account that only supplies sequence
// numbers and pays fees. The call is simulated, its authorization pinned to a
// nonce that is derived from the key, signed, simulated again, and put into an
// envelope that is valid for a few ledgers. The envelope is stored as a
// checkpoint of the operation's record; only then is it sent, and sent again,
// always the same bytes, until the chain gives a verdict. The verdict is
// stored, and then the key is completed. A process that dies anywhere leaves
// enough for any other to continue; see Submitter.Reconcile.
//
// A transaction that is refused for its fee gets a fee bump around it, stored
// before it is sent, up to Config.MaxFee; its hash stays. Entries that have
// been archived are restored by an attempt of its own kind, which is stored,
// sent and proven like the others, where the server does not let the call do
// that itself.
//
// # What proves what
//
//   - One getLedgerEntries answer that shows the channel's sequence below the
//     envelope's, in the last ledger the envelope is valid for or later: it
//     was never applied and never will be. A lagging server cannot give that
//     answer too early.
//   - A transaction found by its hash, whose envelope hashes to that again
//     under the pinned passphrase: it was applied, or failed.
//   - The nonce entry exists: the operation succeeded, by whichever
//     transaction. A failure of ours is therefore final only without it.
//   - No nonce entry in exactly the last ledger of an authorization: it was
//     never used, and never will be. An earlier answer leaves time for it; at a
//     later one the entry of one that was used may have ended.
//   - A contract that guards itself with a request id refuses one that it has
//     seen: the operation succeeded, by the transaction that is then found in
//     the history; see RequestID.
//
// Each of them is one answer of one server, which must have said that it is of
// the pinned network: what several show is never put together.
//
// "Not found", timeouts and every answer to sendTransaction prove nothing.
//
// # What is guaranteed
//
// At most one success for a key, in one database or in several that share
// Config.NonceSecret: the network refuses a nonce that was used. An operation
// whose database was lost is answered from the chain with the original
// transaction, for as long as its authorization would have been valid
// (Config.GuardWindow) and the server keeps history. A channel is not used
// again while an envelope on it may live, which its record and the chain say,
// not a lease. A channel that is found ahead of its record, as after restoring
// a backup, is in quarantine until forgotten envelopes have expired; one whose
// network was reset, until a person has looked. See ChannelAdmin.
//
// # What is not guaranteed
//
// A function that asks for nobody's authorization has no nonce. Its envelopes
// are proven like all others, so one database never makes it happen twice, but
// two databases can, and so can a lost one. A function that asks for the
// channel's own authorization is refused. A contract that takes a request id
// closes that gap for as long as it remembers the ids.
//
// An envelope that is accepted and then outbid is not bumped, since no answer
// says so: it expires, and the next one bids the same. A transaction that
// fails on the ledger is final, whatever it failed of.
//
// An authorization that was sent can be used by whoever saw it, until it
// expires. The operation then happens by their transaction, once, and is
// reported with that. This can even follow a Failed that was reported before:
// keep GuardWindow short if that matters more than recovery. Two databases
// that sign the same key at the same time sign different expiries; the longer
// one outlives the chain's memory of the shorter by their difference.
//
// The RPC server is believed about what ledgers contain. What it may not do is
// choose what is signed: a call other than the one requested, and fees above
// Config.MaxFee, are refused.
//
// Past the life of the nonce entry and the server's history nobody can tell
// any more what became of an envelope: the operation is held for a person. So
// is one whose network was reset under it, and one whose contract says that it
// was executed by a transaction that cannot be found.
//
// What users have signed themselves is relayed by a Relay, which says what holds
// for it.
//
// Not implemented: authorization by contracts (C…) or by several signers, and
// fees that follow the network's own statistics.
package soroban
