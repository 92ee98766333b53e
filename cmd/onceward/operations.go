package main

import (
	"io"
)

type operationsCommand struct {
	List operationsList `cmd:"" help:"List operations and how they stand, the newest first."`
	Show operationsShow `cmd:"" help:"Show one operation: its checkpoints, its transactions, its answer."`
}

// Help is shown by --help.
func (operationsCommand) Help() string {
	return teach(`The same records as those of onceward keys, as operations: attempts, leases and transactions. Nothing is changed.`,
		`to decide about one that is HELD: onceward keys --help.`,
		`onceward operations list --store sqlite:onceward.db --status STARTED`,
		`onceward operations show --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6`)
}

type operationsList struct {
	storeFlags
	outputFlags
	listFlags
}

// Help is shown by --help.
func (operationsList) Help() string {
	return teach(`STARTED operations whose LEASE UNTIL is past have lost their owner; a gateway follows their crash policy.
The list goes on where --cursor says.`,
		`onceward operations show, with an OPERATION of the list.`,
		`onceward operations list --store sqlite:onceward.db --status STARTED`,
		`onceward operations list --store sqlite:onceward.db --kind "POST /v1/rewards" -o json`)
}

// Run implements the command.
func (c *operationsList) Run(p *process) error {
	return c.with(p, "", false, func(d *desk) error {
		page, err := c.page(p, d)
		if err != nil {
			return err
		}
		return c.show(p, page, func(w io.Writer) {
			row(w, "OPERATION", "KIND", "STATUS", "ATTEMPT", "HTTP", "CLAIMED", "LEASE UNTIL", "ENDED", "SCOPE")
			for _, k := range page.Keys {
				row(w, k.OperationID, dash(k.Kind), k.Status, k.Attempt, httpStatus(k.HTTPStatus),
					when(k.ClaimedAt), when(k.LeaseUntil), when(k.CompletedAt), dash(k.Scope))
			}
			more(w, page.Next)
		})
	})
}

type operationsShow struct {
	storeFlags
	outputFlags
	refFlags
	showFlags
}

// Help is shown by --help.
func (operationsShow) Help() string {
	return teach(`Shows the attempts of an operation with the hash of each transaction, what became of it, and the last ledger that
may hold it.`,
		`look the hash up on the network. One that is HELD waits for keys release or keys complete.`,
		`onceward operations show --store sqlite:onceward.db 3747cc65-c2f1-8dc7-8117-9b18028db2c6`,
		`onceward operations show --store sqlite:onceward.db --scope key:acme --key order-812 -o json`)
}

// Run implements the command.
func (c *operationsShow) Run(p *process) error {
	return showOperation(p, &c.storeFlags, &c.outputFlags, &c.refFlags, &c.showFlags)
}
