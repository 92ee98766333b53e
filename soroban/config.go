package soroban

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/stellar/go-stellar-sdk/keypair"

	"github.com/onceward/onceward"
)

// Config of a Submitter. The fields up to Render are required.
type Config struct {
	// RPC is the Stellar RPC server; see NewClient.
	RPC RPC
	// Passphrase of the network. It is pinned: nothing is sent to a server of
	// another network, and no answer is believed that does not hash under it.
	Passphrase string
	// Store keeps one record for each channel, in a scope of the library's
	// own. It is the store of the Engine, or one as durable.
	Store onceward.Store
	// Channels supply sequence numbers and pay fees: one operation each at a
	// time, at most one transaction each in a ledger. Nothing else may ever
	// use these accounts. See DeriveChannels and EnsureChannels.
	Channels []Signer
	// Signers authorize invocations, by the name an Invocation refers to.
	// None of them may be a channel.
	Signers map[string]Signer
	// NonceSecret makes the nonce of an operation from its key; at least 16
	// bytes. Every installation that may see the same keys must share it, and
	// it must outlive any database: the chain refuses a second success of a
	// key only for as long as the key has the same nonce.
	NonceSecret []byte
	// Render makes an operation's answer. It must depend on its argument
	// alone: recovery has nothing else, and retries must get the same bytes.
	Render func(Result) onceward.Response

	// OnOutcome is called with every final outcome, before the key is
	// completed with its answer: at least once, again after a crash, with the
	// same Result. Its error leaves the operation to recovery, which calls it
	// again. It is where webhooks are put into their outbox. Nil for none.
	OnOutcome func(context.Context, *onceward.Operation, Result, onceward.Response) error

	// LedgerWindow is for how many ledgers an envelope may be applied, 3 to
	// 1,000. A longer one survives longer outages, a shorter one finds out
	// sooner. Default 16.
	LedgerWindow uint32
	// GuardWindow is for how many ledgers an authorization is valid, and for
	// exactly as long the chain remembers its nonce. Make it cover the
	// retention of the keys. Default 17,280, which is 24 h at 5 s a ledger.
	GuardWindow uint32
	// PollInterval is how often the chain is asked. Default 1 s.
	PollInterval time.Duration
	// CallTimeout bounds one call of the RPC or the store. Default 10 s.
	CallTimeout time.Duration
	// ChannelLease is how long a process that died keeps its channels from
	// others. Default 30 s.
	ChannelLease time.Duration
	// ChannelWait bounds the time an operation waits for a channel.
	// Default 1 min.
	ChannelWait time.Duration
	// MaxQueue bounds the operations that wait for a channel. Default 1,000.
	MaxQueue int
	// MaxAttempts bounds the envelopes built for one operation. Default 8.
	MaxAttempts int
	// InclusionFee is bid for a place in a ledger, in stroops. Default 10,000.
	InclusionFee int64
	// MaxFee is the most that one envelope may cost, in stroops, whatever a
	// simulation says. A fee bump of a transaction that is refused for its fee
	// goes up to it, in steps of ten times the bid for an operation. At most
	// 2^50. Default 50,000,000 (5 XLM).
	MaxFee int64
	// FeeBudget bounds what all envelopes together may cost, in stroops. Each
	// counts in full when it is signed, whatever is charged for it in the end.
	// Nil sets no bound. See NewBudget.
	FeeBudget *Budget
	// Observe, when set, is called as a Step begins. It returns the step's
	// context, and a function that is called with the error of its end.
	// Default: nothing.
	Observe func(ctx context.Context, step Step) (context.Context, func(error))
	// Logger receives what no caller gets to see. Default: discarded.
	Logger *slog.Logger
	// Now is the clock; it decides about leases only. Default time.Now.
	Now func() time.Time
}

const (
	minSecret = 16
	minWindow = 3
	maxWindow = 1000
	// maxGuard keeps an authorization below the longest life that the network
	// gives an entry (about 180 days).
	maxGuard    = 3_000_000
	maxChannels = 10_000
)

