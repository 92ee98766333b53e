package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// AlreadyExecuted is the guarded contract's error for a request id that it has seen.
const AlreadyExecuted = 1

// Guarded protects itself: every call brings a request id, and a second one with the same id is refused for ever, long
// after the network has forgotten the nonce of the first. award asks its admin, note asks nobody.
func Guarded() *host.Contract {
	return &host.Contract{
		Name: "guarded",
		Spec: []xdr.ScSpecEntry{
			fn("Awards points, once for a request id, and returns the new sum; only the admin may.", "award", &tI128,
				param{"request_id", tHash}, param{"to", tAddress}, param{"amount", tI128}),
			fn("Keeps a text, once for a request id, and returns how many there are; anybody may.", "note", &tU64,
				param{"request_id", tHash}, param{"text", tString}),
			fn("The points of an address, 0 if it never had any.", "points", &tI128, param{"id", tAddress}),
			fn("Number of notes.", "notes", &tU64),
			errorEnum(
				failure{AlreadyExecuted, "AlreadyExecuted", "A call with this request id was executed before."},
				failure{Overflow, "Overflow", "The points would exceed an i128."},
			),
		},
		Functions: map[string]host.Function{
			"award": byAdmin(onceOnly(award)), "note": onceOnly(note), "points": points, "notes": notes,
		},
	}
}

// onceOnly refuses a request id, the first argument, that was used before, and publishes each that is used.
func onceOnly(fn host.Function) host.Function {
	return func(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
		seen := host.Vec(host.Symbol("Executed"), args[0])
		if _, found, err := env.Get(seen); err != nil {
			return xdr.ScVal{}, err
		} else if found {
			return xdr.ScVal{}, host.ContractError(AlreadyExecuted, "request id already executed")
		}
		out, err := fn(env, args)
		if err != nil {
			return out, err
		}
		env.Emit(out, host.Symbol("executed"), args[0])
		return out, env.Put(seen, host.Bool(true))
	}
}

func pointsKey(id xdr.ScVal) xdr.ScVal { return host.Vec(host.Symbol("Points"), id) }

func award(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	return add(env, pointsKey(args[1]), args[2])
}

func points(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	return number(env, pointsKey(args[0]))
}

func note(env *host.Env, _ []xdr.ScVal) (xdr.ScVal, error) {
	n, err := noteCount(env)
	if err != nil {
		return xdr.ScVal{}, err
	}
	return host.U64(n + 1), env.Put(host.Symbol("Notes"), host.U64(n+1))
}

func noteCount(env *host.Env) (uint64, error) {
	v, ok, err := env.Get(host.Symbol("Notes"))
	if err != nil || !ok {
		return 0, err
	}
	return uint64(*v.U64), nil
}

func notes(env *host.Env, _ []xdr.ScVal) (xdr.ScVal, error) {
	n, err := noteCount(env)
	return host.U64(n), err
}
