package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/soroban/devchain"
)

type devchainCommand struct {
	Listen         string        `default:"127.0.0.1:8000" help:"Address of the JSON-RPC and of /friendbot (${default})."`
	Data           string        `help:"Folder that keeps the ledgers across restarts. Without it the chain ends with the process."`
	Passphrase     string        `help:"Network passphrase. Default: the development network's, or that of the chain in --data."`
	LedgerInterval time.Duration `default:"1s" help:"Time between two ledgers (${default})."`
	Fault          []string      `sep:"none" placeholder:"METHOD:KIND[:TIMES[:LEDGERS]]" help:"Break calls on purpose, for example sendTransaction:lose-response:3. May be repeated."`
}

// Help is shown by onceward devchain --help.
func (devchainCommand) Help() string {
	return teach(`A Stellar network of one node for development and tests. Point any Stellar client at it;
fund accounts with GET /friendbot?addr=G…. Contracts are Go functions, no wasm is run.

Kinds of faults: lose-request, lose-response, http-503, http-504, rpc-error, hang, stale-replica,
delay-ingestion, lookup-race, trim-history, drop-transaction, evict-transaction, include-late,
surge-pricing, need-restore, reset. METHOD may be * for every call; TIMES counts the calls it
strikes, "always" strikes every one, without it the fault strikes once. The last number says how
many ledgers back the kinds look that look back, and for surge-pricing the fee of an operation.`,
		`fund an account with GET /friendbot, or start onceward dev --rpc-url http://127.0.0.1:8000 beside it.`,
		`onceward devchain --data ./devchain`,
		`onceward devchain --fault sendTransaction:lose-response:3 --fault getTransaction:http-503:always`)
}

// Run serves the chain until the process is told to stop.
func (c *devchainCommand) Run(p *process) error {
	var faults []devchain.Fault
	for _, s := range c.Fault {
		f, err := devchain.ParseFault(s)
		if err != nil {
			return err
		}
		faults = append(faults, f)
	}
	chain, err := devchain.Open(devchain.Config{
		Dir: c.Data, Passphrase: c.Passphrase, LedgerInterval: c.LedgerInterval, Faults: faults, Log: p.log,
	})
	if err != nil {
		return err
	}
	group := serving.NewGroup(p.log)
	listener, err := serving.Listen(p.ctx, c.Listen, "--listen")
	if err != nil {
		return errors.Join(err, chain.Close())
	}
	group.Go("chain", chain.Run)
	group.Serve(serving.Server{Name: "rpc", Listener: listener, Handler: chain.Handler(), H2C: true})
	fmt.Fprintf(p.stdout, "Development chain on http://%s (ledger %d)\n", listener.Addr(), chain.LatestLedger())
	fmt.Fprintf(p.stdout, "  passphrase  %q\n  minter      %s (development only)\n", chain.Passphrase(), devchain.DevAdminSeed)
	for _, name := range []string{"content", "votes", "reward", "token", "guarded"} {
		fmt.Fprintf(p.stdout, "  %-10s  %s\n", name, chain.Contract(name))
	}
	return errors.Join(group.Wait(p.ctx), chain.Close())
}
