package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// Route is one endpoint: a call of a contract function, or a Handler.
type Route struct {
	// Pattern is a ServeMux pattern. That of a contract route has a method.
	Pattern string
	// Kind names the operations in listings and in recovery. It must not
	// change while operations of the route may be unfinished.
	Kind string
	// Allow refuses requests for which it is not true. Nil allows all.
	Allow *expr.Program

	// Handler serves the route. Nil for a contract route.
	Handler http.Handler
	// Options are a contract route's rules of keys, and what the policy page
	// says of a Handler that guards. Of a contract route the gateway sets
	// Scope, Kind, Policy and NaturalKey itself.
	Options oncehttp.Options
	// Published says that the policy page lists the route, Problems what a
	// Handler answers beside the middleware's.
	Published bool
	Problems  []oncehttp.ProblemType

	// Contract is the address C….
	Contract string
	Function string
	// Args gives an expression for each parameter of the function. Types come
	// from the contract's own description.
	Args map[string]*expr.Program
	// Ignore are further members of the body, strings of at most so many
	// bytes, that may be given but are not sent to the contract.
	Ignore map[string]int
	// Signer names the account that authorizes the call.
	Signer string
	// RequestID is set when the function takes one.
	RequestID *RequestID
	// NaturalKey identifies the operation whatever key the client sends. Empty
	// for none.
	NaturalKey []*expr.Program
	// Limits bound what all operations together use up.
	Limits []Limit
	// SyncTimeout is how long a request waits for the chain before it is
	// answered with 202.
	SyncTimeout time.Duration

	params    []string           // wildcards of the pattern
	requestID *soroban.RequestID // what RequestID means to the contract
}

// Contracts is what the chain says of the contracts that routes call.
type Contracts struct {
	specs map[string]*contractspec.Spec
}

// LoadContracts reads the interface of every contract that the routes call,
// and checks the routes against them. Those of known are not read again.
func LoadContracts(ctx context.Context, rpc soroban.Ledgers, routes []Route, known *Contracts) (*Contracts, error) {
	c := &Contracts{specs: make(map[string]*contractspec.Spec)}
	if known != nil {
		maps.Copy(c.specs, known.specs)
	}
	var errs []error
	for i := range routes {
		r := &routes[i]
		if r.Contract == "" {
			continue
		}
		if c.specs[r.Contract] == nil {
			spec, err := loadSpec(ctx, rpc, r.Contract)
			if err != nil {
				return nil, fmt.Errorf("route %q: %w", r.Pattern, err)
			}
			c.specs[r.Contract] = spec
		}
		if err := errors.Join(c.check(r), c.checkLimits(r)); err != nil {
			errs = append(errs, fmt.Errorf("route %q: %w", r.Pattern, err))
		}
	}
	return c, errors.Join(errs...)
}

// check reports whether the route gives the function exactly its parameters.
func (c *Contracts) check(r *Route) error {
	fn, err := c.specs[r.Contract].Function(r.Function)
	if err != nil {
		return err
	}
	var errs []error
	if _, err := c.requestID(r); err != nil {
		errs = append(errs, err)
	}
	wanted := make(map[string]bool)
	for _, p := range r.inputs(fn) {
		wanted[p.Name] = true
		arg, ok := r.Args[p.Name]
		if !ok {
			errs = append(errs, fmt.Errorf("args has nothing for parameter %q (%s)", p.Name, contractspec.TypeName(p.Type)))
		} else if !admits(p.Type, arg.Static) {
			errs = append(errs, fmt.Errorf("args.%s: %q gives %s, but the contract takes %s",
				p.Name, arg.Source, arg.Static, contractspec.TypeName(p.Type)))
		}
	}
	for _, param := range slices.Sorted(maps.Keys(r.Args)) {
		if !wanted[param] && (r.RequestID == nil || param != r.RequestID.Param) {
			errs = append(errs, fmt.Errorf("args.%s: %s has no such parameter", param, r.Function))
		}
	}
	return errors.Join(errs...)
}

// admits reports whether a value of CEL's static type may be one of the
// contract's type. It refuses only what can never fit.
func admits(t xdr.ScSpecTypeDef, static string) bool {
	if static == "dyn" || t.Option != nil {
		return true
	}
	switch t.Type { //nolint:exhaustive // what is not here has several JSON forms
	case xdr.ScSpecTypeScSpecTypeBool:
		return static == "bool"
	case xdr.ScSpecTypeScSpecTypeVec, xdr.ScSpecTypeScSpecTypeTuple:
		return static == "list"
	case xdr.ScSpecTypeScSpecTypeU32, xdr.ScSpecTypeScSpecTypeI32, xdr.ScSpecTypeScSpecTypeU64, xdr.ScSpecTypeScSpecTypeI64,
		xdr.ScSpecTypeScSpecTypeU128, xdr.ScSpecTypeScSpecTypeI128, xdr.ScSpecTypeScSpecTypeU256, xdr.ScSpecTypeScSpecTypeI256,
		xdr.ScSpecTypeScSpecTypeTimepoint, xdr.ScSpecTypeScSpecTypeDuration:
		return slices.Contains([]string{"int", "uint", "string", "google.protobuf.Timestamp", "google.protobuf.Duration"}, static)
	case xdr.ScSpecTypeScSpecTypeAddress, xdr.ScSpecTypeScSpecTypeMuxedAddress, xdr.ScSpecTypeScSpecTypeSymbol:
		return static == "string"
	case xdr.ScSpecTypeScSpecTypeBytes, xdr.ScSpecTypeScSpecTypeBytesN:
		return static == "string" || static == "bytes"
	}
	return true
}

// call is a request to a contract route, understood.
type call struct {
	invocation soroban.Invocation
	natural    []string
	bodyKey    string // the key, when the body carries it
}

type callKey struct{}

// callOf returns what checked made of the request.
func callOf(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}
