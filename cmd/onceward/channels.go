package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/friendbot"
	"github.com/onceward/onceward/cmd/onceward/internal/storage"
	"github.com/onceward/onceward/soroban"
)

type channelsCommand struct {
	Create  channelsCreate  `cmd:"" help:"Create and fund the channel accounts that do not exist yet."`
	List    channelsList    `cmd:"" help:"List the channels: what each is used for, and why not."`
	Retire  channelsRetire  `cmd:"" help:"Keep channels from being used by any process."`
	Release channelsRelease `cmd:"" help:"Take channels out of retirement or quarantine."`
}

// Help is shown by onceward channels --help.
func (channelsCommand) Help() string {
	return teach(`Channels are accounts that supply sequence numbers and pay fees: each carries at most one
transaction a ledger. They are derived from one seed, SEP-5 along m/44'/148'/i', so the same seed
and count always name the same accounts.`,
		`name the seed and the count in chain.channels of onceward.yaml; states are in docs/chain-guarantees.md.`,
		`onceward channels create --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --seed-env CHANNEL_SEED --count 8`,
		`onceward channels list --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --seed-env CHANNEL_SEED --count 8 --store sqlite:onceward.db`)
}

// chainFlags say which network the channels are on.
type chainFlags struct {
	RPC        []string `name:"rpc" required:"" placeholder:"URL" help:"Stellar RPC server. May be repeated: the next is asked when one fails."`
	Passphrase string   `required:"" help:"Network passphrase."`
	Output     string   `short:"o" enum:"text,json" default:"text" help:"Form of the output (${enum})."`
}

func (f *chainFlags) client() (*soroban.Client, error) {
	return soroban.NewClient(soroban.ClientConfig{Passphrase: f.Passphrase}, f.RPC...)
}

// seedFlags name the channels.
type seedFlags struct {
	SeedEnv string `required:"" placeholder:"NAME" help:"Environment variable that holds the channels' seed: text of 16 to 64 bytes, or hex:… for bytes."`
	Count   int    `default:"8" help:"Number of channels (${default})."`
}

func (f *seedFlags) channels() ([]soroban.Signer, error) {
	text := strings.TrimSpace(os.Getenv(f.SeedEnv))
	if text == "" {
		return nil, fmt.Errorf("the environment variable %s is not set; --seed-env names the one that holds the channels' seed", f.SeedEnv)
	}
	seed := []byte(text)
	if digits, isHex := strings.CutPrefix(text, "hex:"); isHex {
		var err error
		if seed, err = hex.DecodeString(digits); err != nil {
			return nil, fmt.Errorf("what follows hex: in %s is not hexadecimal", f.SeedEnv)
		}
	}
	return soroban.DeriveChannels(seed, f.Count)
}

// channelStore names the store that the processes share.
type channelStore struct {
	Store string `required:"" placeholder:"DSN" help:"The store of the processes that use the channels, such as sqlite:PATH."`
}

// open opens the store for do; it must exist.
func (f *channelStore) open(ctx context.Context, do func(onceward.Store) error) error {
	if path, ok := strings.CutPrefix(f.Store, "sqlite:"); ok {
		if _, err := os.Stat(path); err != nil {
			return fmt.Errorf("--store: %w", err)
		}
	}
	h, err := storage.Create(ctx, f.Store)
	if err != nil {
		return err
	}
	err = do(h.Store)
	return errors.Join(err, h.Close(context.WithoutCancel(ctx)))
}

type channelsCreate struct {
	chainFlags
	seedFlags
	FunderEnv string `placeholder:"NAME" help:"Environment variable that holds the secret key (S…) of the account that pays. Without it the network's friendbot does, where there is one."`
	Balance   int64  `default:"100000000" help:"Stroops for each new account (${default}); friendbot gives what it gives."`
}

// Help is shown by --help.
func (channelsCreate) Help() string {
	return teach(`It can be repeated: an account is never paid for twice. The seed is text of 16 to 64 bytes, or hex:… for bytes; keep
it, since it is the key to the accounts and what they own.`,
		`name the seed and the count in chain.channels of onceward.yaml, and look with onceward channels list.`,
		`onceward channels create --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --seed-env CHANNEL_SEED --count 8`,
		`onceward channels create --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --seed-env CHANNEL_SEED --count 8 --funder-env FUNDER_SECRET --balance 100000000`)
}

// Run creates what does not exist; it can be repeated.
func (c *channelsCreate) Run(p *process) error {
	channels, err := c.channels()
	if err != nil {
		return err
	}
	rpc, err := c.client()
	if err != nil {
		return err
	}
	created := 0
	if c.FunderEnv != "" {
		funder, keyErr := soroban.NewSigner(strings.TrimSpace(os.Getenv(c.FunderEnv)))
		if keyErr != nil {
			return fmt.Errorf("the environment variable %s does not hold a secret key (S…)", c.FunderEnv)
		}
		created, err = soroban.CreateChannels(p.ctx, soroban.Funding{
			RPC: rpc, Passphrase: c.Passphrase, Funder: funder, Balance: c.Balance,
		}, channels)
	} else {
		err = soroban.EnsureChannels(p.ctx, rpc, channels, func(ctx context.Context, address string) error {
			created++
			return fundByFriendbot(ctx, rpc, address)
		})
	}
	if err != nil {
		return err
	}
	addresses := make([]string, len(channels))
	for i, ch := range channels {
		addresses[i] = ch.Address()
	}
	if c.Output == "json" {
		return json.NewEncoder(p.stdout).Encode(map[string]any{"created": created, "channels": addresses})
	}
	fmt.Fprintf(p.stdout, "%d channels, %d of them created now:\n%s\n", len(addresses), created, strings.Join(addresses, "\n"))
	return nil
}

