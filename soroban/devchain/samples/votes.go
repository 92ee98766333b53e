package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// AlreadyVoted is the error for a second vote of the same voter on the same proposal.
const AlreadyVoted = 1

// Votes counts one vote per voter and proposal. Proposals are numbers and need no opening.
func Votes() *host.Contract {
	return &host.Contract{
		Name: "votes",
		Spec: []xdr.ScSpecEntry{
			fn("Casts a vote and returns how many votes the proposal has.", "cast", &tU32,
				param{"voter", tAddress}, param{"proposal_id", tU64}, param{"support", tBool}),
			fn("Casts a vote for a voter whom the admin vouches for; otherwise like cast.", "cast_for", &tU32,
				param{"voter", tAddress}, param{"proposal_id", tU64}, param{"support", tBool}),
			fn("The votes on a proposal.", "tally", new(udt("Tally")), param{"proposal_id", tU64}),
			structure("", "Tally", param{"against", tU32}, param{"in_favor", tU32}),
			errorEnum(failure{AlreadyVoted, "AlreadyVoted", "This voter has voted on this proposal."}),
		},
		Functions: map[string]host.Function{"cast": bySender(cast), "cast_for": byAdmin(cast), "tally": tally},
	}
}

func tallyKey(proposal xdr.ScVal) xdr.ScVal { return host.Vec(host.Symbol("Tally"), proposal) }

func readTally(env *host.Env, proposal xdr.ScVal) (against, inFavor uint32, err error) {
	v, found, err := env.Get(tallyKey(proposal))
	if err != nil || !found {
		return 0, 0, err
	}
	a, _ := host.Lookup(v, "against")
	f, _ := host.Lookup(v, "in_favor")
	return uint32(*a.U32), uint32(*f.U32), nil
}

func tallyValue(against, inFavor uint32) xdr.ScVal {
	return host.Struct(
		host.Field{Name: "against", Val: host.U32(against)}, host.Field{Name: "in_favor", Val: host.U32(inFavor)},
	)
}

func cast(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	voter, proposal, support := args[0], args[1], args[2]
	ballot := host.Vec(host.Symbol("Vote"), voter, proposal)
	if _, voted, err := env.Get(ballot); err != nil {
		return xdr.ScVal{}, err
	} else if voted {
		return xdr.ScVal{}, host.ContractError(AlreadyVoted, "already voted on this proposal")
	}
	against, inFavor, err := readTally(env, proposal)
	if err != nil {
		return xdr.ScVal{}, err
	}
	if *support.B {
		inFavor++
	} else {
		against++
	}
	if err := env.Put(ballot, support); err != nil {
		return xdr.ScVal{}, err
	}
	if err := env.Put(tallyKey(proposal), tallyValue(against, inFavor)); err != nil {
		return xdr.ScVal{}, err
	}
	env.Emit(support, host.Symbol("cast"), voter, proposal)
	return host.U32(against + inFavor), nil
}

func tally(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	against, inFavor, err := readTally(env, args[0])
	return tallyValue(against, inFavor), err
}
