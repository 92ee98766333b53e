package contractspec

import "github.com/stellar/go-stellar-sdk/xdr"

var errorTypes = map[xdr.ScErrorType]string{
	xdr.ScErrorTypeSceContract: "contract",
	xdr.ScErrorTypeSceWasmVm:   "wasm_vm",
	xdr.ScErrorTypeSceContext:  "context",
	xdr.ScErrorTypeSceStorage:  "storage",
	xdr.ScErrorTypeSceObject:   "object",
	xdr.ScErrorTypeSceCrypto:   "crypto",
	xdr.ScErrorTypeSceEvents:   "events",
	xdr.ScErrorTypeSceBudget:   "budget",
	xdr.ScErrorTypeSceValue:    "value",
	xdr.ScErrorTypeSceAuth:     "auth",
}

var errorCodes = map[xdr.ScErrorCode]string{
	xdr.ScErrorCodeScecArithDomain:    "arith_domain",
	xdr.ScErrorCodeScecIndexBounds:    "index_bounds",
	xdr.ScErrorCodeScecInvalidInput:   "invalid_input",
	xdr.ScErrorCodeScecMissingValue:   "missing_value",
	xdr.ScErrorCodeScecExistingValue:  "existing_value",
	xdr.ScErrorCodeScecExceededLimit:  "exceeded_limit",
	xdr.ScErrorCodeScecInvalidAction:  "invalid_action",
	xdr.ScErrorCodeScecInternalError:  "internal_error",
	xdr.ScErrorCodeScecUnexpectedType: "unexpected_type",
	xdr.ScErrorCodeScecUnexpectedSize: "unexpected_size",
}

// named finds the constant that a JSON string names.
func named[K comparable](words map[K]string, n *node) (K, bool) {
	for constant, word := range words {
		if n.kind == kindString && n.text == word {
			return constant, true
		}
	}
	var none K
	return none, false
}

func contractErrorVal(code *xdr.Uint32) xdr.ScVal {
	return xdr.ScVal{Type: xdr.ScValTypeScvError, Error: &xdr.ScError{
		Type:         xdr.ScErrorTypeSceContract,
		ContractCode: code,
	}}
}

// parseError reads {"type": "contract", "code": 7} or {"type": "auth", "code": "existing_value"}.
func parseError(n *node, at *path) (xdr.ScVal, error) {
	const expected = `Error, {"type": …, "code": …}`
	kind, code := n.get(memberType), n.get(memberCode)
	if n.kind != kindObject || len(n.members) != 2 || kind == nil || code == nil {
		return xdr.ScVal{}, at.fail(expected, `is not an object of "type" and "code"`)
	}
	which, ok := named(errorTypes, kind)
	if !ok {
		return xdr.ScVal{}, at.member(memberType).fail(expected, "is not a type of error")
	}
	if which == xdr.ScErrorTypeSceContract {
		v, err := parseInteger(code, integers[xdr.ScSpecTypeScSpecTypeU32], expected, at.member(memberCode))
		if err != nil {
			return xdr.ScVal{}, err
		}
		number, err := integerVal(xdr.ScSpecTypeScSpecTypeU32, v)
		return contractErrorVal(number.U32), err
	}
	reason, ok := named(errorCodes, code)
	if !ok {
		return xdr.ScVal{}, at.member(memberCode).fail(expected, "is not the code of a host error")
	}
	return xdr.ScVal{Type: xdr.ScValTypeScvError, Error: &xdr.ScError{Type: which, Code: &reason}}, nil
}

// formatError is the reverse of parseError; ok is false when e is not whole.
func formatError(e *xdr.ScError) (out map[string]any, ok bool) {
	if e == nil {
		return nil, false
	}
	kind, known := errorTypes[e.Type]
	switch {
	case !known:
		return nil, false
	case e.Type == xdr.ScErrorTypeSceContract && e.ContractCode != nil:
		return map[string]any{memberType: kind, memberCode: uint32(*e.ContractCode)}, true
	case e.Type != xdr.ScErrorTypeSceContract && e.Code != nil && errorCodes[*e.Code] != "":
		return map[string]any{memberType: kind, memberCode: errorCodes[*e.Code]}, true
	}
	return nil, false
}
