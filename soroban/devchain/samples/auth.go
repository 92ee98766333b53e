package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// bySender demands the authorization of the address that is the first argument: people who sign for themselves.
func bySender(fn host.Function) host.Function {
	return func(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
		if err := env.RequireAuth(*args[0].Address); err != nil {
			return xdr.ScVal{}, err
		}
		return fn(env, args)
	}
}

// byAdmin demands the contract's admin instead: a backend that has authenticated its user and signs in their place.
func byAdmin(fn host.Function) host.Function {
	return func(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
		who, err := admin(env, nil)
		if err != nil {
			return xdr.ScVal{}, err
		}
		if err := env.RequireAuth(*who.Address); err != nil {
			return xdr.ScVal{}, err
		}
		return fn(env, args)
	}
}
