// Package samples holds the contracts that exist on every development chain from its first ledger: a content registry,
// votes, a reward token and a token that answers like a Stellar Asset Contract.
//
// They are shaped like contracts people write, guards and omissions included: the registry and the votes refuse a
// second submission, the tokens mint as often as they are asked. They are examples, not audited code.
package samples
