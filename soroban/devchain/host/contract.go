package host

import (
	"slices"

	"github.com/stellar/go-stellar-sdk/xdr"
)

// Function is one contract function. Its arguments have the types that the contract's spec declares; it returns the
// result, or an *Error (any other error ends the invocation as an internal error).
type Function func(env *Env, args []xdr.ScVal) (xdr.ScVal, error)

// Contract is a contract written in Go: what its clients read (Spec) and what it does (Functions).
type Contract struct {
	// Name identifies the contract on the development chain; its id is derived from it.
	Name string
	// Spec describes functions and types, as a contract compiled to wasm carries them.
	Spec []xdr.ScSpecEntry
	// Functions are the callable ones, by name; each must be described in Spec.
	Functions map[string]Function
}

// function finds the implementation of name and checks the arguments against its description.
func (c *Contract) function(name string, args []xdr.ScVal) (Function, error) {
	i := slices.IndexFunc(c.Spec, func(e xdr.ScSpecEntry) bool {
		return e.FunctionV0 != nil && string(e.FunctionV0.Name) == name
	})
	fn := c.Functions[name]
	if i < 0 || fn == nil {
		return nil, fail(xdr.ScErrorTypeSceWasmVm, xdr.ScErrorCodeScecMissingValue,
			"trying to invoke non-existent contract function: %s", name)
	}
	inputs := c.Spec[i].FunctionV0.Inputs
	if len(inputs) != len(args) {
		return nil, fail(xdr.ScErrorTypeSceWasmVm, xdr.ScErrorCodeScecUnexpectedSize,
			"%s takes %d arguments, got %d", name, len(inputs), len(args))
	}
	for n, in := range inputs {
		if !hasType(args[n], in.Type) {
			return nil, fail(xdr.ScErrorTypeSceValue, xdr.ScErrorCodeScecUnexpectedType,
				"argument %s of %s is not a %s", in.Name, name, in.Type.Type)
		}
	}
	return fn, nil
}

// valueTypes are the argument types that development contracts can take.
var valueTypes = map[xdr.ScSpecType]xdr.ScValType{
	xdr.ScSpecTypeScSpecTypeBool:    xdr.ScValTypeScvBool,
	xdr.ScSpecTypeScSpecTypeU32:     xdr.ScValTypeScvU32,
	xdr.ScSpecTypeScSpecTypeU64:     xdr.ScValTypeScvU64,
	xdr.ScSpecTypeScSpecTypeI128:    xdr.ScValTypeScvI128,
	xdr.ScSpecTypeScSpecTypeString:  xdr.ScValTypeScvString,
	xdr.ScSpecTypeScSpecTypeSymbol:  xdr.ScValTypeScvSymbol,
	xdr.ScSpecTypeScSpecTypeBytes:   xdr.ScValTypeScvBytes,
	xdr.ScSpecTypeScSpecTypeBytesN:  xdr.ScValTypeScvBytes,
	xdr.ScSpecTypeScSpecTypeAddress: xdr.ScValTypeScvAddress,
}

func hasType(v xdr.ScVal, t xdr.ScSpecTypeDef) bool {
	want, known := valueTypes[t.Type]
	if !known || v.Type != want {
		return false
	}
	if t.Type == xdr.ScSpecTypeScSpecTypeBytesN {
		return len(*v.Bytes) == int(t.BytesN.N)
	}
	return true
}
