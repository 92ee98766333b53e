package main_test

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/onceward/onceward/soroban/devchain"
)

// startChain runs a development chain in the test itself.
func startChain(t *testing.T, interval time.Duration) string {
	t.Helper()
	return serveChain(t, devchain.Config{LedgerInterval: interval}, func(ctx context.Context, chain *devchain.Chain) error { return chain.Run(ctx) })
}

// serveChain serves a chain whose ledgers run closes until its context ends.
func serveChain(t *testing.T, cfg devchain.Config, run func(context.Context, *devchain.Chain) error) string {
	t.Helper()
	chain, err := devchain.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	srv := httptest.NewServer(chain.Handler())
	var running sync.WaitGroup
	running.Go(func() {
		if err := run(ctx, chain); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		running.Wait()
		if err := chain.Close(); err != nil {
			t.Error(err)
		}
		srv.Close()
	})
	return srv.URL
}

// pausableChain closes ledgers unless it is told not to.
type pausableChain struct {
	url string

	mu     sync.Mutex // held while a ledger is closed
	paused bool
}

func startPausableChain(t *testing.T) *pausableChain {
	t.Helper()
	p := &pausableChain{}
	p.url = serveChain(t, devchain.Config{}, p.run)
	return p
}

func (p *pausableChain) run(ctx context.Context, chain *devchain.Chain) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := p.closeLedger(chain); err != nil {
			return err
		}
	}
}

func (p *pausableChain) closeLedger(chain *devchain.Chain) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused {
		return nil
	}
	_, err := chain.CloseLedger()
	return err
}

// pause returns when no ledger is closed any more.
func (p *pausableChain) pause() { p.set(true) }

func (p *pausableChain) resume() { p.set(false) }

func (p *pausableChain) set(paused bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paused = paused
}
