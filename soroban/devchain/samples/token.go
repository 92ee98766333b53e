package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// NegativeAmount is the token's error for an amount below zero; its number is the Stellar Asset Contract's.
const NegativeAmount = 8

// Token answers to the minting and reading functions of a Stellar Asset Contract and publishes the same events. Unlike
// one it keeps the balances of accounts in contract data, not in trustlines.
func Token() *host.Contract {
	return &host.Contract{
		Name: "token",
		Spec: []xdr.ScSpecEntry{
			fn("Mints amount to an address; only the admin may.", "mint", nil,
				param{"to", tAddress}, param{"amount", tI128}),
			fn("The balance of an address, 0 if it never had one.", "balance", &tI128, param{"id", tAddress}),
			fn("Who may mint.", "admin", &tAddress),
			fn("Digits after the decimal point.", "decimals", &tU32),
			fn("The asset: its code and issuer.", "name", &tString),
			fn("The asset's code.", "symbol", &tString),
			errorEnum(
				failure{NegativeAmount, "NegativeAmount", "The amount must not be negative."},
				failure{Overflow, "Overflow", "The balance would exceed an i128."},
			),
		},
		Functions: map[string]host.Function{
			"mint": mintToken, "balance": tokenBalance, "admin": admin,
			"decimals": func(*host.Env, []xdr.ScVal) (xdr.ScVal, error) { return host.U32(7), nil },
			"name":     assetName,
			"symbol":   func(*host.Env, []xdr.ScVal) (xdr.ScVal, error) { return host.String("DEV"), nil },
		},
	}
}

func assetName(env *host.Env, _ []xdr.ScVal) (xdr.ScVal, error) {
	who, err := admin(env, nil)
	if err != nil {
		return who, err
	}
	text, err := who.Address.String()
	return host.String("DEV:" + text), err
}

func mintToken(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	to, amount := args[0], args[1]
	if host.BigI128(amount).Sign() < 0 {
		return xdr.ScVal{}, host.ContractError(NegativeAmount, "negative amount is not allowed")
	}
	if _, err := requireAdmin(env); err != nil {
		return xdr.ScVal{}, err
	}
	old, err := tokenBalance(env, args[:1])
	if err != nil {
		return xdr.ScVal{}, err
	}
	sum := host.BigI128(old)
	sum.Add(sum, host.BigI128(amount))
	balance, fits := host.I128(sum)
	if !fits {
		return xdr.ScVal{}, host.ContractError(Overflow, "the balance exceeds an i128")
	}
	if err := env.Put(balanceKey(to), host.Struct(
		host.Field{Name: "amount", Val: balance},
		host.Field{Name: "authorized", Val: host.Bool(true)},
		host.Field{Name: "clawback", Val: host.Bool(false)},
	)); err != nil {
		return xdr.ScVal{}, err
	}
	name, err := assetName(env, nil)
	if err != nil {
		return xdr.ScVal{}, err
	}
	env.Emit(amount, host.Symbol("mint"), to, name)
	return host.Void(), nil
}

func tokenBalance(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	v, found, err := env.Get(balanceKey(args[0]))
	if err != nil || !found {
		return zero(), err
	}
	amount, _ := host.Lookup(v, "amount")
	return amount, nil
}

// All lists the sample contracts.
func All() []*host.Contract {
	return []*host.Contract{Content(), Votes(), Reward(), Token(), Guarded()}
}
