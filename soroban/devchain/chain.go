package devchain

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"
	"github.com/stellar/go-stellar-sdk/network"

	"github.com/onceward/onceward/soroban/devchain/host"
	"github.com/onceward/onceward/soroban/devchain/internal/state"
)

// Config says how a chain behaves. The zero value is a chain in memory with the defaults named here.
type Config struct {
	// Passphrase identifies the network; every hash and signature depends on it. Default DefaultPassphrase, or what
	// the chain in Dir was created with.
	Passphrase string
	// Dir keeps the ledgers across restarts, even after a kill; "" keeps them in memory only.
	Dir string
	// LedgerInterval is the time between ledgers under Run. Default 1s.
	LedgerInterval time.Duration
	// Admin is the account (G…) that may mint the sample tokens. Default: the account of DevAdminSeed.
	Admin string
	// Retention is how many ledgers' transactions and events can be asked for. Default 17280.
	Retention int
	// PersistentTTL is how many ledgers a persistent entry lives once it was written or restored; then it is archived
	// until a transaction restores it. Default host.MinPersistentTTL, about four months at 5 s a ledger; at least 2.
	PersistentTTL uint32
	// LedgerCapacity is how many transactions of each kind (classic, contract) a ledger takes. Default 1000. The
	// queue holds four times as many, then the lowest bids are evicted.
	LedgerCapacity int
	// Contracts are deployed beside the samples when the chain is created.
	Contracts []*host.Contract
	// Faults are injected from the start.
	Faults []Fault
	// Log gets what the operator should know. Default: nothing.
	Log *slog.Logger
	// Now is the clock. Default time.Now.
	Now func() time.Time
}

const (
	defaultRetention = 17_280
	defaultCapacity  = 1_000
	historyDepth     = 128 // ledgers that a stale replica can lag
)

func (cfg Config) withDefaults() (Config, error) {
	admin, err := keypair.ParseFull(DevAdminSeed)
	if err != nil {
		return cfg, fmt.Errorf("devchain: development admin: %w", err)
	}
	cfg.LedgerInterval = cmp.Or(cfg.LedgerInterval, time.Second)
	cfg.Admin = cmp.Or(cfg.Admin, admin.Address())
	cfg.Retention = cmp.Or(cfg.Retention, defaultRetention)
	cfg.PersistentTTL = cmp.Or(cfg.PersistentTTL, host.MinPersistentTTL)
	cfg.LedgerCapacity = cmp.Or(cfg.LedgerCapacity, defaultCapacity)
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	switch {
	case cfg.LedgerInterval < 0:
		return cfg, errors.New("devchain: LedgerInterval is negative")
	case cfg.Retention < 1:
		return cfg, errors.New("devchain: Retention must be at least one ledger")
	case cfg.PersistentTTL < 2 || cfg.PersistentTTL > host.MaxTTL:
		return cfg, fmt.Errorf("devchain: PersistentTTL must be 2 to %d ledgers", host.MaxTTL)
	case cfg.LedgerCapacity < 1:
		return cfg, errors.New("devchain: LedgerCapacity must be at least one transaction")
	}
	if _, err := keypair.ParseAddress(cfg.Admin); err != nil {
		return cfg, fmt.Errorf("devchain: Admin %q is not an account address (G…): %w", cfg.Admin, err)
	}
	return cfg, nil
}

// Chain is a development network of one node. All methods may be called at the same time.
type Chain struct {
	cfg       Config
	networkID [32]byte
	root      *keypair.Full
	admin     string
	contracts []*host.Contract
	byID      map[[32]byte]*host.Contract
	faults    *faults
	done      chan struct{} // closed by Close; ends what hangs
	closeOnce sync.Once

	// mu guards what follows. No answer is written to a client while it is held.
	mu      sync.RWMutex
	store   *state.Store
	ledgers []*ledger // the retained ones, oldest first, never empty after Open
	txs     map[[32]byte]*storedTx
	classic *queue
	soroban *queue
	distant []distant
	log     *ledgerLog // nil for a chain in memory
	broken  error      // why no more ledgers can be closed
}

