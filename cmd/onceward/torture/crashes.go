package main

import (
	"fmt"
	"sync"
	"time"
)

// boundary is a named point of package crashpoint, and how often a process with
// eight clients may pass it before it dies there: at one that few operations
// pass, the first time.
type boundary struct {
	name string
	most int
}

// boundaries are those between storing, asking and sending. "hold" is none of
// them: where the faults end, nothing is held.
var boundaries = []boundary{
	{"claim", 12},
	{"renew", 6},
	{"release", 4},
	{"complete", 8},
	{"store attempt", 6},
	{"store proof", 1},
	{"store outcome", 6},
	{"store envelope", 6},
	{"look", 20},
	{"simulate", 8},
	{"send", 8},
	{"find", 8},
	{"scan", 1},
}

// crashes counts how often each boundary was hit, on both sides, and draws the
// next one so that those which were hit least come most.
type crashes struct {
	scale int // of boundary.most

	mu   sync.Mutex
	hits map[string]int
}

func newCrashes(cfg config) *crashes {
	c := &crashes{scale: max(1, cfg.clients/cfg.processes/8), hits: make(map[string]int)}
	for _, b := range boundaries {
		for _, side := range sides {
			c.hits[side+b.name] = 0
		}
	}
	return c
}

var sides = []string{"before ", "after "}

// draw returns a boundary, in the form that ONCEWARD_CRASH_AT has, and whether
// processes come by there seldom.
func (c *crashes) draw(d *dice) (at string, seldom bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var names []string
	var weights []int
	sum := 0
	for _, b := range boundaries {
		for _, side := range sides {
			n := 1 + c.hits[side+b.name]
			names, weights = append(names, side+b.name), append(weights, 1+10_000/(n*n))
			sum += weights[len(weights)-1]
		}
	}
	at = names[len(names)-1]
	for i, n := 0, d.n(sum); i < len(names); i++ {
		if n -= weights[i]; n < 0 {
			at = names[i]
			if most := boundaries[i/len(sides)].most; most > 1 {
				return fmt.Sprintf("%s=%d", at, 1+d.n(most*c.scale)), false
			}
			break
		}
	}
	return at + "=1", true
}

// hit takes note that a process died at a boundary.
func (c *crashes) hit(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hits[name]++
}

// patience is how long a process is left alone to come to its boundary.
func (l life) patience(d *dice) time.Duration {
	switch {
	case l.crashAt == "":
		return d.between(500*time.Millisecond, 6*time.Second)
	case l.seldom:
		return d.between(6*time.Second, 25*time.Second)
	}
	return d.between(3*time.Second, 12*time.Second)
}
