package dev

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"

	"github.com/onceward/onceward/cmd/onceward/internal/serving"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/soroban/devchain"
)

// network is the development chain: embedded, or running elsewhere.
type network struct {
	url        string
	passphrase string
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
	l, err := serving.Listen(ctx, p.cfg.RPCListen, "--rpc-listen")
	if err != nil {
		return err
	}
	p.closers = append(p.closers, func() error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	})
	p.chain = &network{url: "http://" + l.Addr().String(), passphrase: chain.Passphrase()}
	p.group.Serve(serving.Server{Name: "rpc", Listener: l, Handler: chain.Handler(), H2C: true})
	p.group.Go("chain", chain.Run)
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
	p.chain = &network{url: p.cfg.RPCURL, passphrase: info.Passphrase}
	return nil
}
