package dev

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"time"

	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// network is the development chain: embedded, or running elsewhere.
type network struct {
	url        string
	passphrase string
	embedded   *devchain.Chain // nil when it runs elsewhere
	rpc        soroban.Ledgers
}

func (p *process) openChain(ctx context.Context) error {
	if p.cfg.RPCURL != "" {
		return p.useChain(ctx)
	}
	chain, err := devchain.Open(devchain.Config{
		Dir: filepath.Join(p.cfg.Data, "chain"), LedgerInterval: p.cfg.LedgerInterval, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	p.closers = append(p.closers, chain.Close)
	l, err := p.open(ctx, p.cfg.RPCListen, "--rpc-listen")
	if err != nil {
		return err
	}
	p.chain = &network{
		url: "http://" + l.Addr().String(), passphrase: chain.Passphrase(), embedded: chain,
	}
	p.group.Serve("rpc", l, chain.Handler())
	return nil
}

// useChain connects to a chain that runs elsewhere.
func (p *process) useChain(ctx context.Context) error {
	rpc, err := soroban.NewClient(soroban.ClientConfig{}, p.cfg.RPCURL)
	if err != nil {
		return err
	}
	info, err := rpc.GetNetwork(ctx)
	if err != nil {
		return fmt.Errorf("the chain at --rpc-url does not answer: %w", err)
	}
	p.chain = &network{url: p.cfg.RPCURL, passphrase: info.Passphrase, rpc: rpc}
	return nil
}

func (n *network) healthy(ctx context.Context) error {
	if n.embedded != nil {
		return n.embedded.Err()
	}
	_, err := n.rpc.GetNetwork(ctx)
	return err
}

// channelBalance is what a new channel account starts with, in stroops.
const channelBalance = 10_000 * 10_000_000

const friendbotTimeout = 10 * time.Second

// fund creates an account: on the embedded chain directly, elsewhere through
// its friendbot.
func (n *network) fund(ctx context.Context, address string) error {
	if n.embedded != nil {
		return n.embedded.Fund(address, channelBalance)
	}
	ctx, cancel := context.WithTimeout(ctx, friendbotTimeout)
	defer cancel()
	target, err := url.JoinPath(n.url, "friendbot")
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, target+"?addr="+url.QueryEscape(address), http.NoBody)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("friendbot: %w", err)
	}
	_, err = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	err = errors.Join(err, res.Body.Close())
	if res.StatusCode != http.StatusOK {
		return errors.Join(fmt.Errorf("friendbot answered %s", res.Status), err)
	}
	return err
}
