package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward/cmd/onceward/internal/expr"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// understand makes the contract call that a request asks for. Its errors are
// *fieldError where the client can correct something.
func (c *Contracts) understand(ctx context.Context, r *Route, in *expr.Input, body []byte) (*call, error) {
	given, err := members(body)
	if err != nil {
		return nil, err
	}
	if err := r.checkMembers(given); err != nil {
		return nil, err
	}
	if r.readsBody() {
		if in.Body, err = expr.ParseBody(body); err != nil {
			return nil, &fieldError{Detail: err.Error()}
		}
	}
	args := make(map[string]json.RawMessage, len(r.Args))
	places := make(map[string]string, len(r.Args)) // of the argument in the body
	for _, param := range slices.Sorted(maps.Keys(r.Args)) {
		if args[param], places[param], err = argument(ctx, r.Args[param], in, given); err != nil {
			if field, ok := errors.AsType[*fieldError](err); ok && field.Pointer != "" {
				return nil, err
			}
			return nil, &fieldError{Detail: fmt.Sprintf("argument %s: %v", param, err)}
		}
	}
	var without []string
	if r.RequestID != nil {
		without = []string{r.RequestID.Param}
	}
	values, err := c.specs[r.Contract].ArgsByName(r.Function, args, without...)
	if err != nil {
		return nil, inBody(err, places)
	}
	out := &call{invocation: soroban.Invocation{Contract: r.Contract, Function: r.Function, Args: values, Signer: r.Signer, RequestID: r.requestID}}
	if raw, ok := given[r.Options.BodyKey]; ok && r.Options.BodyKey != "" {
		_ = json.Unmarshal(raw, &out.bodyKey) // the middleware refuses what is no text
	}
	out.natural, err = r.natural(ctx, c, in, values)
	return out, err
}

// keyIn returns the key that a body carries, if it has a valid one.
func (r *Route) keyIn(body []byte) string {
	given, err := members(body)
	if r.Options.BodyKey == "" || err != nil {
		return ""
	}
	var text string
	if err := json.Unmarshal(given[r.Options.BodyKey], &text); err != nil {
		return ""
	}
	key, err := oncehttp.ParseKey(text, false)
	if err != nil || key != text { // in a body a key has no quotes around it
		return ""
	}
	return key
}

// checkMembers refuses members of the body that nothing reads.
func (r *Route) checkMembers(given map[string]json.RawMessage) error {
	known, all := r.Members()
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if name == r.Options.BodyKey {
			continue
		}
		if limit, ok := r.Ignore[name]; ok {
			if err := checkText(name, given[name], limit); err != nil {
				return err
			}
			continue
		}
		if !all && !slices.Contains(known, name) {
			known = slices.Sorted(slices.Values(slices.AppendSeq(known, maps.Keys(r.Ignore))))
			return &fieldError{
				Pointer: pointer(name), Detail: "is unknown; this endpoint takes " + strings.Join(known, ", "),
			}
		}
	}
	return nil
}

// programs are the expressions over the body.
func (r *Route) programs() []*expr.Program {
	return append(slices.Collect(maps.Values(r.Args)), r.NaturalKey...)
}

// Members lists what the expressions name of the body, or says that they may
// look at everything.
func (r *Route) Members() (known []string, all bool) {
	for _, p := range r.programs() {
		all = all || p.Whole
		known = slices.AppendSeq(known, maps.Keys(p.Members))
	}
	slices.Sort(known)
	return slices.Compact(known), all
}

// readsBody reports whether an expression computes with the body, instead of
// passing a member on.
func (r *Route) readsBody() bool {
	return slices.ContainsFunc(r.programs(), func(p *expr.Program) bool {
		return p.Path == nil && (p.Whole || len(p.Members) > 0)
	})
}

// argument returns the JSON of one argument, and where in the body it stands
// when it is a member. A member is passed on as it was written: no number
// goes through a float.
func argument(ctx context.Context, p *expr.Program, in *expr.Input, given map[string]json.RawMessage) (value json.RawMessage, place string, err error) {
	if p.Path == nil {
		v, err := p.Eval(ctx, in)
		if err != nil {
			return nil, "", err
		}
		value, err = expr.Encode(v)
		return value, "", err
	}
	for i, name := range p.Path {
		place += pointer(name)
		if i > 0 {
			if given, err = members(value); err != nil {
				return nil, "", &fieldError{Pointer: strings.TrimSuffix(place, pointer(name)), Expected: "object", Detail: "is not an object"}
			}
		}
		next, ok := given[name]
		if !ok {
			return nil, "", &fieldError{Pointer: place, Detail: "is missing"}
		}
		value = next
	}
	return value, place, nil
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

// natural returns the parts of the route's natural key. An expression that is
// also an argument counts as it is encoded for the chain, so that two
// spellings of one value are one key.
func (r *Route) natural(ctx context.Context, c *Contracts, in *expr.Input, args []xdr.ScVal) ([]string, error) {
	if len(r.NaturalKey) == 0 {
		return nil, nil
	}
	fn, err := c.specs[r.Contract].Function(r.Function)
	if err != nil {
		return nil, err
	}
	inputs, parts := r.inputs(fn), make([]string, len(r.NaturalKey))
	for i, p := range r.NaturalKey {
		at := slices.IndexFunc(inputs, func(param contractspec.Param) bool {
			return strings.TrimSpace(r.Args[param.Name].Source) == strings.TrimSpace(p.Source)
		})
		if at >= 0 {
			if parts[i], err = xdr.MarshalBase64(args[at]); err != nil {
				return nil, fmt.Errorf("encoding %s: %w", inputs[at].Name, err)
			}
			continue
		}
		v, err := p.Eval(ctx, in)
		if err == nil {
			parts[i], err = expr.Part(v)
		}
		if err != nil {
			return nil, &fieldError{Detail: fmt.Sprintf("natural key: %v", err)}
		}
	}
	return parts, nil
}
