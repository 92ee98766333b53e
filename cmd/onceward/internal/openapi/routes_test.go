package openapi_test

import (
	"testing"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/soroban/devchain"
)

// member is an expression that passes a member of the body on.
func member(t *testing.T, name string) *expr.Program {
	t.Helper()
	p, err := expr.Compile("body."+name, expr.JSON, expr.VarBody)
	must(t, err)
	return p
}

// sampleRoutes are those of onceward dev.
func sampleRoutes(t *testing.T, passphrase string) []gateway.Route {
	t.Helper()
	route := func(pattern, kind, contract, function string, members ...string) gateway.Route {
		r := gateway.Route{
			Pattern: pattern, Kind: kind, Contract: devchain.ContractID(passphrase, contract), Function: function,
			Signer: "minter", SyncTimeout: time.Minute, Args: make(map[string]*expr.Program),
		}
		r.Options.MaxBodyBytes = 64 << 10
		for _, m := range members {
			r.Args[m] = member(t, m)
		}
		return r
	}
	content := route("POST /v1/content", "content", "content", "submit_for", "author", "content_hash", "uri")
	votes := route("POST /v1/votes", "votes", "votes", "cast_for", "voter", "proposal_id", "support")
	votes.NaturalKey = []*expr.Program{member(t, "voter"), member(t, "proposal_id")}
	rewards := route("POST /v1/rewards", "rewards", "reward", "mint", "to", "amount")
	rewards.Ignore = map[string]int{"reason": 256}
	return []gateway.Route{content, votes, rewards}
}
