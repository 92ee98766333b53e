package main

import (
	"errors"
	"fmt"
	"math/big"
	"strings"
	"time"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/remotesigner"
)

type signerCommand struct {
	Listen    string        `required:"" placeholder:"unix:PATH" help:"Local socket to listen on; it is made for this user alone."`
	SeedFile  []string      `placeholder:"PATH" type:"path" help:"File with a secret key (S…) that nobody but its owner may read; may be repeated."`
	SeedEnv   []string      `placeholder:"NAME" help:"Environment variable with a secret key (S…); may be repeated."`
	AllowUID  []int         `name:"allow-uid" placeholder:"UID" help:"User that may ask for signatures, besides this one and root; may be repeated."`
	PerMinute int64         `placeholder:"N" help:"Most signatures of one key in a minute; 0 for no limit (${default})." default:"0"`
	PerDay    int64         `placeholder:"N" help:"Most signatures of one key in a day; 0 for no limit (${default})." default:"0"`
	Timeout   time.Duration `default:"5s" help:"Bound of one request (${default})."`
}

// Help is shown by onceward signer --help.
func (signerCommand) Help() string {
	return teach(`A daemon that keeps secret keys out of the process that faces the network. It signs hashes for clients of
package soroban/remotesigner on the same machine. Limits are counted from the start of the daemon.`,
		`name the socket and the address that it prints in chain.signers of onceward.yaml; see docs/signers.md.`,
		`onceward signer --listen unix:/run/onceward/signer.sock --seed-file /run/secrets/minter --per-minute 60 --per-day 5000`,
		`onceward signer --listen unix:/run/onceward/signer.sock --seed-env MINTER_SECRET --allow-uid 998`)
}

// Run serves until the process is told to stop.
func (c *signerCommand) Run(p *process) error {
	path, ok := strings.CutPrefix(c.Listen, "unix:")
	if !ok || path == "" {
		return fmt.Errorf("--listen=%s: only local sockets are served; write unix:/path/to/socket", c.Listen)
	}
	signers, err := c.signers()
	if err != nil {
		return err
	}
	srv, err := remotesigner.NewServer(remotesigner.ServerConfig{
		Signers: signers, AllowUIDs: c.AllowUID, Timeout: c.Timeout, Log: p.log,
	})
	if err != nil {
		return err
	}
	l, err := remotesigner.Listen(p.ctx, path)
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "onceward signer: listening on %s\n", path)
	for _, s := range signers {
		fmt.Fprintf(p.stdout, "  signs as %s\n", s.Address())
	}
	return srv.Serve(p.ctx, l)
}

// signers reads the keys, and limits each by itself.
func (c *signerCommand) signers() ([]soroban.Signer, error) {
	var out []soroban.Signer
	add := func(s soroban.Signer, err error) error {
		if err != nil {
			return err
		}
		var budgets []*soroban.Budget
		for window, limit := range map[time.Duration]int64{time.Minute: c.PerMinute, 24 * time.Hour: c.PerDay} {
			if limit == 0 {
				continue
			}
			b, err := soroban.NewBudget(soroban.BudgetConfig{
				Name: "signatures in " + window.String(), Limit: big.NewInt(limit), Window: window,
			})
			if err != nil {
				return err
			}
			budgets = append(budgets, b)
		}
		out = append(out, soroban.LimitedSigner(s, budgets...))
		return nil
	}
	for _, path := range c.SeedFile {
		if err := add(soroban.NewSignerFromFile(path)); err != nil {
			return nil, err
		}
	}
	for _, name := range c.SeedEnv {
		if err := add(soroban.NewSignerFromEnv(name)); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, errors.New("there is no key to sign with; give --seed-file or --seed-env")
	}
	return out, nil
}
