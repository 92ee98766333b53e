package dev

import (
	"context"
	"fmt"
	"time"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/soroban"
	"github.com/onceward/onceward/webhook"
)

// openOutbox returns what puts every outcome into the outbox of the receiver;
// nil if there is none.
func (p *process) openOutbox() (func(context.Context, *onceward.Operation, soroban.Result, onceward.Response) error, error) {
	if p.cfg.WebhookURL == "" {
		return nil, nil //nolint:nilnil // nothing to announce to
	}
	var err error
	p.outbox, err = webhook.New(p.store, webhook.Config{
		Name: "dev", URL: p.cfg.WebhookURL, Secrets: []string{p.cfg.WebhookSecret},
		AllowInsecure: true, // the receiver is on this machine, as everything else
		Logger:        p.cfg.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("--webhook-url and --webhook-secret: %w", err)
	}
	return func(ctx context.Context, op *onceward.Operation, res soroban.Result, resp onceward.Response) error {
		// The transaction tells this outcome from any other under the key.
		e, err := webhook.Outcome(op, fmt.Sprintf("%s %s %d", res.Status, res.TxHash, res.Ledger), resp, time.Now())
		if err != nil {
			return err
		}
		return p.outbox.Enqueue(ctx, e)
	}, nil
}
