package soroban

import "os"

// bound chooses between the bounds of every test run and those of make model.
func bound[T any](small, large T) T {
	if os.Getenv("ONCEWARD_MODEL") == "large" {
		return large
	}
	return small
}

func setups() []setup {
	all := []setup{oneKey(), unguarded(), bumped(), leased(), stolen(), relayedKey(), twoKeys(), twoDatabases()}
	return append(all, bound(nil, []setup{anyProcess()})...)
}

// oneKey: two processes and two attempts at one operation.
func oneKey() setup {
	return setup{
		name: "one key", ops: 1, attempts: 2, guarded: true, until: mLongLife, maxFee: mNoBump,
		window: 3, ledgers: bound[uint8](4, 6), lag: bound[uint8](1, 3),
		channels: [mOps][]uint8{{0, 1}}, mine: [mProcs][]uint8{{0}, {0}},
		same: []func(mState) mState{swapProcs, swapChannels}, meets: []string{"proof: expired", "verdict: unknown", "fenced"},
	}
}

// unguarded: without a nonce, only the proofs keep it from happening twice.
func unguarded() setup {
	c := oneKey()
	c.name, c.guarded, c.ledgers = "one key, no nonce", false, bound[uint8](3, 6)
	c.meets = append(c.meets, "released")
	return c
}

// bumped: the envelope may be sent with another fee.
func bumped() setup {
	c := oneKey()
	c.name, c.maxFee = "one key, a fee bump", mOneBump
	c.ledgers, c.attempts = bound[uint8](2, 5), bound(1, 2)
	c.meets = append(c.meets, "fee bump")
	return c
}

// leased: a channel changes hands in every way.
func leased() setup {
	c := oneKey()
	c.name, c.leases, c.attempts, c.lag = "one key, leases of channels", true, 1, 1
	c.ledgers = bound[uint8](2, 4)
	c.channels, c.same = [mOps][]uint8{{0}}, c.same[:1]
	c.meets = append(c.meets, "channel: fenced")
	return c
}

// stolen: a thief uses the authorization, and it ends early.
func stolen() setup {
	c := oneKey()
	c.name, c.thief, c.refusals = "one key, a thief", true, true
	c.ledgers, c.until = bound[uint8](3, 5), bound[uint8](4, 6)
	c.meets = append(c.meets, "released")
	return c
}

// relayedKey: the authorization is a user's, and what becomes of it is seen to
// its end.
func relayedKey() setup {
	c := stolen()
	c.name, c.relayed = "one key, a user's authorization", true
	c.meets = append(c.meets, "proof: unused")
	return c
}

// twoKeys: two operations contend for the channels, each in a process of its
// own.
func twoKeys() setup {
	c := oneKey()
	c.name, c.ops, c.key, c.channels[1] = "two keys", 2, [mOps]uint8{0, 1}, c.channels[0]
	c.mine, c.attempts = [mProcs][]uint8{{0}, {1}}, bound(1, 2)
	c.ledgers, c.lag, c.guarded = bound[uint8](3, 6), bound[uint8](0, 2), bound(false, true)
	c.same[0] = both(swapProcs, swapOps)
	c.meets = []string{"proof: expired", "proof: superseded", "verdict: unknown"}
	return c
}

// anyProcess: the same, and either process takes either operation. Only within
// the larger bounds.
func anyProcess() setup {
	c := twoKeys()
	c.name, c.mine = "two keys, any process", [mProcs][]uint8{{0, 1}, {0, 1}}
	c.attempts, c.ledgers, c.lag, c.guarded = 2, 3, 1, false
	c.same = []func(mState) mState{swapProcs, swapOps, swapChannels}
	c.meets = []string{"proof: expired", "verdict: unknown", "fenced"}
	return c
}

// twoDatabases: two installations share the secret of the nonces, and nothing
// else.
func twoDatabases() setup {
	c := oneKey()
	c.name, c.ops, c.refusals = "one key, two databases", 2, true
	c.channels, c.mine = [mOps][]uint8{{0}, {1}}, [mProcs][]uint8{{0}, {1}}
	c.attempts, c.ledgers = bound(1, 2), bound[uint8](3, 5)
	c.same = []func(mState) mState{both(swapProcs, both(swapOps, swapChannels))}
	c.meets = []string{"proof: expired", "verdict: unknown", "released"}
	return c
}
