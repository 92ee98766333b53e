package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// Errors of the reward token.
const (
	AmountNotPositive = 1
	Overflow          = 2
)

// Reward is a token that its admin mints. It has no protection against minting twice, on purpose: doing it once is the
// caller's business, and this is the contract to test that with.
func Reward() *host.Contract {
	return &host.Contract{
		Name: "reward",
		Spec: []xdr.ScSpecEntry{
			fn("Mints amount to an address and returns its new balance; only the admin may.", "mint", &tI128,
				param{"to", tAddress}, param{"amount", tI128}),
			fn("The balance of an address, 0 if it never had one.", "balance", &tI128, param{"id", tAddress}),
			fn("All that was ever minted.", "total_supply", &tI128),
			fn("Who may mint.", "admin", &tAddress),
			errorEnum(
				failure{AmountNotPositive, "AmountNotPositive", "The amount must be greater than zero."},
				failure{Overflow, "Overflow", "The balance or the supply would exceed an i128."},
			),
		},
		Functions: map[string]host.Function{
			"mint": mintReward, "balance": rewardBalance, "total_supply": rewardSupply, "admin": admin,
		},
	}
}

// admin is whom the contract obeys.
func admin(env *host.Env, _ []xdr.ScVal) (xdr.ScVal, error) {
	v, ok := env.Instance("Admin")
	if !ok {
		return xdr.ScVal{}, host.ContractError(0, "the contract has no admin")
	}
	return v, nil
}

func requireAdmin(env *host.Env) (xdr.ScVal, error) {
	who, err := admin(env, nil)
	if err != nil {
		return who, err
	}
	return who, env.RequireAuth(*who.Address)
}

func balanceKey(id xdr.ScVal) xdr.ScVal { return host.Vec(host.Symbol("Balance"), id) }

// add raises the number stored under key and returns the new one.
func add(env *host.Env, key, amount xdr.ScVal) (xdr.ScVal, error) {
	old, _, err := env.Get(key)
	if err != nil {
		return xdr.ScVal{}, err
	}
	sum := host.BigI128(old)
	sum.Add(sum, host.BigI128(amount))
	out, fits := host.I128(sum)
	if !fits {
		return xdr.ScVal{}, host.ContractError(Overflow, "the sum exceeds an i128")
	}
	return out, env.Put(key, out)
}

func mintReward(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	to, amount := args[0], args[1]
	if _, err := requireAdmin(env); err != nil {
		return xdr.ScVal{}, err
	}
	if host.BigI128(amount).Sign() <= 0 {
		return xdr.ScVal{}, host.ContractError(AmountNotPositive, "the amount must be positive")
	}
	if _, err := add(env, host.Symbol("Supply"), amount); err != nil {
		return xdr.ScVal{}, err
	}
	balance, err := add(env, balanceKey(to), amount)
	if err != nil {
		return xdr.ScVal{}, err
	}
	env.Emit(amount, host.Symbol("mint"), to)
	return balance, nil
}

// number reads a stored i128, zero if there is none.
func number(env *host.Env, key xdr.ScVal) (xdr.ScVal, error) {
	v, found, err := env.Get(key)
	if err != nil || found {
		return v, err
	}
	return zero(), nil
}

func zero() xdr.ScVal { return xdr.ScVal{Type: xdr.ScValTypeScvI128, I128: &xdr.Int128Parts{}} }

func rewardBalance(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	return number(env, balanceKey(args[0]))
}

func rewardSupply(env *host.Env, _ []xdr.ScVal) (xdr.ScVal, error) {
	return number(env, host.Symbol("Supply"))
}
