package main

import (
	"math/rand/v2"
	"strings"
	"sync"
	"time"
)

// dice draws everything that is random from one seed.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed uint64) *dice { return &dice{rng: rand.New(rand.NewPCG(seed, 0))} } //nolint:gosec // faults, not secrets

// n draws from 0 to limit-1.
func (d *dice) n(limit int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rng.IntN(limit)
}

// percent is true that often.
func (d *dice) percent(p int) bool { return d.n(100) < p }

// between draws a duration.
func (d *dice) between(low, high time.Duration) time.Duration {
	return low + time.Duration(d.n(int(high-low)))
}

func pick[T any](d *dice, from []T) T { return from[d.n(len(from))] }

// counter counts by name.
type counter struct {
	mu sync.Mutex
	by map[string]int
}

func newCounter() *counter { return &counter{by: make(map[string]int)} }

func (c *counter) add(name string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by[name] += n
}

// sum adds up what is counted under names with a prefix.
func (c *counter) sum(prefix string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sumOf(c.by, prefix)
}

func sumOf(counts map[string]int, prefix string) (sum int) {
	for name, n := range counts {
		if strings.HasPrefix(name, prefix) {
			sum += n
		}
	}
	return sum
}

func (c *counter) total() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return sumOf(c.by, "")
}
