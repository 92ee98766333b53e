package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
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
	limit    time.Duration // of the attack; 0 is none
	broken   string
	store    string // sqlite, postgres: or a DSN
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
	case c.store != storeSQLite && !strings.HasPrefix(c.store, "postgres:") && !strings.HasPrefix(c.store, "postgresql:"):
		return errors.New(`-store must be sqlite, "postgres:" or a DSN that begins with postgres://`)
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
	data     string // the folder of the database and the configuration
	db       database
	secrets  []string // environment of the processes
	gateways []*gateway
	wallets  *wallets
	inbox    *inbox
	history  *history
	sends    *sends
	faults   *counter
	crashes  *crashes
	checks   *counter // by invariant
	ledgerAt struct{ start, end uint32 }
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
		history: newHistory(), faults: newCounter(), crashes: newCrashes(cfg), checks: newCounter(),
	}
	if err := os.Mkdir(c.data, 0o700); err != nil {
		return nil, err
	}
	stop, err := c.open(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, stop()) }()
	cfg.progress("seed %d: %d operations, %d processes, %d channels, %s", cfg.seed, cfg.ops, cfg.processes, cfg.channels, c.storeName())
	begin := time.Now()
	if err := c.attack(ctx); err != nil {
		return nil, err
	}
	rep = &report{cfg: cfg, store: c.storeName(), attacked: time.Since(begin)}
	cfg.progress("settling: faults end, every key is asked for until it has its answer")
	if err := c.settle(ctx); err != nil {
		return nil, err
	}
	cfg.progress("comparing the ledgers with the records and what the clients saw")
	return rep, c.judge(ctx, rep)
}

// open starts the chain, the database and the processes. Its stop ends them
// again.
func (c *campaign) open(ctx context.Context) (stop func() error, err error) {
	var closers []func() error
	stop = func() error {
		var errs []error
		for _, closeIt := range slices.Backward(closers) {
			errs = append(errs, closeIt())
		}
		return errors.Join(errs...)
	}
	for _, step := range []func(context.Context) (func() error, error){
		c.openChain, c.openInbox, c.openWallets, c.openDatabase, c.openGateways,
	} {
		closeIt, err := step(ctx)
		if closeIt != nil {
			closers = append(closers, closeIt)
		}
		if err != nil {
			return nil, errors.Join(err, stop())
		}
	}
	c.ledgerAt.start = c.chain.LatestLedger()
	return stop, nil
}

func (c *campaign) openChain(ctx context.Context) (func() error, error) {
	var err error
	c.chain, err = devchain.Open(devchain.Config{LedgerInterval: c.cfg.interval, Retention: 1 << 20, LedgerCapacity: 4000})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	var chainErr error
	running.Go(func() { chainErr = c.chain.Run(ctx) })
	return func() error {
		cancel()
		running.Wait()
		if errors.Is(chainErr, context.Canceled) {
			chainErr = nil
		}
		return errors.Join(chainErr, c.chain.Close())
	}, nil
}

func (c *campaign) openInbox(context.Context) (func() error, error) {
	secret := "whsec_" + base64.StdEncoding.EncodeToString(c.secret("webhooks"))
	c.secrets = []string{
		"ONCEWARD_DEV_MINTER=" + devchain.DevAdminSeed,
		"ONCEWARD_DEV_NONCE=hex:" + hex.EncodeToString(c.secret("nonces")),
		"ONCEWARD_DEV_CHANNELS=hex:" + hex.EncodeToString(c.secret("channels")),
		"ONCEWARD_DEV_WEBHOOK_SECRET=" + secret,
	}
	var err error
	if c.inbox, err = newInbox(c, secret); err != nil { //nolint:contextcheck // it listens until it is closed
		return nil, err
	}
	return c.inbox.close, nil
}

// secret is the campaign's alone.
func (c *campaign) secret(name string) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "torture %d %s", c.cfg.seed, name))
	return sum[:]
}

func (c *campaign) openWallets(context.Context) (func() error, error) {
	var err error
	if c.wallets, err = newWallets(c); err != nil {
		return nil, err
	}
	return func() error { c.wallets.close(); return nil }, nil
}

func (c *campaign) openDatabase(ctx context.Context) (func() error, error) {
	var err error
	if c.db, err = openDatabase(ctx, c, c.data); err != nil {
		return nil, err
	}
	return c.db.close, nil
}

func (c *campaign) openGateways(ctx context.Context) (func() error, error) {
	c.sends = newSends(c)
	closeAll := func() error {
		for _, g := range c.gateways {
			g.close()
		}
		return c.sends.close()
	}
	for i := range c.cfg.processes {
		g, err := newGateway(c, i) //nolint:contextcheck // its listener lives until close
		if err != nil {
			return closeAll, err
		}
		c.gateways = append(c.gateways, g)
		if i == 0 {
			if err := errors.Join(g.migrate(ctx), c.sends.open(ctx)); err != nil {
				return closeAll, err
			}
		}
		if err := g.start(ctx, life{}); err != nil {
			return closeAll, err
		}
	}
	return closeAll, nil
}

// attack lets clients and faults loose until every operation was started, and
// its client has an answer or has given up; or until the limit.
func (c *campaign) attack(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if c.cfg.limit > 0 {
		defer time.AfterFunc(c.cfg.limit, cancel).Stop()
	}
	var attackers, clients sync.WaitGroup
	faults := make(chan error, 2*len(c.gateways)+1)
	attackers.Go(func() { faults <- c.breakNetwork(ctx) })
	for _, g := range c.gateways {
		attackers.Go(func() { faults <- g.suffer(ctx) })
		attackers.Go(func() { faults <- c.db.disturb(ctx, g.index) })
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
		// Not to be broken off half done when the time is over.
		if err = restores.due(context.WithoutCancel(ctx), c, i); err != nil || ctx.Err() != nil {
			break
		}
		if i > 0 && i%1000 == 0 {
			c.cfg.progress("%d operations, %d faults, ledger %d", i, c.faults.total(), c.chain.LatestLedger())
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
	c.inbox.calm.Store(true)
	c.ledgerAt.end = c.chain.LatestLedger()
	return nil
}

// storeName is the kind of store; a DSN is nobody's business.
func (c *campaign) storeName() string {
	if c.cfg.store == storeSQLite {
		return "SQLite"
	}
	return "PostgreSQL"
}
