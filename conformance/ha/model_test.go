package ha_test

import (
	"errors"

	"github.com/anishathalye/porcupine"

	"github.com/onceward/onceward"
)

// call is one operation of a client on one key and what it was told in the end:
// where it got an error that leaves the outcome open, it asked again.
type call struct {
	client       int
	key          string
	began, ended int64
	kind         callKind
	claim        onceward.Claim // of a claim its owner only
	tier         int            // of a claim: it takes over what has a lower one
	body         string
	err          error
	won          bool
	record       onceward.Record // what a claim or a read was answered
}

type callKind int

const (
	callClaim callKind = iota
	// callShadow is a claim that was lost after it may have been won: its first
	// answer did not arrive, another took over, and it asked again.
	callShadow
	callComplete
	callRead
)

// keyState is one record as a sequential machine. Nothing expires and nothing is
// released here; leases lapse by tier.
type keyState struct {
	status onceward.Status // "" when absent
	owner  onceward.Owner
	token  int64 // 0 when it was not seen yet
	last   int64 // the highest token seen
	tier   int
	body   string
}

// reports says whether r is the record that stands, and learns its token.
func (k *keyState) reports(r *onceward.Record) bool {
	body := ""
	if r.Response != nil {
		body = string(r.Response.Body)
	}
	if k.status == "" || r.Status != k.status || r.Owner != k.owner || body != k.body {
		return false
	}
	if k.token == 0 && r.Token > k.last {
		k.token, k.last = r.Token, r.Token
	}
	return r.Token == k.token
}

// take gives the record to a claim if it may have it.
func (k *keyState) take(c *call) bool {
	if k.status == onceward.StatusStarted && k.owner == c.claim.Owner {
		return true
	}
	if k.status == onceward.StatusCompleted || k.status == onceward.StatusStarted && k.tier >= c.tier {
		return false
	}
	*k = keyState{status: onceward.StatusStarted, owner: c.claim.Owner, last: k.last, tier: c.tier}
	return true
}

// step reports whether the contract allows what a call was told.
func (k keyState) step(c *call) (bool, keyState) {
	switch c.kind {
	case callShadow:
		k.take(c)
		return true, k
	case callClaim:
		return k.take(c) == c.won && k.reports(&c.record), k
	case callComplete:
		if k.status == "" || k.owner != c.claim.Owner || k.token != c.claim.Token {
			return errors.Is(c.err, onceward.ErrFenced), k
		}
		if k.status == onceward.StatusStarted {
			k.status, k.body = onceward.StatusCompleted, c.body
		}
		return c.err == nil && k.body == c.body, k
	default:
		if errors.Is(c.err, onceward.ErrNotFound) {
			return k.status == "", k
		}
		return c.err == nil && k.reports(&c.record), k
	}
}

// linearizable reports whether there is an order of the calls of every key in
// which each takes effect between its beginning and its end, and in which the
// contract allows every answer.
func linearizable(history []call) bool {
	byKey := make(map[string][]porcupine.Operation)
	add := func(c call) {
		byKey[c.key] = append(byKey[c.key], porcupine.Operation{ClientId: c.client, Input: c, Call: c.began, Return: c.ended})
	}
	for _, c := range history {
		add(c)
		if c.kind == callClaim && !c.won {
			c.kind = callShadow
			add(c)
		}
	}
	model := porcupine.Model{
		Init: func() any { return keyState{} },
		Step: func(state, input, _ any) (bool, any) {
			k, _ := state.(keyState)
			c, _ := input.(call)
			ok, next := k.step(&c)
			return ok, next
		},
		Equal: func(a, b any) bool { return a == b },
	}
	for _, ops := range byKey {
		if !porcupine.CheckOperations(model, ops) {
			return false
		}
	}
	return true
}
