package samples

import (
	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban/devchain/host"
)

// AlreadySubmitted is the registry's error for a content hash that it holds already.
const AlreadySubmitted = 1

// Content is a registry of content by hash: submit refuses the same hash twice, whoever sends it.
func Content() *host.Contract {
	return &host.Contract{
		Name: "content",
		Spec: []xdr.ScSpecEntry{
			fn("Registers content under its hash and returns its number, counted from 1.", "submit", &tU64,
				param{"author", tAddress}, param{"content_hash", tHash}, param{"uri", tString}),
			fn("Registers content for an author whom the admin vouches for; otherwise like submit.", "submit_for", &tU64,
				param{"author", tAddress}, param{"content_hash", tHash}, param{"uri", tString}),
			fn("Finds what was submitted under a hash.", "get", new(option(udt("Submission"))), param{"content_hash", tHash}),
			fn("Number of submissions.", "count", &tU64),
			structure("", "Submission", param{"author", tAddress}, param{"id", tU64}, param{"uri", tString}),
			errorEnum(failure{AlreadySubmitted, "AlreadySubmitted", "The registry holds this hash already."}),
		},
		Functions: map[string]host.Function{
			"submit": bySender(submit), "submit_for": byAdmin(submit), "get": getContent, "count": countContent,
		},
	}
}

func contentKey(hash xdr.ScVal) xdr.ScVal { return host.Vec(host.Symbol("Content"), hash) }

func contentCount(env *host.Env) (uint64, error) {
	v, ok, err := env.Get(host.Symbol("Count"))
	if err != nil || !ok {
		return 0, err
	}
	return uint64(*v.U64), nil
}

func submit(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	author, hash, uri := args[0], args[1], args[2]
	if _, found, err := env.Get(contentKey(hash)); err != nil {
		return xdr.ScVal{}, err
	} else if found {
		return xdr.ScVal{}, host.ContractError(AlreadySubmitted, "content hash already submitted")
	}
	n, err := contentCount(env)
	if err != nil {
		return xdr.ScVal{}, err
	}
	id := host.U64(n + 1)
	if err := env.Put(host.Symbol("Count"), id); err != nil {
		return xdr.ScVal{}, err
	}
	if err := env.Put(contentKey(hash), host.Struct(
		host.Field{Name: "author", Val: author}, host.Field{Name: "id", Val: id}, host.Field{Name: "uri", Val: uri},
	)); err != nil {
		return xdr.ScVal{}, err
	}
	env.Emit(host.Struct(host.Field{Name: "id", Val: id}, host.Field{Name: "uri", Val: uri}),
		host.Symbol("submit"), author, hash)
	return id, nil
}

func getContent(env *host.Env, args []xdr.ScVal) (xdr.ScVal, error) {
	v, found, err := env.Get(contentKey(args[0]))
	if err != nil || !found {
		return host.Void(), err
	}
	return v, nil
}

func countContent(env *host.Env, _ []xdr.ScVal) (xdr.ScVal, error) {
	n, err := contentCount(env)
	return host.U64(n), err
}
