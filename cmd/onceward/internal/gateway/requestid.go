package gateway

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// RequestID is how the contract of a route guards itself against doing
// something twice; see soroban.RequestID.
type RequestID struct {
	// Param is the parameter, a BytesN<32>, that takes the id. Args leaves it
	// out: the gateway derives it from the key.
	Param string
	// Executed are the contract's errors, by name or number, for an id that it
	// has seen.
	Executed []string
}

// requestID finds the parameter and the errors in what the contract says of
// itself. Nil when the route has no request id.
func (c *Contracts) requestID(r *Route) (*soroban.RequestID, error) {
	if r.RequestID == nil {
		return nil, nil
	}
	spec := c.specs[r.Contract]
	fn, err := spec.Function(r.Function)
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(fn.Inputs, func(p contractspec.Param) bool { return p.Name == r.RequestID.Param })
	if at < 0 {
		return nil, fmt.Errorf("request_id.param: %s has no parameter %q", r.Function, r.RequestID.Param)
	}
	var errs []error
	if t := fn.Inputs[at].Type; t.Type != xdr.ScSpecTypeScSpecTypeBytesN || t.BytesN.N != 32 {
		errs = append(errs, fmt.Errorf("request_id.param: %q takes %s, not a request id, BytesN<32>", r.RequestID.Param, contractspec.TypeName(t)))
	}
	if _, twice := r.Args[r.RequestID.Param]; twice {
		errs = append(errs, fmt.Errorf("args.%s: is the request id, which is derived from the key; leave it out", r.RequestID.Param))
	}
	out := &soroban.RequestID{Arg: at}
	for _, name := range r.RequestID.Executed {
		code, ok := spec.ErrorCode(name)
		if n, err := strconv.ParseUint(name, 10, 32); err == nil {
			code, ok = uint32(n), true
		}
		if !ok {
			errs = append(errs, fmt.Errorf("request_id.executed: the contract declares no error %q; it may also be given by its number", name))
		}
		out.Executed = append(out.Executed, code)
	}
	return out, errors.Join(errs...)
}

// inputs are the parameters of the route's function that its arguments are
// for, in the order of Invocation.Args.
func (r *Route) inputs(fn contractspec.Function) []contractspec.Param {
	return slices.DeleteFunc(slices.Clone(fn.Inputs), func(p contractspec.Param) bool {
		return r.RequestID != nil && p.Name == r.RequestID.Param
	})
}
