package dev

import (
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/gateway"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// signerName is the signer that authorizes every sample call: the account
// that the sample contracts obey.
const signerName = "minter"

const maxReason = 256

// Routes are the sample endpoints, one for each sample contract.
func Routes(passphrase string, wait time.Duration) []gateway.Route {
	return []gateway.Route{
		{
			Pattern: "POST /v1/content", Kind: "content",
			Contract: devchain.ContractID(passphrase, "content"), Function: "submit_for",
			Args:   map[string]string{"author": "author", "content_hash": "content_hash", "uri": "uri"},
			Signer: signerName, Wait: wait,
		},
		{
			Pattern: "POST /v1/votes", Kind: "votes",
			Contract: devchain.ContractID(passphrase, "votes"), Function: "cast_for",
			Args:   map[string]string{"voter": "voter", "proposal_id": "proposal_id", "support": "support"},
			Signer: signerName, Wait: wait,
			NaturalKey: []string{"voter", "proposal_id"},
		},
		{
			Pattern: "POST /v1/rewards", Kind: "rewards",
			Contract: devchain.ContractID(passphrase, "reward"), Function: "mint",
			Args:   map[string]string{"to": "to", "amount": "amount"},
			Texts:  map[string]int{"reason": maxReason},
			Signer: signerName, Wait: wait,
		},
	}
}

// RelayPolicy admits what users may do for themselves: the functions of the
// sample contracts that ask for their own authorization. The minter pays for
// their transactions.
func RelayPolicy(passphrase string) soroban.RelayPolicy {
	return soroban.RelayPolicy{
		Allow: []soroban.Allowed{
			{Contract: devchain.ContractID(passphrase, "content"), Function: "submit"},
			{Contract: devchain.ContractID(passphrase, "votes"), Function: "cast"},
		},
		FeeSigner: signerName,
	}
}
