package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

// protections that a campaign can take away; what each means is said in
// soroban/protections_off.go.
var protections = []string{
	"rebuild-on-bad-seq", "trust-not-found", "free-on-timeout", "send-before-storing", "random-nonce",
}

type config struct {
	ops, processes, channels, clients, restores int

	faulty   int // percentage of the chain's answers that are lost or wrong
	seed     uint64
	interval time.Duration
	broken   string
	race     bool
	binary   string
	log      func(process int, text string) // what a process wrote; may be nil
	progress func(format string, args ...any)
}

func (c config) validate() error {
	switch {
	case c.ops < 1, c.processes < 1, c.channels < 1, c.clients < 1, c.restores < 0:
		return errors.New("-ops, -processes, -channels and -clients must be positive, -restores not negative")
	case c.faulty < 0, c.faulty > 90:
		return errors.New("-faulty must be 0 to 90")
	case c.interval < 10*time.Millisecond:
		return errors.New("-ledger-interval must be at least 10ms")
	case c.broken != "" && !slices.Contains(protections, c.broken):
		return fmt.Errorf("-break %q is unknown; use one of %s", c.broken, strings.Join(protections, ", "))
	}
	return nil
}

// campaign is everything under attack, and what was seen of it.
type campaign struct {
	cfg      config
	dice     *dice
	chain    *devchain.Chain
	data     string // the folder that the processes share
	gateways []*gateway
	history  *history
	sends    *sends
	faults   *counter
}

// torture runs one campaign.
func torture(ctx context.Context, cfg config) (rep *report, err error) {
	dir, err := os.MkdirTemp("", "onceward-torture-")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if cfg.binary == "" {
		cfg.progress("building the binary with crash points")
		if cfg.binary, err = build(ctx, dir, cfg.race); err != nil {
			return nil, err
		}
	}
	c := &campaign{
		cfg: cfg, dice: newDice(cfg.seed), data: dir + "/data",
		history: newHistory(), faults: newCounter(),
	}
	stop, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	cfg.progress("seed %d: %d operations, %d processes, %d channels", cfg.seed, cfg.ops, cfg.processes, cfg.channels)
	begin := time.Now()
	if err := c.attack(ctx); err != nil {
		return nil, err
	}
	rep = &report{cfg: cfg, attacked: time.Since(begin)}
	cfg.progress("settling: faults end, every key is asked for until it has its answer")
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	cfg.progress("comparing the ledgers with the records and what the clients saw")
	return rep, c.judge(ctx, rep)
}

// open starts the chain and the processes. Its stop ends them again.
func (c *campaign) open(ctx context.Context) (stop func() error, err error) {
	if err := os.MkdirAll(c.data, 0o700); err != nil {
		return nil, err
	}
	c.chain, err = devchain.Open(devchain.Config{LedgerInterval: c.cfg.interval, Retention: 1 << 20, LedgerCapacity: 4000})
	if err != nil {
		return nil, err
	}
	chainCtx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var chainErr error
	running.Go(func() { chainErr = c.chain.Run(chainCtx) })
	c.sends = newSends(c.chain, c.data)
	stop = func() error { //nolint:contextcheck // it closes what the campaign leaves, whoever has gone
		for _, g := range c.gateways {
			g.close()
		}
		cancel()
		running.Wait()
		if errors.Is(chainErr, context.Canceled) {
			chainErr = nil
		}
		return errors.Join(chainErr, c.sends.close(), c.chain.Close())
	}
	for i := range c.cfg.processes {
		g, err := newGateway(c, i) //nolint:contextcheck // its listener lives until close
		if err == nil {
			c.gateways = append(c.gateways, g)
			err = g.start(ctx, life{})
		}
		if err != nil {
			return nil, errors.Join(err, stop())
		}
		if i == 0 { // it made the secrets and the tables
			if err := c.sends.open(ctx); err != nil {
				return nil, errors.Join(err, stop())
			}
		}
	}
	return stop, nil
}

// attack lets clients and faults loose until every operation was started.
func (c *campaign) attack(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var attackers, clients sync.WaitGroup
	faults := make(chan error, len(c.gateways)+1)
	attackers.Go(func() { faults <- c.breakNetwork(ctx) })
	for _, g := range c.gateways {
		attackers.Go(func() { faults <- g.suffer(ctx) })
	}
	ops := make(chan int)
	for range c.cfg.clients {
		clients.Go(func() {
			for i := range ops {
				c.client(ctx, newOperation(i))
			}
		})
	}
	restores := c.planRestores()
	var err error
	for i := range c.cfg.ops {
		if err = restores.due(ctx, c, i); err != nil || ctx.Err() != nil {
			break
		}
		if i > 0 && i%1000 == 0 {
			c.cfg.progress("%d operations, %d faults", i, c.faults.total())
		}
		ops <- i
	}
	close(ops)
	clients.Wait()
	cancel()
	attackers.Wait()
	close(faults)
	for e := range faults {
		err = errors.Join(err, e)
	}
	return errors.Join(err, c.mend())
}

// mend ends the faults of the network.
func (c *campaign) mend() error {
	c.chain.ClearFaults()
	for _, g := range c.gateways {
		g.front.calm.Store(true)
	}
	return nil
}
