package oncetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/onceward/onceward"
)

// Ability names an optional interface of a store.
type Ability string

// The abilities, by the name of their interface in package onceward.
const (
	Sweeper      Ability = "Sweeper"
	LapsedLister Ability = "LapsedLister"
	Finder       Ability = "Finder"
	Lister       Ability = "Lister"
	Transactor   Ability = "Transactor"
	Waker        Ability = "Waker"
	Recaller     Ability = "Recaller"
)

// Abilities returns those that the engine needs to sweep, recover and list, for
// Run.
func Abilities() []Ability { return []Ability{Sweeper, LapsedLister, Finder, Lister} }

// Everything returns all abilities: also those of a store on a database that
// keeps other rows, and that other processes share.
func Everything() []Ability { return append(Abilities(), Transactor, Waker, Recaller) }

// has reports whether the store has the ability.
func has(s onceward.Store, a Ability) bool {
	var ok bool
	switch a {
	case Sweeper:
		_, ok = s.(onceward.Sweeper)
	case LapsedLister:
		_, ok = s.(onceward.LapsedLister)
	case Finder:
		_, ok = s.(onceward.Finder)
	case Lister:
		_, ok = s.(onceward.Lister)
	case Transactor:
		_, ok = s.(onceward.Transactor)
	case Waker:
		_, ok = s.(onceward.Waker)
	case Recaller:
		_, ok = s.(onceward.Recaller)
	}
	return ok
}

// contract is one rule of the Store contract and how it is examined.
type contract struct {
	name  string
	needs []Ability
	run   func(e *exam)
}

// Run examines a store. factory returns a new, empty store for each case and
// registers its cleanup with t; cases run in parallel. The required abilities
// fail the test when they are missing, others are logged and left out.
func Run(t *testing.T, factory func(t *testing.T) onceward.Store, require ...Ability) {
	t.Helper()
	probe := factory(t)
	for _, a := range Everything() {
		switch {
		case has(probe, a):
		case slices.Contains(require, a):
			t.Errorf("%T is not an onceward.%s, which is required", probe, a)
		default:
			t.Logf("%T is not an onceward.%s: its cases do not run", probe, a)
		}
	}
	for _, group := range []struct {
		name  string
		cases []contract
	}{
		{"Claim", claimCases()},
		{"Takeover", takeoverCases()},
		{"Token", tokenCases()},
		{"Lease", leaseCases()},
		{"End", endCases()},
		{"Payload", payloadCases()},
		{"Sweep", sweepCases()},
		{"Listing", listingCases()},
		{"Transaction", transactionCases()},
		{"Wake", wakeCases()},
		{"Recall", recallCases()},
		{"Concurrent", concurrentCases()},
	} {
		for _, c := range group.cases {
			if !able(probe, c.needs) {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", group.name, c.name), func(t *testing.T) {
				t.Parallel()
				c.run(newExam(t, factory(t)))
			})
		}
	}
}

func able(s onceward.Store, needs []Ability) bool {
	for _, a := range needs {
		if !has(s, a) {
			return false
		}
	}
	return true
}
