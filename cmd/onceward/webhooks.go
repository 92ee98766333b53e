package main

import (
	"errors"
	"io"

	"github.com/onceward/onceward"
	"github.com/onceward/onceward/cmd/onceward/internal/operator"
	"github.com/onceward/onceward/webhook"
)

type webhooksCommand struct {
	List      webhooksList      `cmd:"" help:"List messages: what waits, what was delivered, what was given up."`
	Redeliver webhooksRedeliver `cmd:"" help:"Make a message that was given up due again, for one attempt."`
}

// Help is shown by --help.
func (webhooksCommand) Help() string {
	return teach(`For every final outcome of a contract call gateways post a signed message, and try again for hours. Messages that
were never accepted are dead: they stay, and somebody must decide.`,
		`docs/webhooks.md says what a receiver must do.`,
		`onceward webhooks list --store sqlite:onceward.db --state dead`,
		`onceward webhooks redeliver --store sqlite:onceward.db msg_5dBvh0FsJxV1rYcQm0a2L7uS --reason "the receiver is repaired"`)
}

// outboxFlags name an outbox of the store.
type outboxFlags struct {
	Name string `default:"default" env:"-" help:"Name of the outbox, webhook.name of the gateways' file (${default})."`
}

func (f *outboxFlags) queue(store onceward.Store) (*webhook.Queue, error) {
	q, err := webhook.OpenQueue(store, f.Name)
	if err != nil {
		return nil, usagef("--name is of a-z, 0-9 and -, as webhook.name")
	}
	return q, nil
}

type webhooksList struct {
	storeFlags
	outputFlags
	outboxFlags
	pageFlags

	State string `enum:",pending,delivered,dead" default:"" env:"-" placeholder:"STATE" help:"Only pending, delivered or dead ones: dead ones have used up their attempts."`
}

// Help is shown by --help.
func (webhooksList) Help() string {
	return teach(`Shows how often each message was tried, when it is tried next, and why the last attempt failed. The list goes on
where --cursor says.`,
		`repair the receiver of what is dead, then onceward webhooks redeliver. What is pending needs nothing.`,
		`onceward webhooks list --store sqlite:onceward.db --state dead`,
		`onceward webhooks list --store sqlite:onceward.db --name billing -o json`)
}

// Run implements the command.
func (c *webhooksList) Run(p *process) error {
	if err := c.check(); err != nil {
		return err
	}
	return c.with(p, "", true, func(d *desk) error {
		q, err := c.queue(d.store)
		if err != nil {
			return err
		}
		page, err := operator.Messages(p.ctx, q, c.State, c.Cursor, c.Limit)
		if err != nil {
			return err
		}
		return c.show(p, page, func(w io.Writer) {
			if len(page.Messages) == 0 {
				row(w, "There are none in outbox "+c.Name+"; --name is webhook.name of the gateways' file.")
				return
			}
			row(w, "MESSAGE", "STATE", "ATTEMPTS", "TYPE", "OPERATION", "CREATED", "NEXT", "ENDED", "REASON")
			for _, m := range page.Messages {
				row(w, m.ID, m.State, m.Attempts, dash(m.Type), dash(m.OperationID), when(m.Created), when(m.Next), when(m.Ended), dash(m.Reason))
			}
			more(w, page.Next)
		})
	})
}

type webhooksRedeliver struct {
	storeFlags
	outputFlags
	changeFlags
	outboxFlags

	ID string `arg:"" name:"message-id" help:"ID of the message, as webhooks list shows it."`
}

// Help is shown by --help.
func (webhooksRedeliver) Help() string {
	return teach(`A gateway sends the message once more, under the same ID: a receiver that had accepted it after all can tell.
If that fails, it is dead again.`,
		`onceward webhooks list shows what became of it.`,
		`onceward webhooks redeliver --store sqlite:onceward.db msg_5dBvh0FsJxV1rYcQm0a2L7uS --reason "the receiver is repaired"`)
}

// Run implements the command.
func (c *webhooksRedeliver) Run(p *process) error {
	return c.with(p, c.Actor, true, func(d *desk) error {
		q, err := c.queue(d.store)
		if err != nil {
			return err
		}
		err = d.Audited(p.ctx, "webhooks redeliver", c.Name+" "+c.ID, c.Reason, func() (string, error) {
			return "", q.Redeliver(p.ctx, c.ID)
		})
		switch {
		case errors.Is(err, onceward.ErrNotHeld):
			return usagef("message %s is not dead: it was delivered, or is still being tried", c.ID)
		case errors.Is(err, onceward.ErrNotFound):
			return usagef("outbox %s has no message %s; see onceward webhooks list", c.Name, c.ID)
		case err != nil:
			return err
		}
		result := struct {
			ID    string `json:"id"`
			State string `json:"state"`
		}{c.ID, operator.Pending}
		return c.show(p, result, func(w io.Writer) { row(w, result.ID, result.State) })
	})
}
