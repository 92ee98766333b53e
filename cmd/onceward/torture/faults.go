package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

// breakNetwork makes the chain and its RPC misbehave until ctx ends.
func (c *campaign) breakNetwork(ctx context.Context) error {
	kinds := []devchain.FaultKind{
		devchain.StaleReplica, devchain.StaleReplica, devchain.DelayIngestion, devchain.LookupRace, devchain.LookupRace,
		devchain.DropTransaction, devchain.EvictTransaction, devchain.IncludeLate, devchain.IncludeLate,
	}
	for ctx.Err() == nil {
		pause(ctx, c.dice.between(10*time.Millisecond, 150*time.Millisecond))
		if c.starting() {
			continue
		}
		f := devchain.Fault{Kind: pick(c.dice, kinds), Times: 1 + c.dice.n(4), Ledgers: uint32(1 + c.dice.n(8))} //nolint:gosec // small
		if err := c.chain.Inject(f); err != nil {
			return err
		}
	}
	slices.Sort(kinds)
	for _, kind := range slices.Compact(kinds) { // some are drawn more often
		c.faults.add(string(kind), c.chain.FaultsStruck(kind))
	}
	return nil
}

// starting reports whether a process is asking its first questions, which it
// may not survive being answered wrongly.
func (c *campaign) starting() bool {
	for _, g := range c.gateways {
		if g.front.starting.Load() {
			return true
		}
	}
	return false
}

// suffer kills the process again and again until ctx ends: at a crash point it
// was given, or at a random moment.
func (g *gateway) suffer(ctx context.Context) error {
	for ctx.Err() == nil {
		select {
		case <-g.ended():
			g.fell()
		case <-ctx.Done():
			return nil
		case <-time.After(g.alive().patience(g.c.dice)):
			g.c.faults.add("SIGKILL at a random moment", 1)
		}
		if err := g.restart(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// fell takes note of a process that ended without being killed from here.
func (g *gateway) fell() {
	g.mu.Lock()
	l, log, killed, at := g.life, g.log, g.killed, sigkilled(g.cmd) && g.life.crashAt != ""
	g.mu.Unlock()
	switch {
	case killed:
	case !at:
		g.c.history.violate(0, "a process ended by itself:\n%s", last(log.String()))
	default:
		g.c.crashed(l)
	}
}

// alive is how the process of the moment was started.
func (g *gateway) alive() life {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.life
}

// restart kills the process and starts its successor, which may be given a
// point to die at and a clock that is wrong.
func (g *gateway) restart(ctx context.Context) error {
	g.halting.Lock()
	defer g.halting.Unlock()
	d := g.c.dice
	g.kill()
	var l life
	if d.percent(75) {
		l.crashAt, l.seldom = g.c.crashes.draw(d)
	}
	if d.percent(30) {
		l.skew = wrongClock(d)
		g.c.faults.add("clock set wrong", 1)
	}
	return g.start(ctx, l)
}

// wrongClock draws how wrong a clock is. One that is fast is so by seconds:
// what its process holds when it dies stays blocked for that long, and under
// many minutes of that nothing else would be put to the test.
func wrongClock(d *dice) time.Duration {
	if d.percent(20) {
		return d.between(-10*time.Minute, 0)
	}
	return d.between(-5*time.Second, 5*time.Second)
}

// restores says before which operations the database is copied and replaced.
type restores struct{ copyAt, replaceAt map[int]int }

func (c *campaign) planRestores() restores {
	r := restores{make(map[int]int), make(map[int]int)}
	for i := range c.cfg.restores {
		at := (i + 1) * c.cfg.ops / (c.cfg.restores + 1)
		r.copyAt[at-at/8] = i
		r.replaceAt[at] = i
	}
	return r
}

// due does what is due before operation i.
func (r restores) due(ctx context.Context, c *campaign, i int) error {
	if n, ok := r.copyAt[i]; ok {
		if err := c.db.backup(ctx, n); err != nil {
			return fmt.Errorf("copying the database: %w", err)
		}
	}
	if n, ok := r.replaceAt[i]; ok {
		return c.restore(ctx, n)
	}
	return nil
}

// restore puts an older copy in the place of the database: what was stored
// since is forgotten.
func (c *campaign) restore(ctx context.Context, n int) error {
	for _, g := range c.gateways {
		g.halting.Lock()
		defer g.halting.Unlock()
		g.kill()
	}
	if err := c.sends.exchange(ctx, n); err != nil {
		return fmt.Errorf("restoring the database: %w", err)
	}
	c.faults.add("database replaced by an older copy", 1)
	for _, g := range c.gateways {
		if err := g.start(ctx, life{}); err != nil {
			return err
		}
	}
	return nil
}
