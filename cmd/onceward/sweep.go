package main

import "io"

// sweepCommand deletes what has expired. Gateways do that by themselves.
type sweepCommand struct {
	storeFlags
	outputFlags
	changeFlags
}

// Help is shown by --help.
func (sweepCommand) Help() string {
	return teach(`Expired records count as absent already; this gives their room back. One pass deletes 1,000,000 at most. HELD
operations and the audit log never expire.`,
		`run it again as long as it deletes something. SQLite uses the room again by itself, PostgreSQL after its (auto)vacuum.`,
		`onceward sweep --store sqlite:onceward.db --reason "disk almost full (ticket 814)"`,
		`onceward sweep --store sqlite:onceward.db --reason "disk almost full (ticket 814)" -o json`)
}

// Run implements the command.
func (c *sweepCommand) Run(p *process) error {
	return c.with(p, c.Actor, false, func(d *desk) error {
		n, err := d.Sweep(p.ctx, c.Reason)
		if err != nil {
			return err
		}
		result := struct {
			Deleted int `json:"deleted"`
		}{n}
		return c.show(p, result, func(w io.Writer) { row(w, "deleted", n) })
	})
}