func (c Config) withDefaults() Config {
	c.LedgerWindow = cmp.Or(c.LedgerWindow, 16)
	c.GuardWindow = cmp.Or(c.GuardWindow, 17_280)
	c.PollInterval = cmp.Or(c.PollInterval, time.Second)
	c.CallTimeout = cmp.Or(c.CallTimeout, 10*time.Second)
	c.ChannelLease = cmp.Or(c.ChannelLease, 30*time.Second)
	c.ChannelWait = cmp.Or(c.ChannelWait, time.Minute)
	c.MaxQueue = cmp.Or(c.MaxQueue, 1000)
	c.MaxAttempts = cmp.Or(c.MaxAttempts, 8)
	c.InclusionFee = cmp.Or(c.InclusionFee, 10_000)
	c.MaxFee = cmp.Or(c.MaxFee, 50_000_000)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observe == nil {
		c.Observe = func(ctx context.Context, _ Step) (context.Context, func(error)) { return ctx, func(error) {} }
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func (c Config) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("soroban: Config."+format, args...))
		}
	}
	check(c.RPC != nil, "RPC is missing; see NewClient")
	check(c.Passphrase != "", "Passphrase is missing")
	check(c.Store != nil, "Store is missing")
	check(c.Render != nil, "Render is missing")
	check(len(c.Channels) > 0, "Channels is empty; see DeriveChannels")
	check(len(c.Channels) <= maxChannels, "Channels has more than %d accounts", maxChannels)
	check(len(c.NonceSecret) >= minSecret, "NonceSecret needs at least %d bytes", minSecret)
	check(c.LedgerWindow >= minWindow && c.LedgerWindow <= maxWindow, "LedgerWindow must be %d to %d ledgers", minWindow, maxWindow)
	check(c.GuardWindow >= c.LedgerWindow, "GuardWindow is shorter than LedgerWindow")
	check(c.GuardWindow <= maxGuard, "GuardWindow is longer than %d ledgers", maxGuard)
	check(c.PollInterval > 0, "PollInterval is negative")
	check(c.CallTimeout > 0, "CallTimeout is negative")
	check(c.ChannelLease > 0, "ChannelLease is negative")
	check(c.ChannelWait > 0, "ChannelWait is negative")
	check(c.MaxQueue > 0, "MaxQueue is negative")
	check(c.MaxAttempts > 0, "MaxAttempts is negative")
	check(c.InclusionFee >= minInclusionFee, "InclusionFee is below the network's minimum of %d stroops", minInclusionFee)
	check(c.MaxFee >= c.InclusionFee, "MaxFee is below InclusionFee")
	check(c.MaxFee <= maxBid, "MaxFee is more than %d stroops", maxBid)
	return errors.Join(append(errs, c.validateAccounts())...)
}

// minInclusionFee is the network's base fee for one operation, in stroops.
const minInclusionFee = 100

// validateAccounts keeps channels and signers apart: an invocation authorized
// by its own source account would have no nonce.
func (c Config) validateAccounts() error {
	var errs []error
	seen := make(map[string]bool)
	for i, ch := range c.Channels {
		if ch == nil || !isAccount(ch.Address()) {
			errs = append(errs, fmt.Errorf("soroban: Config.Channels[%d] has no account address (G…)", i))
			continue
		}
		if seen[ch.Address()] {
			errs = append(errs, fmt.Errorf("soroban: channel %s is listed twice", ch.Address()))
		}
		seen[ch.Address()] = true
	}
	for name, s := range c.Signers {
		switch {
		case s == nil || !isAccount(s.Address()):
			errs = append(errs, fmt.Errorf("soroban: Config.Signers[%q] has no account address (G…)", name))
		case seen[s.Address()]:
			errs = append(errs, fmt.Errorf("soroban: signer %q is a channel; they must be different accounts", name))
		}
	}
	return errors.Join(errs...)
}

func isAccount(address string) bool {
	_, err := keypair.ParseAddress(address)
	return err == nil
}
