package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"

	"github.com/stellar/go-stellar-sdk/xdr"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/oncehttp"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/contractspec"
)

// Limit bounds what all operations of a route use up together. An operation
// that ends without anything being sent gives its part back.
type Limit struct {
	// Param names the parameter of the function, an integer, whose values are
	// summed up. Empty counts operations.
	Param  string
	Budget *soroban.Budget
}

// checkLimits reports whether the function has the parameters that are summed.
func (c *Contracts) checkLimits(r *Route) error {
	fn, err := c.specs[r.Contract].Function(r.Function)
	if err != nil {
		return err
	}
	var errs []error
	for _, l := range r.Limits {
		if l.Budget == nil {
			errs = append(errs, errors.New("a limit has no budget"))
		}
		if l.Param != "" && !hasInteger(r.inputs(fn), l.Param) {
			errs = append(errs, fmt.Errorf("%s has no integer parameter %q to limit", r.Function, l.Param))
		}
	}
	return errors.Join(errs...)
}

func hasInteger(params []contractspec.Param, name string) bool {
	for _, p := range params {
		switch p.Type.Type {
		case xdr.ScSpecTypeScSpecTypeU32, xdr.ScSpecTypeScSpecTypeI32, xdr.ScSpecTypeScSpecTypeU64, xdr.ScSpecTypeScSpecTypeI64,
			xdr.ScSpecTypeScSpecTypeU128, xdr.ScSpecTypeScSpecTypeI128, xdr.ScSpecTypeScSpecTypeU256, xdr.ScSpecTypeScSpecTypeI256:
			if p.Name == name {
				return true
			}
		default:
		}
	}
	return false
}

// take books the call. giveBack undoes it.
func (g *Gateway) take(ctx context.Context, r *Route, inv soroban.Invocation) (giveBack func(), err error) {
	var undo []func()
	giveBack = func() {
		for _, f := range undo {
			f()
		}
	}
	for _, l := range r.Limits {
		n, err := g.amount(r, l, inv)
		if err == nil {
			err = l.Budget.Take(ctx, n)
		}
		if err != nil {
			giveBack()
			return nil, err
		}
		undo = append(undo, func() { l.Budget.Return(n) })
	}
	return giveBack, nil
}

// amount is what the call uses of a limit.
func (g *Gateway) amount(r *Route, l Limit, inv soroban.Invocation) (*big.Int, error) {
	if l.Param == "" {
		return big.NewInt(1), nil
	}
	fn, err := g.cfg.Contracts.specs[r.Contract].Function(r.Function)
	if err != nil {
		return nil, err
	}
	for i, p := range r.inputs(fn) {
		if p.Name != l.Param || i >= len(inv.Args) {
			continue
		}
		raw, err := contractspec.JSON(inv.Args[i])
		if err != nil {
			return nil, err
		}
		var typed map[string]json.RawMessage // {"i128":"5"}, {"u32":5}
		if err := json.Unmarshal(raw, &typed); err != nil {
			return nil, err
		}
		for _, digits := range typed {
			if text, err := strconv.Unquote(string(digits)); err == nil {
				digits = json.RawMessage(text)
			}
			if n, ok := new(big.Int).SetString(string(digits), 10); ok {
				return n, nil
			}
		}
	}
	return nil, fmt.Errorf("parameter %q has no amount", l.Param)
}

// limited turns a limit that is reached into the client's answer.
func (g *Gateway) limited(op *onceward.Operation, err error) *oncehttp.Problem {
	if limit, ok := errors.AsType[*soroban.LimitError](err); ok {
		p := of(op.ID(), about(onceward.CodeRateLimited,
			"A limit of this endpoint is reached. Nothing was done. Send the request again later, with the same key; a smaller amount may still fit."))
		p.RetryAfter = limit.RetryAfter
		return p
	}
	g.cfg.Log.Error("limit not read", "operation", op.ID(), "err", err)
	return of(op.ID(), about(onceward.CodeStoreUnavailable, ""))
}