// distant is a transaction that waits in other nodes' queues until a certain ledger.
type distant struct {
	f  *frame
	at uint32
}

// Open creates a chain, or restores the one in cfg.Dir. A record that was being written when the process died is
// dropped, since nobody saw its ledger; any other damage is an error. It starts nothing: see Run.
func Open(cfg Config) (*Chain, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Chain{cfg: cfg, admin: cfg.Admin, done: make(chan struct{}), faults: newFaults()}
	for _, f := range cfg.Faults {
		if err := c.Inject(f); err != nil {
			return nil, err
		}
	}
	if cfg.Dir == "" {
		c.cfg.Passphrase = cmp.Or(cfg.Passphrase, DefaultPassphrase)
		err = c.create()
	} else {
		err = c.openDir()
	}
	if err != nil {
		return nil, err
	}
	return c, nil
}

// identify derives what depends on the passphrase.
func (c *Chain) identify() error {
	c.networkID = network.ID(c.cfg.Passphrase)
	root, err := rootKey(c.cfg.Passphrase)
	if err != nil {
		return fmt.Errorf("devchain: root account: %w", err)
	}
	c.root = root
	return c.loadContracts(c.cfg.Contracts)
}

func (c *Chain) clear() {
	c.store = state.NewStore(historyDepth)
	c.ledgers, c.txs, c.distant = nil, map[[32]byte]*storedTx{}, nil
	c.classic, c.soroban = newQueue(c.cfg.LedgerCapacity), newQueue(c.cfg.LedgerCapacity)
}

// create makes the first ledger.
func (c *Chain) create() error {
	if err := c.identify(); err != nil {
		return err
	}
	c.clear()
	layer, err := c.genesis()
	if err != nil {
		return fmt.Errorf("devchain: %w", err)
	}
	c.store.Apply(1, layer.Writes())
	first, err := firstLedger(c.cfg.Now().Unix(), c.cfg.Passphrase)
	if err != nil {
		return fmt.Errorf("devchain: %w", err)
	}
	c.admit(first)
	return nil
}

// Passphrase identifies the chain's network.
func (c *Chain) Passphrase() string { return c.cfg.Passphrase }

// Admin is the account that may mint the sample tokens.
func (c *Chain) Admin() string { return c.admin }

// Err says why no more ledgers can be closed, nil while they can.
func (c *Chain) Err() error {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.broken
}

// LatestLedger is the sequence of the last closed ledger.
func (c *Chain) LatestLedger() uint32 {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.head().seq()
}

func (c *Chain) head() *ledger { return c.ledgers[len(c.ledgers)-1] }

func (c *Chain) queueFor(soroban bool) *queue {
	if soroban {
		return c.soroban
	}
	return c.classic
}

// Run closes a ledger every LedgerInterval until ctx ends, then returns nil, or until a ledger cannot be written.
func (c *Chain) Run(ctx context.Context) error {
	tick := time.NewTicker(c.cfg.LedgerInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			seq, err := c.CloseLedger()
			if err != nil {
				return err
			}
			c.cfg.Log.LogAttrs(ctx, slog.LevelDebug, "ledger closed", slog.Uint64("ledger", uint64(seq)))
		}
	}
}

// Close ends hanging answers and closes the files. The chain can still be read, but closes no more ledgers.
func (c *Chain) Close() error {
	c.closeOnce.Do(func() { close(c.done) })
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken == nil {
		c.broken = errClosed
	}
	if c.log == nil {
		return nil
	}
	err := c.log.close()
	c.log = nil
	return err
}

var errClosed = errors.New("devchain: the chain is closed")

// Reset throws everything away and starts a new network with the same passphrase, as public test networks do.
func (c *Chain) Reset() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.broken != nil {
		return c.broken
	}
	if err := c.create(); err != nil {
		return err
	}
	if c.log != nil {
		return c.rewriteLog()
	}
	return nil
}
