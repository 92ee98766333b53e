package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// Route turns one HTTP endpoint into a call of one contract function.
type Route struct {
	// Pattern is a ServeMux pattern with a method, such as "POST /v1/rewards".
	Pattern string
	// Kind names the operations in listings and in recovery. It must not
	// change while operations of the route may be unfinished.
	Kind string
	// Contract is the address C….
	Contract string
	Function string
	// Args gives, for each parameter of the function, the member of the JSON
	// body that carries it. Types come from the contract's own description.
	Args map[string]string
	// Texts are further members of the body, strings of at most so many bytes,
	// that may be given but are not sent to the contract.
	Texts map[string]int
	// Signer names the account that authorizes the call.
	Signer string
	// NaturalKey lists the members of the body that identify the operation
	// whatever key the client sends; each carries an argument. Empty for none.
	NaturalKey []string
	// Limits bound what all operations together use up.
	Limits []Limit
	// Wait is how long a request waits for another's answer to the same key.
	// Zero answers 409 in-progress at once.
	Wait time.Duration
}

// Contracts is what the chain says of the contracts that routes call.
type Contracts struct {
	specs map[string]*contractspec.Spec
}

// LoadContracts reads the interface of every contract that the routes call,
// and checks the routes against them.
func LoadContracts(ctx context.Context, rpc soroban.Ledgers, routes []Route) (*Contracts, error) {
	c := &Contracts{specs: make(map[string]*contractspec.Spec)}
	for _, r := range routes {
		if c.specs[r.Contract] != nil {
			continue
		}
		spec, err := loadSpec(ctx, rpc, r.Contract)
		if err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Pattern, err)
		}
		c.specs[r.Contract] = spec
	}
	for _, r := range routes {
		if err := errors.Join(c.check(r), c.checkLimits(r)); err != nil {
			return nil, fmt.Errorf("route %s: %w", r.Pattern, err)
		}
	}
	return c, nil
}

// check reports whether the route gives the function exactly its parameters.
func (c *Contracts) check(r Route) error {
	fn, err := c.specs[r.Contract].Function(r.Function)
	if err != nil {
		return err
	}
	var errs []error
	wanted := make(map[string]bool)
	for _, p := range fn.Inputs {
		wanted[p.Name] = true
		if _, ok := r.Args[p.Name]; !ok {
			errs = append(errs, fmt.Errorf("no member of the body is named for parameter %q", p.Name))
		}
	}
	given := slices.Collect(maps.Values(r.Args))
	for param := range r.Args {
		if !wanted[param] {
			errs = append(errs, fmt.Errorf("%s has no parameter %q", r.Function, param))
		}
	}
	for _, m := range r.NaturalKey {
		if !slices.Contains(given, m) {
			errs = append(errs, fmt.Errorf("the natural key names %q, which carries no argument", m))
		}
	}
	return errors.Join(errs...)
}

// invocation makes the contract call that a body asks for. Its errors are
// *fieldError.
func (c *Contracts) invocation(r *Route, body []byte) (soroban.Invocation, error) {
	given, err := members(body)
	if err != nil {
		return soroban.Invocation{}, err
	}
	args := make(map[string]json.RawMessage, len(r.Args))
	memberOf := make(map[string]string, len(r.Args))
	for param, member := range r.Args {
		memberOf[param] = member
		value, ok := given[member]
		if !ok {
			return soroban.Invocation{}, &fieldError{Pointer: pointer(member), Detail: "is missing"}
		}
		args[param] = value
		delete(given, member)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		limit, ok := r.Texts[name]
		if !ok {
			return soroban.Invocation{}, &fieldError{
				Pointer: pointer(name), Detail: "is unknown; this endpoint takes " + strings.Join(r.fields(), ", "),
			}
		}
		if err := checkText(name, given[name], limit); err != nil {
			return soroban.Invocation{}, err
		}
	}
	values, err := c.specs[r.Contract].ArgsByName(r.Function, args)
	if err != nil {
		return soroban.Invocation{}, inBody(err, memberOf)
	}
	return soroban.Invocation{Contract: r.Contract, Function: r.Function, Args: values, Signer: r.Signer}, nil
}

func checkText(name string, raw json.RawMessage, limit int) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil || string(raw) == "null" {
		return &fieldError{Pointer: pointer(name), Expected: "string", Detail: "is not a string"}
	}
	if len(text) > limit || !utf8.ValidString(text) {
		return &fieldError{Pointer: pointer(name), Expected: "string", Detail: fmt.Sprintf("is longer than %d bytes", limit)}
	}
	return nil
}

// fields lists the members that the body may have.
func (r *Route) fields() []string {
	out := slices.Collect(maps.Values(r.Args))
	out = slices.AppendSeq(out, maps.Keys(r.Texts))
	slices.Sort(out)
	return out
}

// natural returns the parts of the route's natural key: arguments as they are
// encoded for the chain, so that two spellings of one value are one key.
func (r *Route) natural(c *Contracts, inv soroban.Invocation) ([]string, error) {
	fn, err := c.specs[r.Contract].Function(r.Function)
	if err != nil {
		return nil, err
	}
	encoded := make(map[string]string, len(inv.Args))
	for i, p := range fn.Inputs {
		if encoded[r.Args[p.Name]], err = xdr.MarshalBase64(inv.Args[i]); err != nil {
			return nil, fmt.Errorf("encoding %s: %w", p.Name, err)
		}
	}
	parts := make([]string, len(r.NaturalKey))
	for i, member := range r.NaturalKey {
		parts[i] = encoded[member]
	}
	return parts, nil
}
