package main

import (
	"io"
)

type operationsCommand struct {
	List operationsList `cmd:"" help:"List operations and how they stand, the newest first."`
	Show operationsShow `cmd:"" help:"Show one operation: its checkpoints, its transactions, its answer."`
}

type operationsList struct {
	storeFlags
	outputFlags
	listFlags
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

// Run implements the command.
func (c *operationsShow) Run(p *process) error {
	return showOperation(p, &c.storeFlags, &c.outputFlags, &c.refFlags, &c.showFlags)
}
