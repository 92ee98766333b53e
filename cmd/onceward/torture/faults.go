package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// crashPoints are the boundaries that a process is killed at.
var crashPoints = []string{
	"claim", "renew", "release", "complete", "store attempt", "store proof", "store outcome", "store envelope",
	"look", "simulate", "send", "send", "find", "scan",
}

// suffer kills the process again and again until ctx ends: at a crash point it
// was given, or at a random moment.
func (g *gateway) suffer(ctx context.Context) error {
	for ctx.Err() == nil {
		d := g.c.dice
		select {
		case <-g.ended():
			g.fell()
		case <-ctx.Done():
			return nil
		case <-time.After(d.between(300*time.Millisecond, 4*time.Second)):
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
	at, log, killed := g.life.crashAt, g.log, g.killed
	g.mu.Unlock()
	switch {
	case killed:
		return
	case at == "":
		g.c.history.violate(0, "a process ended by itself:\n%s", last(log.String()))
		return
	}
	name, _, _ := strings.Cut(at, "=")
	g.c.faults.add("SIGKILL "+name, 1)
}

// restart kills the process and starts its successor, which may be given a
// point to die at and a clock that is wrong.
func (g *gateway) restart(ctx context.Context) error {
	g.halting.Lock()
	defer g.halting.Unlock()
	d := g.c.dice
	g.kill()
	var l life
	if d.percent(70) {
		at := pick(d, []string{"before ", "after "}) + pick(d, crashPoints)
		l.crashAt = fmt.Sprintf("%s=%d", at, 1+d.n(12))
	}
	if d.percent(30) {
		l.skew = d.between(-10*time.Minute, 10*time.Minute)
		g.c.faults.add("clock set wrong", 1)
	}
	return g.start(ctx, l)
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
		if err := c.sends.backup(ctx, c.copyOf(n)); err != nil {
			return fmt.Errorf("copying the database: %w", err)
		}
	}
	if n, ok := r.replaceAt[i]; ok {
		return c.restore(ctx, c.copyOf(n))
	}
	return nil
}

func (c *campaign) copyOf(n int) string {
	return filepath.Join(filepath.Dir(c.data), fmt.Sprintf("copy-%d.db", n))
}

// restore puts an older copy in the place of the database: what was stored
// since is forgotten.
func (c *campaign) restore(ctx context.Context, copied string) error {
	for _, g := range c.gateways {
		g.halting.Lock()
		defer g.halting.Unlock()
		g.kill()
	}
	if err := c.sends.exchange(ctx, copied); err != nil {
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

// exchangeFiles puts from in the place of the database in dir.
func exchangeFiles(dir, from string) error {
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, "onceward.db"+suffix)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return os.Rename(from, filepath.Join(dir, "onceward.db"))
}

// vacuumInto makes a consistent copy of the database at path.
func vacuumInto(ctx context.Context, db *sql.DB, path string) error {
	_, err := db.ExecContext(ctx, "VACUUM INTO '"+strings.ReplaceAll(path, "'", "''")+"'") //nolint:gosec // a path of our own, quoted
	return err
}