// fundByFriendbot asks the network's friendbot for an account.
func fundByFriendbot(ctx context.Context, rpc *soroban.Client, address string) error {
	info, err := rpc.GetNetwork(ctx)
	if err != nil {
		return err
	}
	if info.FriendbotURL == "" {
		return errors.New("this network has no friendbot; --funder-env names an account that pays")
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	return friendbot.Fund(ctx, info.FriendbotURL, address)
}

type channelsList struct {
	chainFlags
	seedFlags
	channelStore
}

// Help is shown by --help.
func (channelsList) Help() string {
	return teach(`The state is free, busy, missing, quarantined or retired. A quarantine says in which way the chain and the record of a
channel contradict each other; one whose chain is ahead ends by itself.`,
		`onceward channels create makes what is missing; onceward channels release ends a quarantine that was looked into.`,
		`onceward channels list --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --seed-env CHANNEL_SEED --count 8 --store sqlite:onceward.db`,
		`onceward channels list --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --seed-env CHANNEL_SEED --count 8 --store sqlite:onceward.db -o json`)
}

// Run reports on every channel of the seed.
func (c *channelsList) Run(p *process) error {
	channels, err := c.channels()
	if err != nil {
		return err
	}
	addresses := make([]string, len(channels))
	for i, ch := range channels {
		addresses[i] = ch.Address()
	}
	rpc, err := c.client()
	if err != nil {
		return err
	}
	return c.open(p.ctx, func(store onceward.Store) error {
		admin := &soroban.ChannelAdmin{RPC: rpc, Passphrase: c.Passphrase, Store: store}
		list, err := admin.List(p.ctx, addresses...)
		if err != nil {
			return err
		}
		return c.print(p.stdout, list)
	})
}

func (c *channelsList) print(out io.Writer, list []soroban.Channel) error {
	if c.Output == "json" {
		return json.NewEncoder(out).Encode(list)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ADDRESS\tSTATE\tSEQUENCE\tBALANCE (XLM)\tOPERATION\tREASON")
	for _, ch := range list {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d.%07d\t%s\t%s\n", ch.Address, ch.State, ch.Sequence,
			ch.Balance/10_000_000, ch.Balance%10_000_000, ch.Operation, ch.Reason)
	}
	return w.Flush()
}

// channelArgs are channels and the patience for those that are in use.
type channelArgs struct {
	Address []string      `arg:"" help:"Channel accounts (G…)."`
	Timeout time.Duration `default:"2m" help:"How long to wait for a channel that a process uses (${default})."`
}

// each does something to every channel and says so.
func (a *channelArgs) each(p *process, done string, do func(ctx context.Context, address string) error) error {
	for _, address := range a.Address {
		ctx, cancel := context.WithTimeout(p.ctx, a.Timeout)
		err := do(ctx, address)
		cancel()
		if err != nil {
			return err
		}
		fmt.Fprintln(p.stdout, done, address)
	}
	return nil
}

type channelsRetire struct {
	chainFlags
	channelStore
	channelArgs
	Reason string `default:"retired by an operator" help:"What the list says about it (${default})."`
}

// Help is shown by --help.
func (channelsRetire) Help() string {
	return teach(`What was built on a channel runs to its end first. Its money stays in the account, whose key the seed gives.`,
		`onceward channels release takes it into use again.`,
		`onceward channels retire --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --store sqlite:onceward.db GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ --reason "key rotation"`)
}

// Run retires channels. What was built on them runs to its end.
func (c *channelsRetire) Run(p *process) error {
	rpc, err := c.client()
	if err != nil {
		return err
	}
	return c.open(p.ctx, func(store onceward.Store) error {
		admin := &soroban.ChannelAdmin{RPC: rpc, Passphrase: c.Passphrase, Store: store}
		return c.each(p, "retired", func(ctx context.Context, address string) error {
			return admin.Retire(ctx, address, c.Reason)
		})
	})
}

type channelsRelease struct {
	chainFlags
	channelStore
	channelArgs
}

// Help is shown by --help.
func (channelsRelease) Help() string {
	return teach(`Of a channel in quarantine the record gives way to the chain: be sure that no transaction of it can still be applied
that the record does not know.`,
		`onceward channels list shows it as free.`,
		`onceward channels release --rpc https://soroban-testnet.stellar.org --passphrase "Test SDF Network ; September 2015" --store sqlite:onceward.db GA7QYNF7SOWQ3GLR2BGMZEHXAVIRZA4KVWLTJJFC7MGXUA74P7UJVSGZ`)
}

// Run releases channels.
func (c *channelsRelease) Run(p *process) error {
	rpc, err := c.client()
	if err != nil {
		return err
	}
	return c.open(p.ctx, func(store onceward.Store) error {
		admin := &soroban.ChannelAdmin{RPC: rpc, Passphrase: c.Passphrase, Store: store}
		return c.each(p, "released", admin.Release)
	})
}
