package oncetest

import (
	"context"
	"errors"
	"fmt"

	"github.com/onceward/onceward"
)

// ordinals numbers the tokens that a store grants for a key, from 1: which ones
// it grants it may choose, that they grow it may not. For one caller at a time,
// and a store with all Abilities.
type ordinals struct {
	onceward.Store
	last   map[onceward.Key]int64 // the highest that was granted
	number map[granted]int64
	token  map[granted]int64 // the other way
}

// granted is a token, or a number, of a key.
type granted struct {
	key onceward.Key
	n   int64
}

func newOrdinals(s onceward.Store) *ordinals {
	return &ordinals{s, make(map[onceward.Key]int64), make(map[granted]int64), make(map[granted]int64)}
}

// real returns the claim with its token. What was never granted stays that.
func (o *ordinals) real(c onceward.Claim) onceward.Claim {
	token, ok := o.token[granted{c.Key, c.Token}]
	if !ok {
		token = -1 - c.Token
	}
	c.Token = token
	return c
}

// shown returns the record with the number of its token.
func (o *ordinals) shown(r onceward.Record) onceward.Record {
	if n, ok := o.number[granted{r.Key, r.Token}]; ok {
		r.Token = n
	} else if r.Token != 0 {
		r.Token = -1 // was granted to nobody
	}
	return r
}

func (o *ordinals) all(recs []onceward.Record) (out []onceward.Record) {
	for _, r := range recs {
		out = append(out, o.shown(r))
	}
	return out
}

// Claim implements onceward.Store.
func (o *ordinals) Claim(ctx context.Context, req onceward.ClaimRequest) (onceward.ClaimResult, error) {
	res, err := o.Store.Claim(ctx, req)
	if err != nil {
		return res, err
	}
	token, key := res.Record.Token, req.Key
	if _, known := o.number[granted{key, token}]; res.Won && !known {
		if token <= o.last[key] || token < req.Token {
			return res, fmt.Errorf("oncetest: token %d was granted after %d, on a proposal of %d", token, o.last[key], req.Token)
		}
		o.last[key] = token
		n := int64(1)
		for o.token[granted{key, n}] != 0 {
			n++
		}
		o.number[granted{key, token}], o.token[granted{key, n}] = n, token
	}
	res.Record = o.shown(res.Record)
	return res, nil
}

// Renew implements onceward.Store.
func (o *ordinals) Renew(ctx context.Context, req onceward.RenewRequest) error {
	req.Claim = o.real(req.Claim)
	return o.Store.Renew(ctx, req)
}

// Checkpoint implements onceward.Store.
func (o *ordinals) Checkpoint(ctx context.Context, req onceward.CheckpointRequest) error {
	req.Claim = o.real(req.Claim)
	return o.Store.Checkpoint(ctx, req)
}

// Complete implements onceward.Store.
func (o *ordinals) Complete(ctx context.Context, req onceward.CompleteRequest) error {
	req.Claim = o.real(req.Claim)
	return o.Store.Complete(ctx, req)
}

// Release implements onceward.Store.
func (o *ordinals) Release(ctx context.Context, req onceward.ReleaseRequest) error {
	req.Claim = o.real(req.Claim)
	return o.Store.Release(ctx, req)
}

// Get implements onceward.Store.
func (o *ordinals) Get(ctx context.Context, req onceward.GetRequest) (onceward.Record, error) {
	rec, err := o.Store.Get(ctx, req)
	return o.shown(rec), err
}

// Find implements onceward.Finder.
func (o *ordinals) Find(ctx context.Context, req onceward.FindRequest) (onceward.Record, error) {
	s, ok := o.Store.(onceward.Finder)
	if !ok {
		return onceward.Record{}, errors.ErrUnsupported
	}
	rec, err := s.Find(ctx, req)
	return o.shown(rec), err
}

// Lapsed implements onceward.LapsedLister.
func (o *ordinals) Lapsed(ctx context.Context, req onceward.LapsedRequest) ([]onceward.Record, error) {
	s, ok := o.Store.(onceward.LapsedLister)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	recs, err := s.Lapsed(ctx, req)
	return o.all(recs), err
}

// List implements onceward.Lister.
func (o *ordinals) List(ctx context.Context, req onceward.ListRequest) (onceward.ListResult, error) {
	s, ok := o.Store.(onceward.Lister)
	if !ok {
		return onceward.ListResult{}, errors.ErrUnsupported
	}
	res, err := s.List(ctx, req)
	res.Records = o.all(res.Records)
	return res, err
}

// Sweep implements onceward.Sweeper.
func (o *ordinals) Sweep(ctx context.Context, req onceward.SweepRequest) (onceward.SweepResult, error) {
	s, ok := o.Store.(onceward.Sweeper)
	if !ok {
		return onceward.SweepResult{}, errors.ErrUnsupported
	}
	return s.Sweep(ctx, req)
}
