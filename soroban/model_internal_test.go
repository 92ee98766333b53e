package soroban

import "testing"

// The model tries everything that can happen, within small bounds: two
// processes that crash at any point, take each other's operations and channels
// over at any point and go on not knowing it; a chain that includes any
// envelope it was ever sent, at any time until it is invalid, or never; a
// server that answers every question from any ledger so far, with every
// answer, or not at all. In every state of the product the invariants hold.
//
// What a process does in a state is not modelled but run: begin, next,
// recovering, awaiting, conclusion, exhausted, Trail.check and todo,
// lastEnvelope.against, usable, names, lifetime and stands are the functions of production. The model
// supplies what is around them: the chain (model_chain), the database and the
// order of the steps (model_process), the answers (model_reads).
//
// Two facts keep the number of states small. What a process reads may be read
// as late as just before its next write or send: the chain only grows, and the
// server may answer from any old ledger, so waiting takes no answer away. So
// reading is never a step of its own. And states that differ in names alone,
// of processes or channels, count once (model_explore).

// Bounds of the model.
const (
	mProcs    = 2
	mChannels = 2
	mOps      = 2
	mAttempts = 2
	mSeqs     = mOps * mAttempts // sequence numbers that one channel can lose
	mNobody   = mProcs           // owns a record that is free, or whose owner is dead
)

// setup is one configuration to explore.
type setup struct {
	name string
	// ops are the operations, attempts the envelopes for each.
	ops, attempts int
	// keys of the operations, and the database each is in; channels are those
	// of a database. Each process works on the operations of mine.
	key      [mOps]uint8
	channels [mOps][]uint8
	mine     [mProcs][]uint8
	// guarded: the call is authorized, and the authorization has a nonce. It
	// is valid through ledger until.
	guarded bool
	until   uint8
	// window is Config.LedgerWindow. Up to ledger ledgers one closes at a
	// time; then mOutage at once, which is longer than any patience.
	window  uint8
	ledgers uint8
	// lag is how many ledgers the view may be old that an envelope is built
	// on. Views that do not, are of any age.
	lag uint8
	// leases: claiming a channel's record, and trusting a claim that was taken
	// over, are steps of their own. Otherwise a channel is claimed, seen and
	// written in one step. That is all there is if the store fences: a write
	// that is accepted is the owner's, and what the owner knows of the record
	// is what it says.
	leases bool
	// relayed: the authorization is a user's.
	relayed bool
	// thief: somebody puts our authorization into a transaction of their own.
	thief bool
	// refusals: simulations may be refused.
	refusals bool
	// maxFee is Config.MaxFee; it decides whether fee bumps are possible.
	maxFee int64
	// same are the swaps of names that change nothing.
	same []func(mState) mState
	// meets are the events that must occur, beside the common ones.
	meets []string
}

const (
	mFee      = 100
	mNoBump   = mFee
	mOneBump  = 2_000
	mLongLife = 200 // an authorization that outlives the model
	mOutage   = patienceLedgers + 1
)

// No reachable state violates an invariant, and from each every operation
// comes to its end once the faults do. What can be met is met: the model does
// not pass because it does nothing.
func TestModel(t *testing.T) {
	t.Parallel()
	for _, cfg := range setups() {
		t.Run(cfg.name, func(t *testing.T) {
			t.Parallel()
			m := newModel(cfg, production())
			if bad := m.explore(); bad != nil {
				t.Fatal(m.report(bad))
			}
			for _, what := range append(cfg.meets, "completed", "held", "outcome: succeeded", "outcome: failed") {
				if m.met[what] == 0 {
					t.Errorf("never met: %s", what)
				}
			}
			t.Log(m.summary())
		})
	}
}
